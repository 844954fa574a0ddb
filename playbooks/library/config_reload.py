#!/usr/bin/python
"""Ansible module: have Prometheus or Alertmanager use its configuration files as they are now."""

from __future__ import annotations

import re
import time
import urllib.request
from pathlib import Path
from xmlrpc.client import Fault

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.supervised import connect

DOCUMENTATION = """
module: config_reload
short_description: Have Prometheus or Alertmanager use its changed configuration, without a restart
description:
  - Reads from the program's metrics when it last took its configuration. If the files are newer, or
    were not accepted, it gets SIGHUP, and this waits until it says that it took them.
  - In check mode it only asks. A program that does not run yet will be started with the files.
options:
  name:
    description: The program under supervisord, and what its metrics begin with.
    choices: [prometheus, alertmanager]
    required: true
    type: str
  url: {description: Where the program listens., type: str, required: true}
  folder: {description: The link to its configuration; see checked_files., type: path, required: true}
  socket: {description: The unix socket supervisord listens on., type: path, required: true}
  foreseen: {description: Whether a task that is only simulated would change the files., type: bool, default: false}
  timeout: {description: Seconds to wait for it., type: int, default: 30}
"""

EXAMPLES = """
- name: Have Prometheus use its configuration
  config_reload:
    name: prometheus
    url: http://127.0.0.1:9090
    folder: /srv/env/config
    socket: /srv/env/run/supervisor.sock
"""

RETURN = """
name: {description: The program., returned: always, type: str}
"""


# Nothing of the machine's proxies is between this and a port of the machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(module: AnsibleModule, path: str) -> str:
    """Answer what the program says. Raises OSError for no answer, and for one that is no success."""
    with _OPENER.open(module.params["url"] + path, timeout=5) as answer:
        return str(answer.read().decode())


def taken(module: AnsibleModule) -> tuple[bool, float]:
    """Answer whether the last attempt to take the configuration succeeded, and when one last did."""
    text = get(module, "/metrics")
    name = f"{module.params['name']}_config_last_reload"
    found = dict(re.findall(rf"^{name}_(successful|success_timestamp_seconds) (\S+)$", text, re.M))
    if len(found) < 2:
        module.fail_json(
            msg=f"{module.params['url']}/metrics has no {name}_successful: it is no {module.params['name']}"
        )
    return float(found["successful"]) == 1, float(found["success_timestamp_seconds"])


def wait_until_ready(module: AnsibleModule, deadline: float) -> None:
    """Wait until it has begun with some configuration. Raises OSError."""
    while True:
        try:
            get(module, "/-/ready")
        except OSError:
            if module.check_mode or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def reload(module: AnsibleModule, before: float, deadline: float) -> None:
    name = module.params["name"]
    server = connect(module.params["socket"])
    if server is None:
        module.fail_json(msg=f"supervisord does not answer, so {name} cannot be told to read its configuration")
    server.supervisor.signalProcess(name, "HUP")
    while taken(module)[1] <= before:
        if time.monotonic() > deadline:
            module.fail_json(msg=f"{name} does not take its configuration: the end of its log says why")
        time.sleep(0.05)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"choices": ["prometheus", "alertmanager"], "required": True},
            "url": {"type": "str", "required": True},
            "folder": {"type": "path", "required": True},
            "socket": {"type": "path", "required": True},
            "foreseen": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    deadline = time.monotonic() + module.params["timeout"]
    name, changed = module.params["name"], False
    try:
        wait_until_ready(module, deadline)
        successful, when = taken(module)
        link = Path(module.params["folder"])
        newer = link.is_symlink() and link.lstat().st_mtime > when
        changed = module.params["foreseen"] or newer or not successful
        if changed and not module.check_mode:
            reload(module, when, deadline)
    except Fault as fault:
        module.fail_json(msg=f"supervisord refuses for {name}: {fault.faultString}")
    except OSError as error:
        # Who does not answer a check will begin with the files as they are then.
        if not module.check_mode:
            module.fail_json(msg=f"{name} does not answer at {module.params['url']}: {error}")
    difference = {"before": "another configuration\n" if changed else "", "after": f"{name}\n" if changed else ""}
    module.exit_json(changed=changed, name=name, diff=difference)


if __name__ == "__main__":
    main()
