#!/usr/bin/python
"""Ansible module: the programs of the AO network, with the Node packages that they need."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: ao_app
short_description: Put the programs of the AO network in place
description:
  - Copies them into a folder that is named by their content, links the Node packages to them, and points
    C(current) there. A program that runs never sees an edit of its source.
  - Fails without Node, and if the packages are not those of the lock file.
options:
  source: {description: The folder with the programs and C(package-lock.json)., type: path, required: true}
  packages: {description: The folder into which C(npm ci) installed., type: path, required: true}
  folder: {description: Where they go; nothing is put anywhere without it., type: path}
"""

EXAMPLES = """
- name: Put the programs in place
  ao_app:
    source: /srv/project/services/ao
    packages: /srv/venv/ao
    folder: /srv/ao/app
"""

RETURN = """
folder: {description: The folder of these programs., returned: with a folder, type: str}
node: {description: The Node to run them with., returned: always, type: str}
"""

LOCK = "package-lock.json"
OLDEST = 20
HINT = "make ao-packages installs them"


def node_of(module: AnsibleModule) -> str:
    node = module.get_bin_path("node")
    if not node:
        module.fail_json(msg=f"the AO process needs Node {OLDEST} or newer, and there is none. On Debian: nodejs, npm")
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = said.removeprefix("v").partition(".")[0]
    if not major.isdigit() or int(major) < OLDEST:
        module.fail_json(msg=f"the AO process needs Node {OLDEST} or newer; {node} is {said or 'no Node'}")
    return str(node)


def check_packages(module: AnsibleModule, source: Path, packages: Path) -> None:
    if not (packages / "ready").exists():
        module.fail_json(msg=f"the Node packages of the AO process are not installed: {HINT}")
    if (packages / LOCK).read_bytes() != (source / LOCK).read_bytes():
        module.fail_json(msg=f"the Node packages in {packages} are not those of {source / LOCK}: {HINT}")


def contents(source: Path, node: str) -> dict[str, bytes]:
    paths = [path for pattern in ("*.mjs", "*.lua", "package*.json") for path in source.glob(pattern)]
    return {path.name: path.read_bytes() for path in sorted(paths)} | {"app.json": json.dumps({"node": node}).encode()}


def lay_out(target: Path, files: dict[str, bytes], packages: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".app-") as scratch:
        made = Path(scratch, "app")
        made.mkdir()
        for name, content in files.items():
            (made / name).write_bytes(content)
        (made / "node_modules").symlink_to(packages / "node_modules")
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)


def point(link: Path, target: str) -> None:
    new = link.with_name(f".{link.name}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "path", "required": True},
            "packages": {"type": "path", "required": True},
            "folder": {"type": "path"},
        },
        supports_check_mode=True,
    )
    source, packages = Path(module.params["source"]), Path(module.params["packages"])
    node = node_of(module)
    check_packages(module, source, packages)
    if module.params["folder"] is None:
        module.exit_json(changed=False, node=node)
    folder = Path(module.params["folder"])
    files = contents(source, node)
    told = [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in files.items()]
    digest = hashlib.sha256("\n".join([*told, str(packages)]).encode()).hexdigest()[:12]
    target, link = folder / digest, folder / "current"
    before = str(link.readlink()) if link.is_symlink() else ""
    changed = before != digest or not target.is_dir()
    if changed and not module.check_mode:
        lay_out(target, files, packages)
        point(link, digest)
    module.exit_json(
        changed=changed,
        folder=str(target),
        node=node,
        diff={"before": f"{before}\n", "after": f"{digest}\n"},
    )


if __name__ == "__main__":
    main()
