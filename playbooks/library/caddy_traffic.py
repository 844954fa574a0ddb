#!/usr/bin/python
"""Ansible module: which colour Caddy sends requests to, and the share of a canary in the other one."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.caddy_files import content, replace

DOCUMENTATION = """
module: caddy_traffic
short_description: Read or set which colour Caddy sends requests to, and the share of a canary
description:
  - Caddy's configuration holds a route for each colour and each share. Two files in the traffic folder,
    read for each request, choose among them, so that a change is at once, whole, and survives a restart.
  - Without O(serving) and O(share) it only reads.
options:
  folder: {description: The folder with the two files., type: path, required: true}
  serving: {description: The colour that is to serve., choices: [blue, green], type: str}
  share:
    description: The percentage of requests for the instances in the pool of the other colour, 0 to 50.
    type: int
  foreseen:
    description: In check mode, what the simulated tasks before this one would have set; empty for nothing.
    type: dict
    default: {}
"""

EXAMPLES = """
- name: Give the canary a tenth of the requests
  caddy_traffic:
    folder: /srv/env/caddy/traffic
    share: 10
"""

RETURN = """
serving: {description: The colour that serves, after the change., returned: always, type: str}
idle: {description: The other colour., returned: always, type: str}
share: {description: The canary's percentage, after the change., returned: always, type: int}
"""

OTHER = {"blue": "green", "green": "blue"}
MOST = 50


def read(folder: Path) -> dict[str, str]:
    """Answer what the files say; before platform-up.yml nothing does, and the first colour would serve."""
    return {"serving": content(folder / "serving") or "blue", "share": content(folder / "share") or "0"}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "serving": {"choices": sorted(OTHER)},
            "share": {"type": "int"},
            "foreseen": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    asked = {name: str(module.params[name]) for name in ("serving", "share") if module.params[name] is not None}
    if not 0 <= int(asked.get("share", 0)) <= MOST:
        module.fail_json(msg=f"a canary's share is from 0 to {MOST} percent, not {asked['share']}")
    before = read(folder)
    if module.check_mode:
        before |= {name: str(value) for name, value in module.params["foreseen"].items() if value != ""}
    after = before | asked
    if not module.check_mode:
        # The share first: a change of both must not give the new colour's canary anything.
        for name in ("share", "serving"):
            if after[name] != before[name]:
                replace(folder / name, after[name])
    module.exit_json(
        changed=after != before,
        serving=after["serving"],
        idle=OTHER[after["serving"]],
        share=int(after["share"]),
        diff={"before": f"{before}\n", "after": f"{after}\n"},
    )


if __name__ == "__main__":
    main()
