#!/usr/bin/python
"""Ansible module: wait until PostgreSQL takes connections."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: postgres_ready
short_description: Wait until PostgreSQL takes connections
description:
  - A server that listens may still be busy with its recovery; C(pg_isready) tells.
  - In check mode it only looks, and does not wait for what may be simulated.
options:
  bin_folder: {description: The folder of the PostgreSQL programs., type: path, required: true}
  host: {description: The host the server listens on., type: str, required: true}
  port: {description: The port the server listens on., type: int, required: true}
  timeout: {description: Seconds to wait for it., type: int, default: 30}
"""

EXAMPLES = """
- name: Wait until PostgreSQL takes connections
  postgres_ready:
    bin_folder: /usr/lib/postgresql/18/bin
    host: 127.0.0.1
    port: 5432
"""

RETURN = """
ready: {description: Whether it takes connections., returned: always, type: bool}
"""


def ready(program: Path, host: str, port: int) -> bool:
    done = subprocess.run([program, "--quiet", f"--host={host}", f"--port={port}"], capture_output=True, check=False)
    return done.returncode == 0


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "bin_folder": {"type": "path", "required": True},
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    program = Path(module.params["bin_folder"], "pg_isready")
    address = module.params["host"], module.params["port"]
    if module.check_mode:
        # The programs may be a copy that is not made yet.
        module.exit_json(changed=False, ready=program.exists() and ready(program, *address))
    deadline = time.monotonic() + module.params["timeout"]
    while not ready(program, *address):
        if time.monotonic() > deadline:
            module.fail_json(msg=f"PostgreSQL takes no connections on port {address[1]}", ready=False)
        time.sleep(0.1)
    module.exit_json(changed=False, ready=True)


if __name__ == "__main__":
    main()
