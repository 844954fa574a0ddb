#!/usr/bin/python
"""Ansible module: remove the oldest of the backups that are made again and again."""

from __future__ import annotations

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: backups_kept
short_description: Keep the newest backups that were restored once
description:
  - Of the backups whose name has O(made_by) in it, the newest O(keep) that were restored once stay. What is older than
    the oldest of these goes, also what was never restored, or is only half there. Everything newer stays, so nothing
    is removed before so many were restored.
  - Names begin with their time. Backups of others are never removed.
options:
  folder: {description: The folder of the backups., type: path, required: true}
  made_by: {description: What their names have in them., type: str, required: true}
  keep: {description: How many stay; at least 1., type: int, required: true}
  coming: {description: One that counts although a check has not made it., type: str, default: ""}
"""

EXAMPLES = """
- name: Keep two weeks
  backups_kept:
    folder: /srv/backups/production
    made_by: -back-up-database-
    keep: 14
"""

RETURN = """
removed: {description: The names of those that were removed., returned: success, type: list, elements: str}
"""

ENDS = (".json", ".state.json", ".dump")
"""Of a backup, in the order in which they go: without its manifest it counts for nothing."""


def restored(folder: Path, name: str) -> bool:
    try:
        said = json.loads((folder / f"{name}.json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(said, dict) and bool(said.get("restored"))


def old(module: AnsibleModule, folder: Path) -> list[str]:
    """Answer the names of those that go, the oldest first."""
    part, coming = module.params["made_by"], module.params["coming"] if module.check_mode else ""
    files = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    names = {name.removesuffix(end) for name in files for end in ENDS if name.endswith(end) and part in name}
    # What ends with .state.json ends with .json, too.
    names = {name for name in names if not name.endswith(".state")}
    proven = sorted({name for name in names if restored(folder, name)} | ({coming} - {""}), reverse=True)
    kept = proven[: module.params["keep"]]
    return sorted(name for name in names if len(kept) == module.params["keep"] and name < kept[-1])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "made_by": {"type": "str", "required": True},
            "keep": {"type": "int", "required": True},
            "coming": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    if module.params["keep"] < 1 or not module.params["made_by"]:
        module.fail_json(msg="keep has to be 1 or more, and made_by a part of the names: nothing was removed")
    folder = Path(module.params["folder"])
    try:
        removed = old(module, folder)
        for name in () if module.check_mode else removed:
            for end in ENDS:
                (folder / f"{name}{end}").unlink(missing_ok=True)
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be read or removed: {error.strerror}")
    text = "".join(f"{name}\n" for name in removed)
    module.exit_json(changed=bool(removed), removed=removed, diff={"before": text, "after": ""})


if __name__ == "__main__":
    main()
