#!/usr/bin/python
"""Ansible module: put an instance into Caddy's pool or take it out."""

from __future__ import annotations

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.caddy_admin import ask
from ansible.module_utils.caddy_files import content, replace

DOCUMENTATION = """
module: caddy_pool
short_description: Put an instance into Caddy's pool or take it out
description:
  - Caddy's configuration names every instance as a dynamic upstream whose host is the content of the
    instance's file in the pool folder, read for each request. A host puts the instance into the
    pool, an empty file takes it out. Both work at once and survive a restart of Caddy.
  - A change of the configuration over the admin API is not used for this. It replaces Caddy's HTTP
    server, and connections the old one has accepted but not read yet are closed without an answer.
  - After taking an instance out, waits until the admin API reports no request in flight to it.
options:
  file: {description: The instance's file in the pool folder., type: path, required: true}
  host: {description: The host the instance listens on., type: str, required: true}
  port: {description: The port the instance listens on., type: int, required: true}
  admin_socket: {description: The Unix socket of Caddy's admin API., type: path, required: true}
  state: {description: In the pool or out of it., choices: [present, absent], required: true, type: str}
  drain_seconds: {description: How long to wait for requests in flight., type: float, default: 10}
"""

EXAMPLES = """
- name: Take the instance out of the pool
  caddy_pool:
    file: /srv/env/caddy/pool/arcade-1
    host: 127.0.0.1
    port: 9001
    admin_socket: /srv/env/run/admin.sock
    state: absent
"""

RETURN = """
in_flight: {description: Requests still in flight when the time was over., returned: always, type: int}
"""


def in_flight(admin_socket: str, address: str) -> int:
    try:
        upstreams = ask(admin_socket, "/reverse_proxy/upstreams", timeout=5)
    except OSError:
        # A Caddy that does not run forwards nothing.
        return 0
    # The address is listed once for each place of the configuration that knows it.
    return max((each["num_requests"] for each in upstreams if each["address"] == address), default=0)


def drain(admin_socket: str, address: str, limit: float) -> int:
    """Wait for two empty readings: a request that was just given its instance is not counted yet."""
    deadline = time.monotonic() + limit
    empty = 0
    while True:
        waiting = in_flight(admin_socket, address)
        empty = 0 if waiting else empty + 1
        if empty == 2 or time.monotonic() > deadline:
            return waiting
        time.sleep(0.1)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "path", "required": True},
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "admin_socket": {"type": "path", "required": True},
            "state": {"choices": ["present", "absent"], "required": True},
            "drain_seconds": {"type": "float", "default": 10},
        },
        supports_check_mode=True,
    )
    file = Path(module.params["file"])
    wanted = module.params["host"] if module.params["state"] == "present" else ""
    before = content(file)
    changed = before != wanted
    left = 0
    if changed and not module.check_mode:
        replace(file, wanted)
        if not wanted:
            address = f"{module.params['host']}:{module.params['port']}"
            left = drain(module.params["admin_socket"], address, module.params["drain_seconds"])
            if left:
                module.warn(f"{left} requests to {address} were still in flight when the time was over")
    module.exit_json(
        changed=changed,
        in_flight=left,
        diff={"before": f"{before}\n", "after": f"{wanted}\n", "before_header": file.name, "after_header": file.name},
    )


if __name__ == "__main__":
    main()
