"""Commands without the time an interpreter needs to start: a process that has imported opsbook forks one for each.

Each is a process of its own, with its own descriptors, environment, folder and signals, that calls what
`python -m opsbook.cli.main` calls. What it does not show is that a command imports what it needs and starts by
itself; `tests/cli/test_command_line.py` does. `tests/support/forked.py` is the other end.
"""

import gc
import importlib
import json
import os
import pkgutil
import selectors
import socket
import sys
from types import ModuleType
from typing import Any

from tests.support import begun, forked_parts

_ELSEWHERE = (
    "opsbook.core.effects",
    "opsbook.integrations.mkdocs",
    "opsbook.integrations.papermill",
    "opsbook.core.engine.process.keeper",
    # Imports an effect's parts, and only once somebody asks for an approval.
    "opsbook.core.trust.telling",
    "opsbook.lab.jupyter_server",
    "opsbook.core.engine.vault",
    "opsbook.integrations.pytest",
)
"""What runs in other processes than the command's."""

_ALSO = ("jupyter_client.blocking", "jupytext", "nbformat", "rich.console", "rich.table")
_SITE = (
    "material.plugins.offline.plugin",
    "material.plugins.search.plugin",
    "mkdocs.commands.build",
    "mkdocs.contrib.search",
    "opsbook.integrations.mkdocs",
    "pygments.formatters.html",
    "pymdownx.inlinehilite",
    "pymdownx.quotes",
    "pymdownx.superfences",
)
"""What only `opsbook site` needs."""

_ROOM = 65536


def main() -> int:
    command = _import()
    control = socket.socket(fileno=int(sys.argv[1]))
    gc.collect()
    gc.freeze()
    arguments = _serve(control, command)
    if arguments is not None:
        begun.leave(lambda: command.main(arguments))
    return 0


def _import() -> ModuleType:
    import opsbook

    command = importlib.import_module("opsbook.cli.main")
    # It says first which modules nobody needs.
    command.main(["--version"])
    for found in pkgutil.walk_packages(opsbook.__path__, "opsbook."):
        if not found.name.startswith(_ELSEWHERE):
            importlib.import_module(found.name)
    for name in _ALSO:
        importlib.import_module(name)
    forked_parts.prepare()
    return command


def _serve(control: socket.socket, command: ModuleType) -> list[str] | None:
    """Fork for each request. Returns its arguments in the new process; in this one nothing, when nobody asks more."""
    living = selectors.DefaultSelector()
    living.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in living.select():
            if key.fileobj is not control:
                living.unregister(key.fileobj)
                _ended(key.fd, *key.data)
                continue
            _, fds, _, _ = socket.recv_fds(control, 16, 5)
            if not fds:
                control.close()
                return None
            request = _read(fds[3])
            pid = os.fork()
            if not pid:
                living.close()
                control.close()
                return _become(request, fds, command)
            for fd in fds[:3]:
                os.close(fd)
            os.write(fds[4], f"{pid}\n".encode())
            living.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, fds[4]))


def _read(asked: int) -> dict[str, Any]:
    with os.fdopen(asked, "rb") as file:
        file.seek(0)
        request: dict[str, Any] = json.load(file)
    if "site" in request["arguments"]:
        os.environ["NO_MKDOCS_2_WARNING"] = "1"
        for name in _SITE:
            importlib.import_module(name)
    return request


def _ended(pidfd: int, pid: int, status: int) -> None:
    os.close(pidfd)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.write(status, f"{code}\n".encode())
    os.close(status)


def _become(request: dict[str, Any], fds: list[int], command: ModuleType) -> list[str]:
    """Everything that a process has from whoever starts it."""
    if request["session"]:
        os.setsid()
    for number in range(3):
        os.dup2(fds[number], number)
    os.closerange(3, _ROOM)
    os.chdir(request["folder"])
    sys.path[0] = str(request["folder"])
    arguments = list(request["arguments"])
    begun.begin(command, arguments, request["environment"])
    begun.show([sys.executable, "-m", command.__name__, *arguments], request["environment"])
    return arguments


if __name__ == "__main__":
    _itself = sys.modules["__main__"]
    sys.exit(main())
