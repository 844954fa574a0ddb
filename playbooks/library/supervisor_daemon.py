#!/usr/bin/python
"""Ansible module: the supervisord that keeps the processes of one environment."""

from __future__ import annotations

import os
import socket as sockets
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import contextmanager
from pathlib import Path
from xmlrpc.client import ServerProxy

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.listening import section, strangers
from ansible.module_utils.supervised import (
    ALIVE_STATES,
    MARKER,
    connect,
    end_processes,
    processes_of,
    wait_for_end,
)

DOCUMENTATION = """
module: supervisor_daemon
short_description: Start, update or stop the supervisord of an environment
description:
  - C(started) starts supervisord as a daemon, or makes a running one follow its changed
    configuration, and starts the programs with autostart that do not run.
  - Before, it fails if anybody else listens on one of the environment's ports. From that look until
    the programs listen, nobody else on this machine takes ports with this module.
  - C(free) only looks at the ports, and starts nothing.
  - C(stopped) ends supervisord with all its programs, and programs a lost supervisord left behind.
  - In check mode a running supervisord is not even told to read its configuration again.
options:
  config: {description: The supervisord configuration file., type: path, required: true}
  socket: {description: The unix socket supervisord listens on., type: path, required: true}
  environment_folder: {description: The folder that names the environment., type: path, required: true}
  state: {description: What to reach., choices: [started, stopped, free], default: started, type: str}
  ports:
    description: Every port of the environment, each as ADDRESS:PORT. None may be somebody else's.
    type: list
    elements: str
    default: []
  move: {description: What to type when one of the ports is taken., type: str, default: ""}
  listening:
    description: Ports, and paths of Unix sockets, that take connections when O(state=started) is reached.
    type: list
    elements: str
    default: []
  timeout: {description: Seconds to wait for it., type: int, default: 30}
  foreseen_config:
    description: In check mode, what O(config) would say if the simulated tasks before this one had written it.
    type: str
"""

EXAMPLES = """
- name: Start supervisord
  supervisor_daemon:
    config: /srv/env/supervisord.conf
    socket: /srv/env/run/supervisor.sock
    environment_folder: /srv/env
    ports: [127.0.0.1:9000, 127.0.0.1:9001]
    move: "give it other ports: opsbook env ports dev --free"
    listening: [127.0.0.1:9000, /srv/env/run/admin.sock]
"""

RETURN = """
actions: {description: What was done or would be done., returned: always, type: list, elements: str}
"""

# A daemon outlives the run that starts it: nothing of the run's own variables may stay with it.
KEPT_VARIABLES = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TZ", "USER")


BUSY_SECONDS = 120


def start_daemon(module: AnsibleModule, folder: str, config: str, socket: Path) -> list[str]:
    actions = []
    left = processes_of(folder)
    if left:
        actions.append(f"end {len(left)} processes a lost supervisord left behind")
    actions.append("start supervisord")
    if module.check_mode:
        return actions
    end_leftovers(module, folder)
    make_private(module, socket.parent)
    socket.unlink(missing_ok=True)
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "-c", config],
        env=environment | {MARKER: folder},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    if done.returncode != 0:
        module.fail_json(msg=f"supervisord does not start: {(done.stderr or done.stdout).strip()}")
    return actions


def make_private(module: AnsibleModule, folder: Path) -> None:
    """Create the socket's folder; in a shared place it may be somebody else's trap."""
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    for each in (folder, folder.parent):
        found = each.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            module.fail_json(msg=f"{each} is not a folder of the user who runs this playbook")
    folder.chmod(0o700)


def follow_config(server: ServerProxy) -> list[str]:
    """Do what `supervisorctl update` does: restart what changed, leave the rest alone."""
    added, changed, removed = server.supervisor.reloadConfig()[0]
    for name in [*changed, *removed]:
        server.supervisor.stopProcessGroup(name)
        server.supervisor.removeProcessGroup(name)
    for name in [*added, *changed]:
        server.supervisor.addProcessGroup(name)
    actions = {"add": added, "update": changed, "remove": removed}
    return [f"{action} {name}" for action, names in actions.items() for name in names]


def foresee_config(module: AnsibleModule, server: ServerProxy) -> list[str]:
    """Say what follow_config would do, without a supervisord that reads anything."""
    if module.params["foreseen_config"] is None:
        return []
    file = Path(module.params["config"])
    present = programs(file.read_text() if file.exists() else "")
    wanted = programs(module.params["foreseen_config"])
    known = {program["name"] for program in server.supervisor.getAllConfigInfo() if program["inuse"]}
    changed = [name for name in wanted if name in known and present.get(name, wanted[name]) != wanted[name]]
    actions = {"add": sorted(set(wanted) - known), "update": changed, "remove": sorted(known - set(wanted))}
    return [f"{action} {name}" for action, names in actions.items() for name in names]


