#!/usr/bin/python
"""Ansible module: read what one instance serves, or wait until it serves a version."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.caddy_admin import ask
from ansible.module_utils.caddy_files import content
from ansible.module_utils.supervised import connect

DOCUMENTATION = """
module: instance_state
short_description: Read what one instance serves, or wait until it serves a version
description:
  - Only reads, and reads in check mode too. There it waits for nothing, for what would bring the version
    up is only simulated: whether an instance that is not ready on it will be cannot be said, and the
    task is skipped.
options:
  url: {description: Where the instance itself answers., type: str, required: true}
  environment_mark:
    description: What the instance says which environment it belongs to; whoever says otherwise is somebody else.
    type: str
    required: true
  app_folder: {description: The folder with the instance's releases., type: path, required: true}
  pool_file: {description: The instance's file in Caddy's pool folder., type: path, required: true}
  colour_file: {description: The file with its colour., type: path, required: true}
  admin_socket: {description: The Unix socket of Caddy's admin API., type: path, required: true}
  name: {description: The instance's name under supervisord., type: str, required: true}
  socket: {description: The unix socket supervisord listens on., type: path, required: true}
  log: {description: The instance's log; its last line is part of a failure., type: path, required: true}
  version: {description: The version to wait for., type: str}
  wait_seconds:
    description: How long to wait for it. Fails when the time is over or supervisord gave up.
    type: float
    default: 0
"""

EXAMPLES = """
- name: Wait until the instance is ready on the version
  instance_state:
    url: http://127.0.0.1:9001
    environment_mark: dev/1a2b3c4d5e6f
    app_folder: /srv/env/app/arcade-1
    pool_file: /srv/env/caddy/pool/arcade-1
    colour_file: /srv/env/caddy/colour/arcade-1
    admin_socket: /srv/env/run/admin.sock
    name: arcade-1
    socket: /srv/env/run/supervisor.sock
    log: /srv/env/logs/arcade-1.log
    version: 1.2.0
    wait_seconds: 20
"""

RETURN = """
current: {description: The version that starts; empty before the first deploy., returned: always, type: str}
version: {description: The version that answers; empty when nothing does., returned: always, type: str}
ready: {description: Whether it can serve requests., returned: always, type: bool}
in_pool: {description: Whether Caddy sends it requests., returned: always, type: bool}
colour:
  description: Its colour if it is to serve, else C(spare); empty where the load balancer has no place for it.
  returned: always
  type: str
problem: {description: Why it is not ready., returned: always, type: str}
releases: {description: The versions that are unpacked., returned: always, type: list, elements: str}
"""


class StrangerError(OSError):
    """Somebody else answers."""


def get(url: str, mark: str) -> tuple[int, str]:
    try:
        answer = urllib.request.urlopen(url, timeout=5)  # noqa: S310
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        said = answer.headers.get("Arcade-Environment", "")
        if said != mark:
            owner = f"an instance of {said}" if said else "something that is no instance of this platform"
            raise StrangerError(f"{url} is answered by {owner}, not by this environment's ({mark})")
        return answer.status, answer.read().decode(errors="replace")


def served(url: str, mark: str) -> dict[str, object]:
    try:
        _, answer = get(f"{url}/version", mark)
        version = str(json.loads(answer).get("version", ""))
        status, text = get(f"{url}/readyz", mark)
    except (OSError, ValueError, AttributeError) as error:
        return {"version": "", "ready": False, "problem": str(error)}
    ready = status == 200
    return {"version": version, "ready": ready, "problem": "" if ready else f"/readyz answers {status}: {text.strip()}"}


def in_pool(pool_file: Path, admin_socket: str) -> bool:
    """Tell a pool that nobody uses from one that Caddy reads."""
    if not pool_file.exists() or not pool_file.read_text():
        return False
    try:
        ask(admin_socket, "/reverse_proxy/upstreams")
    except OSError:
        return False
    return True


def wait(module: AnsibleModule) -> dict[str, object]:
    name, wanted, seconds = (module.params[key] for key in ("name", "version", "wait_seconds"))
    deadline = time.monotonic() + seconds
    while True:
        found = served(module.params["url"], module.params["environment_mark"])
        reached = found["ready"] and found["version"] == wanted
        if module.check_mode and wanted is not None and not reached:
            module.exit_json(skipped=True, msg=f"whether {name} will be ready on {wanted} cannot be said in check mode")
        if module.check_mode or not seconds or reached:
            return found
        if given_up(module) or time.monotonic() > deadline:
            module.fail_json(msg=explanation(module, found), **found)
        time.sleep(0.05)


def given_up(module: AnsibleModule) -> bool:
    server = connect(module.params["socket"])
    return server is not None and server.supervisor.getProcessInfo(module.params["name"])["statename"] == "FATAL"


def explanation(module: AnsibleModule, found: dict[str, object]) -> str:
    log = Path(module.params["log"])
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    name, version = module.params["name"], module.params["version"]
    problem = found["problem"] or f"it serves {found['version']}"
    return f"{name} does not become ready on {version}: {problem}. {log} ends with: {''.join(lines[-1:])}"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "environment_mark": {"type": "str", "required": True},
            "app_folder": {"type": "path", "required": True},
            "pool_file": {"type": "path", "required": True},
            "colour_file": {"type": "path", "required": True},
            "admin_socket": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "socket": {"type": "path", "required": True},
            "log": {"type": "path", "required": True},
            "version": {"type": "str"},
            "wait_seconds": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["app_folder"])
    link = folder / "current"
    module.exit_json(
        changed=False,
        current=link.readlink().name if link.is_symlink() else "",
        colour=content(Path(module.params["colour_file"])),
        in_pool=in_pool(Path(module.params["pool_file"]), module.params["admin_socket"]),
        releases=sorted(path.name for path in folder.glob("releases/[0-9]*")),
        **wait(module),
    )


if __name__ == "__main__":
    main()
