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
  folder: {description: The folder of the server's Unix socket., type: path, required: true}
  number: {description: The number in the socket's name., type: int, required: true}
  timeout: {description: Seconds to wait for it., type: int, default: 30}
"""

EXAMPLES = """
- name: Wait until PostgreSQL takes connections
  postgres_ready:
    bin_folder: /usr/lib/postgresql/18/bin
    folder: /srv/env/run
    number: 5432
"""

RETURN = """
ready: {description: Whether it takes connections., returned: always, type: bool}
"""


def ready(program: Path, folder: str, number: int) -> bool:
    done = subprocess.run(
        [program, "--quiet", f"--host={folder}", f"--port={number}"], capture_output=True, check=False
    )
    return done.returncode == 0


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "bin_folder": {"type": "path", "required": True},
            "folder": {"type": "path", "required": True},
            "number": {"type": "int", "required": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    program = Path(module.params["bin_folder"], "pg_isready")
    address = module.params["folder"], module.params["number"]
    if module.check_mode:
        # The programs may be a copy that is not made yet.
        module.exit_json(changed=False, ready=program.exists() and ready(program, *address))
    deadline = time.monotonic() + module.params["timeout"]
    while not ready(program, *address):
        if time.monotonic() > deadline:
            module.fail_json(msg=f"PostgreSQL takes no connections on its socket in {address[0]}", ready=False)
        time.sleep(0.1)
    module.exit_json(changed=False, ready=True)


if __name__ == "__main__":
    main()