def programs(config: str) -> dict[str, dict[str, str]]:
    # As supervisord itself reads it.
    parser = RawConfigParser(strict=False, inline_comment_prefixes=(";", "#"))
    parser.read_string(config)
    kind = "program:"
    return {name.removeprefix(kind): dict(parser[name]) for name in parser.sections() if name.startswith(kind)}


def start_programs(module: AnsibleModule, server: ServerProxy) -> list[str]:
    wanted = {program["name"] for program in server.supervisor.getAllConfigInfo() if program["autostart"]}
    present = states(server)
    actions = []
    for name in sorted(wanted):
        if present.get(name) not in ALIVE_STATES | {"BACKOFF"}:
            actions.append(f"start {name}")
            if not module.check_mode:
                server.supervisor.startProcess(name, False)
    return actions


@contextmanager
def taking_ports(module: AnsibleModule) -> Iterator[None]:
    """Look whether the ports are there to be had, and let nobody else take them until the programs did."""
    if module.check_mode or not module.params["ports"]:
        check_ports(module)
        yield
        return
    with section(BUSY_SECONDS) as alone:
        if not alone:
            module.fail_json(msg=f"others on this machine have been starting something for {BUSY_SECONDS} s: try again")
        check_ports(module)
        yield


def check_ports(module: AnsibleModule) -> None:
    wanted = [place(text) for text in module.params["ports"]]
    taken = strangers(wanted, module.params["environment_folder"])
    if taken:
        move = f": {module.params['move']}" if module.params["move"] else ""
        others = f" (and {len(taken) - 1} more of its ports are taken)" if len(taken) > 1 else ""
        module.fail_json(msg=f"{taken[0]}{others}. Nothing was started{move}")


def place(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    return address, int(port)


def ensure_free(module: AnsibleModule) -> list[str]:
    check_ports(module)
    return []


def ensure_started(module: AnsibleModule) -> list[str]:
    with taking_ports(module):
        return start(module)


def start(module: AnsibleModule) -> list[str]:
    socket = module.params["socket"]
    folder = module.params["environment_folder"]
    server = connect(socket)
    if server is None:
        actions = start_daemon(module, folder, module.params["config"], Path(socket))
        if module.check_mode:
            return actions
        server = wait_for_answer(module, socket)
    else:
        actions = foresee_config(module, server) if module.check_mode else follow_config(server)
        actions += start_programs(module, server)
    if not module.check_mode:
        wait_until_listening(module, server)
    return actions


def wait_until_listening(module: AnsibleModule, server: ServerProxy) -> None:
    deadline = time.monotonic() + module.params["timeout"]
    for where in module.params["listening"]:
        while not takes_connections(where):
            if time.monotonic() > deadline:
                module.fail_json(msg=f"nothing listens on {where}; supervisord says: {states(server)}")
            time.sleep(0.05)


def takes_connections(where: str) -> bool:
    local = where.startswith("/")
    with sockets.socket(sockets.AF_UNIX if local else sockets.AF_INET) as client:
        return client.connect_ex(where if local else place(where)) == 0


def states(server: ServerProxy) -> dict[str, str]:
    return {program["name"]: program["statename"] for program in server.supervisor.getAllProcessInfo()}


def wait_for_answer(module: AnsibleModule, socket: str) -> ServerProxy:
    deadline = time.monotonic() + module.params["timeout"]
    while (server := connect(socket)) is None:
        if time.monotonic() > deadline:
            module.fail_json(msg=f"supervisord was started but does not answer on {socket}")
        time.sleep(0.05)
    return server


def ensure_stopped(module: AnsibleModule) -> list[str]:
    folder = module.params["environment_folder"]
    socket = Path(module.params["socket"])
    actions = []
    server = connect(str(socket))
    if server is not None:
        actions.append("stop supervisord and its programs")
        if not module.check_mode:
            server.supervisor.shutdown()
            wait_for_end(folder, module.params["timeout"], str(socket))
    left = processes_of(folder)
    if left and not (module.check_mode and server):
        actions.append(f"end {len(left)} processes left behind")
    if not module.check_mode:
        end_leftovers(module, folder)
        socket.unlink(missing_ok=True)
    return actions


def end_leftovers(module: AnsibleModule, folder: str) -> None:
    if not end_processes(folder, patience=module.params["timeout"]):
        module.fail_json(msg=f"processes of {folder} do not end: {processes_of(folder)}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "path", "required": True},
            "socket": {"type": "path", "required": True},
            "environment_folder": {"type": "path", "required": True},
            "state": {"choices": ["started", "stopped", "free"], "default": "started"},
            "ports": {"type": "list", "elements": "str", "default": []},
            "move": {"type": "str", "default": ""},
            "listening": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 30},
            "foreseen_config": {"type": "str"},
        },
        supports_check_mode=True,
    )
    ensure = {"started": ensure_started, "stopped": ensure_stopped, "free": ensure_free}
    actions = ensure[module.params["state"]](module)
    difference = {"before": "", "after": "".join(f"{action}\n" for action in actions)}
    module.exit_json(changed=bool(actions), actions=actions, diff=difference)


if __name__ == "__main__":
    main()
