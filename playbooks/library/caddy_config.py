#!/usr/bin/python
"""Ansible module: have Caddy use its configuration file."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: caddy_config
short_description: Have a Caddy that runs use its configuration file
description:
  - Asks the admin API which configuration Caddy uses, and loads the file if that is another one.
  - In check mode it only asks. A Caddy that does not run yet will be started with the file.
options:
  file: {description: The configuration file., type: path, required: true}
  admin_url: {description: The URL of Caddy's admin API., type: str, required: true}
  foreseen: {description: Whether a task that is only simulated would change the file., type: bool, default: false}
"""

EXAMPLES = """
- name: Have Caddy use its configuration
  caddy_config:
    file: /srv/env/caddy/caddy.json
    admin_url: http://127.0.0.1:2019
"""

RETURN = """
file: {description: The configuration file., returned: always, type: str}
"""


def in_use(admin_url: str) -> object:
    with urllib.request.urlopen(f"{admin_url}/config/", timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def written(file: Path) -> object:
    """Answer what the file says; Caddy itself says what is wrong with one that is no JSON."""
    try:
        return json.loads(file.read_text())
    except ValueError:
        return None


def load(module: AnsibleModule, text: bytes) -> None:
    request = urllib.request.Request(  # noqa: S310
        f"{module.params['admin_url']}/load", text, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        module.fail_json(msg=f"Caddy refuses its configuration: {error.read().decode(errors='replace').strip()}")


def foresee(module: AnsibleModule, file: Path) -> bool:
    try:
        used = in_use(module.params["admin_url"])
    except OSError:
        return False
    return module.params["foreseen"] or not file.exists() or used != written(file)


def apply(module: AnsibleModule, file: Path) -> bool:
    try:
        changed = in_use(module.params["admin_url"]) != written(file)
        if changed:
            load(module, file.read_bytes())
    except OSError as error:
        module.fail_json(msg=f"Caddy's admin API at {module.params['admin_url']} does not answer: {error}")
    return changed


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "path", "required": True},
            "admin_url": {"type": "str", "required": True},
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
