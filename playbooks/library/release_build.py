#!/usr/bin/python
"""Ansible module: build a release of a service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: release_build
short_description: Check a service's source and pack it as a release
description:
  - Runs the service's own C(build), which refuses a broken source, and a version with other content.
  - In check mode it does the same in a folder of its own that is removed again.
options:
  python: {description: The interpreter that has what the service needs., type: path, required: true}
  service: {description: The service's package., type: str, required: true}
  package_folder: {description: The folder that holds the package., type: path, required: true}
  source: {description: The folder to build from., type: path, required: true}
  version: {description: The release's version., type: str, required: true}
  output: {description: The folder of the releases., type: path, required: true}
"""

EXAMPLES = """
- name: Build the release
  release_build:
    python: /srv/python/bin/python
    service: arcade
    package_folder: /srv/project/services/arcade
    source: /srv/project/services/arcade
    version: 1.2.0
    output: /srv/releases
"""

RETURN = """
path: {description: The release tarball., returned: always, type: str}
sha256: {description: Its SHA-256., returned: always, type: str}
files: {description: How many files it holds., returned: always, type: int}
"""


def build(module: AnsibleModule, output: Path) -> dict[str, object]:
    asked = {"source": module.params["source"], "version": module.params["version"], "output": output}
    variables = {"PYTHONPATH": module.params["package_folder"]}
    if module.check_mode:
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [module.params["python"], "-m", module.params["service"], "build", *(f"--{k}={v}" for k, v in asked.items())],
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        problem = done.stderr.strip() or f"build ends with exit code {done.returncode}"
        module.fail_json(msg=problem.replace(str(output), module.params["output"]))
    return dict(json.loads(done.stdout))


def foresee(module: AnsibleModule, tarball: Path) -> dict[str, object]:
    """Build beside a copy of what is there, so that the service itself compares."""
    with tempfile.TemporaryDirectory(dir=module.tmpdir) as scratch:
        if tarball.exists():
            shutil.copy(tarball, scratch)
        return build(module, Path(scratch))


def main() -> None:
    names = ("python", "service", "package_folder", "source", "version", "output")
    texts = ("service", "version")
    module = AnsibleModule(
        argument_spec={name: {"type": "str" if name in texts else "path", "required": True} for name in names},
        supports_check_mode=True,
    )
    output = Path(module.params["output"])
    tarball = output / f"{module.params['version']}.tar.gz"
    report = foresee(module, tarball) if module.check_mode else build(module, output)
    changed = not report["unchanged"]
    module.exit_json(
        changed=changed,
        path=str(tarball),
        sha256=report["sha256"],
        files=report["files"],
        diff={"before": "", "after": f"{tarball}\n" if changed else ""},
    )


if __name__ == "__main__":
    main()
