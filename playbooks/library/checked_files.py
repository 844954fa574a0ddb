#!/usr/bin/python
"""Ansible module: a folder of configuration files that goes live as a whole, if programs accept it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: checked_files
short_description: Have a folder of files that programs have checked
description:
  - O(folder) is a link to a folder with exactly these files. Other content is another folder, and the
    link changes at once, when every program of O(checks) has accepted it. Until then nothing changes.
  - In check mode the programs look at a copy that is removed again.
options:
  folder: {description: The link. The folders are beside it., type: path, required: true}
  files: {description: The content of each file, by its path below the folder., type: dict, required: true}
  copied: {description: Files that are copied as they are., type: list, elements: path, default: []}
  copied_to: {description: Where below the folder they go., type: str, default: "."}
  checks:
    description: Commands that fail for a wrong file, and change nothing. They run in the folder.
    type: list
    elements: list
    required: true
"""

EXAMPLES = """
- name: Have the rules, if promtool accepts them
  checked_files:
    folder: /srv/env/config
    files: {prometheus.yml: "rule_files: [rules/*.yml]"}
    copied_to: rules
    copied: [/srv/project/alerts/arcade.yml]
    checks: [[promtool, check, config, prometheus.yml]]
"""

RETURN = """
folder: {description: The link., returned: always, type: str}
"""

MOST_SAID = 2000


def wanted(module: AnsibleModule) -> dict[str, bytes]:
    """Answer the content of each file, by its path below the folder."""
    found = {str(name): str(text).encode() for name, text in module.params["files"].items()}
    for source in module.params["copied"]:
        name = str(Path(module.params["copied_to"], Path(source).name))
        found[name] = Path(source).read_bytes()
    return dict(sorted(found.items()))


def present(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def check(module: AnsibleModule, folder: Path) -> None:
    for command in module.params["checks"]:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = " ".join(f"{done.stdout}\n{done.stderr}".replace(f"{folder}/", "").split())
            module.fail_json(
                msg=f"{command[0]} refuses the configuration, so the one from before stays: {said[:MOST_SAID]}"
            )


def replace(module: AnsibleModule, link: Path, files: dict[str, bytes]) -> None:
    """Write them beside the link, have them checked, and only then point it there."""
    versions = link.with_name(f"{link.name}.versions")
    versions.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(repr(files).encode()).hexdigest()[:12]
    with tempfile.TemporaryDirectory(dir=versions, prefix=".") as scratch:
        made = Path(scratch, digest)
        write(made, files)
        check(module, made)
        shutil.rmtree(versions / digest, ignore_errors=True)
        made.rename(versions / digest)
    new = link.with_name(f".{link.name}")
    new.unlink(missing_ok=True)
    new.symlink_to(Path(versions.name, digest))
    new.replace(link)
    for old in versions.iterdir():
        if old.name != digest:
            shutil.rmtree(old)


def foresee(module: AnsibleModule, files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch), files)
        check(module, Path(scratch))


def text_of(files: dict[str, bytes]) -> str:
    return "".join(f"# {name}\n{content.decode(errors='replace')}" for name, content in files.items())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "files": {"type": "dict", "required": True},
            "copied": {"type": "list", "elements": "path", "default": []},
            "copied_to": {"type": "str", "default": "."},
            "checks": {"type": "list", "elements": "list", "required": True},
        },
        supports_check_mode=True,
    )
    link = Path(module.params["folder"])
    try:
        files, before = wanted(module), present(link)
        if files != before:
            foresee(module, files) if module.check_mode else replace(module, link, files)
    except OSError as error:
        module.fail_json(msg=f"the configuration in {link} cannot be written: {error}")
    difference = {"before": text_of(before), "after": text_of(files)}
    module.exit_json(changed=files != before, folder=str(link), diff=difference)


if __name__ == "__main__":
    main()
