#!/usr/bin/python
"""Ansible module: have Caddy use its configuration file."""

from __future__ import annotations

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.caddy_admin import Refusal, ask, call

DOCUMENTATION = """
module: caddy_config
short_description: Have a Caddy that runs use its configuration file
description:
  - Asks the admin API which configuration Caddy uses, and loads the file if that is another one.
  - In check mode it only asks. A Caddy that does not run yet will be started with the file.
options:
  file: {description: The configuration file., type: path, required: true}
  admin_socket: {description: The Unix socket of Caddy's admin API., type: path, required: true}
  foreseen: {description: Whether a task that is only simulated would change the file., type: bool, default: false}
"""

EXAMPLES = """
- name: Have Caddy use its configuration
  caddy_config:
    file: /srv/env/caddy/caddy.json
    admin_socket: /srv/env/run/admin.sock
"""

RETURN = """
file: {description: The configuration file., returned: always, type: str}
"""


def in_use(module: AnsibleModule) -> object:
    return ask(module.params["admin_socket"], "/config/", timeout=10)


def written(file: Path) -> object:
    """Answer what the file says; Caddy itself says what is wrong with one that is no JSON."""
    try:
        return json.loads(file.read_text())
    except ValueError:
        return None


def load(module: AnsibleModule, text: bytes) -> None:
    try:
        call(module.params["admin_socket"], "POST", "/load", text, timeout=30)
    except Refusal as error:
        module.fail_json(msg=f"Caddy refuses its configuration: {error}")


def foresee(module: AnsibleModule, file: Path) -> bool:
    try:
        used = in_use(module)
    except OSError:
        return False
    return module.params["foreseen"] or not file.exists() or used != written(file)


def apply(module: AnsibleModule, file: Path) -> bool:
    try:
        changed = in_use(module) != written(file)
        if changed:
            load(module, file.read_bytes())
    except OSError as error:
        module.fail_json(msg=f"Caddy's admin API at {module.params['admin_socket']} does not answer: {error}")
    return changed


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "path", "required": True},
            "admin_socket": {"type": "path", "required": True},
            "foreseen": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    file = Path(module.params["file"])
    changed = foresee(module, file) if module.check_mode else apply(module, file)
    difference = {"before": "another configuration\n" if changed else "", "after": f"{file}\n" if changed else ""}
    module.exit_json(changed=changed, file=str(file), diff=difference)


if __name__ == "__main__":
    main()
