#!/usr/bin/python
"""Ansible module: one program under the environment's supervisord."""

from __future__ import annotations

import time
from xmlrpc.client import Fault, ServerProxy

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.supervised import ALIVE_STATES, STOPPED_STATES, connect
from supervisor.xmlrpc import Faults

DOCUMENTATION = """
module: supervisor_program
short_description: Start, stop or restart a program under supervisord
description:
  - A stop waits until the program has ended, a start does not wait until the program is of use.
options:
  name: {description: The program's name in the configuration., type: str, required: true}
  socket: {description: The unix socket supervisord listens on., type: path, required: true}
  state: {description: What to reach., choices: [started, stopped, restarted], required: true, type: str}
  timeout: {description: Seconds to wait for the program's end., type: int, default: 30}
"""

EXAMPLES = """
- name: Restart the instance
  supervisor_program:
    name: arcade-1
    socket: /srv/env/run/supervisor.sock
    state: restarted
"""

RETURN = """
before: {description: The program's state before., returned: always, type: str}
"""


def stop(module: AnsibleModule, server: ServerProxy, name: str) -> None:
    server.supervisor.stopProcess(name, False)
    deadline = time.monotonic() + module.params["timeout"]
    # Asking often also makes supervisord look often: on its own it looks once a second.
    while server.supervisor.getProcessInfo(name)["statename"] not in STOPPED_STATES:
        if time.monotonic() > deadline:
            module.fail_json(msg=f"{name} does not stop within {module.params['timeout']} s")
        time.sleep(0.03)


def state_of(module: AnsibleModule, server: ServerProxy, name: str) -> str:
    try:
        return str(server.supervisor.getProcessInfo(name)["statename"])
    except Fault as fault:
        # The configuration that names it may be one that platform-up.yml only simulated.
        if module.check_mode and fault.faultCode == Faults.BAD_NAME:
            return "UNKNOWN"
        raise


def finish(module: AnsibleModule, before: str, *, changed: bool) -> None:
    after = module.params["state"] if changed else before
    module.exit_json(changed=changed, before=before, diff={"before": f"{before}\n", "after": f"{after}\n"})


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "socket": {"type": "path", "required": True},
            "state": {"choices": ["started", "stopped", "restarted"], "required": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    name, wanted = module.params["name"], module.params["state"]
    server = connect(module.params["socket"])
    if server is None:
        if wanted == "stopped" or module.check_mode:
            finish(module, "no supervisord", changed=wanted != "stopped")
        module.fail_json(msg="supervisord does not answer: run platform-up.yml first")
    try:
        before = state_of(module, server, name)
        must_stop = wanted != "started" and before not in STOPPED_STATES
        must_start = wanted == "restarted" or (wanted == "started" and before not in ALIVE_STATES | {"BACKOFF"})
        if must_stop and not module.check_mode:
            stop(module, server, name)
        if must_start and not module.check_mode:
            server.supervisor.startProcess(name, False)
    except Fault as fault:
        module.fail_json(msg=f"supervisord refuses for {name}: {fault.faultString}")
    finish(module, before, changed=must_stop or must_start)


if __name__ == "__main__":
    main()
