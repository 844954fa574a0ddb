#!/usr/bin/python
"""Ansible module: whether programs that this project does not bring are installed."""

from __future__ import annotations

import shutil

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: programs_present
short_description: Fail with what to install when programs are not there
description: [Looks for each program in PATH. Installs nothing.]
options:
  programs: {description: Each program, and the Debian package that has it., type: dict, required: true}
"""

EXAMPLES = """
- name: Look for the programs
  programs_present:
    programs: {promtool: prometheus}
"""

RETURN = """
found: {description: The path of each program., returned: success, type: dict}
"""


def main() -> None:
    module = AnsibleModule(argument_spec={"programs": {"type": "dict", "required": True}}, supports_check_mode=True)
    programs = module.params["programs"]
    found = {name: shutil.which(name) for name in programs}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = " ".join(sorted({programs[name] for name in missing}))
        what = f"{', '.join(missing)} cannot be found in PATH, so nothing was started"
        how = (
            f"apt-get install {packages}, then systemctl disable --now {packages}, because this project starts its own"
        )
        module.fail_json(msg=f"{what}. On Debian: {how}. Who is not root: make monitoring-packages")
    module.exit_json(changed=False, found=found)


if __name__ == "__main__":
    main()
