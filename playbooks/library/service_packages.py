#!/usr/bin/python
"""Ansible module: whether a service runs with the packages that its release was built with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: service_packages
short_description: Compare the packages of an interpreter with those that a release names
description:
  - Reads C(SBOM.cdx.json) of the unpacked release (CycloneDX), and asks the interpreter which versions it has.
  - Installs nothing. In check mode it reports what differs as a change that somebody has to make; otherwise it fails
    with it.
options:
  python: {description: The interpreter that the service runs with., type: path, required: true}
  release: {description: The folder of the unpacked release., type: path, required: true}
"""

EXAMPLES = """
- name: Compare the packages
  service_packages:
    python: /srv/python/bin/python
    release: /srv/env/app/arcade-1/releases/1.2.0
"""

RETURN = """
packages: {description: How many packages the release names., returned: always, type: int}
differ: {description: What is installed and what is wanted of each that differs., returned: always, type: list}
"""

ASK = """
import json, sys
from importlib.metadata import PackageNotFoundError, version

def found(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None

print(json.dumps({name: found(name) for name in json.load(sys.stdin)}))
"""


def named(sbom: Path) -> dict[str, str]:
    """Answer the version of each package that the release names. Raises OSError, ValueError, LookupError, TypeError."""
    found = json.loads(sbom.read_text(encoding="utf-8"))["components"]
    return {str(each["name"]): str(each["version"]) for each in found if each["type"] == "library"}


def installed(module: AnsibleModule, names: list[str]) -> dict[str, str | None]:
    done = subprocess.run(
        [module.params["python"], "-c", ASK], input=json.dumps(names), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        module.fail_json(msg=f"{module.params['python']} does not say which packages it has: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))


def main() -> None:
    module = AnsibleModule(
        argument_spec={name: {"type": "path", "required": True} for name in ("python", "release")},
        supports_check_mode=True,
    )
    sbom = Path(module.params["release"], "SBOM.cdx.json")
    if not sbom.exists():
        module.exit_json(skipped=True, msg=f"{sbom} is not there: nobody can say which packages the release wants")
    try:
        wanted = named(sbom)
    except (OSError, ValueError, LookupError, TypeError) as error:
        module.fail_json(msg=f"{sbom} names no packages: {error!r}")
    found = installed(module, [*wanted])
    differ = {name: (found[name], version) for name, version in wanted.items() if found[name] != version}
    said = [f"{name} is {have or 'missing'}, the release has {want}" for name, (have, want) in sorted(differ.items())]
    if said and not module.check_mode:
        module.fail_json(msg=f"the packages are not those of the release: {'; '.join(said)}", differ=said)
    before = "".join(f"{name} {have}\n" for name, (have, _) in sorted(differ.items()) if have)
    after = "".join(f"{name} {want}\n" for name, (_, want) in sorted(differ.items()))
    module.exit_json(changed=bool(said), packages=len(wanted), differ=said, diff={"before": before, "after": after})


if __name__ == "__main__":
    main()
