"""Ansible's modules without the time that it takes to import them: see `modules.py`.

Usage: python -m tests.support.module_server SOCKET HOOK. It serves until its input ends. Each module is a process with
the environment, folder, limits and streams of the program that asked (`module_program.py`), and a session of its own.
"""

import contextlib
import gc
import importlib
import importlib.util
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import traceback
import warnings
from collections.abc import Iterator
from marshal import loads
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support import begun

_NAMES = (
    "ansible.module_utils._internal._ansiballz._loader",
    "ansible.module_utils._internal._ansiballz._extensions",
    "ansible.module_utils.common.file",
    "ansible.module_utils.facts.ansible_collector",
    "ansible.module_utils.facts.default_collectors",
    "ansible.module_utils.facts.namespace",
    "ansible.module_utils.urls",
    "base64",
    "configparser",
    "importlib.metadata",
    "psycopg",
    "runpy",
    "secrets",
    "supervisor.xmlrpc",
    "tarfile",
    "xmlrpc.client",
    "zipfile",
)
"""What modules import, of Ansible, of Python and of what the reference platform runs on."""

_AT_START = ("LC_", "LANG", "TZ", "LD_", "MALLOC_", "PYTHON")
_KNOWN = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
"""Variables that an interpreter reads once, when it starts; and those of them that make no difference here."""
_SPACES = ("mnt", "net", "pid", "user")
_LIMITS = [value for name, value in vars(resource).items() if name.startswith("RLIMIT_")]
_ROOM = 65536

Request = tuple[str, dict[bytes, bytes], bytes, int, list[int]]
"""The module's file (empty if it is the input), the environment, the folder, the umask, the signals ignored."""


class _Packed(list[str]):
    """Where a package of Ansible is: first in what a module brings with it, which Ansible puts first in the path."""

    def __iter__(self) -> Iterator[str]:
        first = sys.path[0]
        if first.endswith(".zip"):
            yield f"{first}/{self[0].partition('site-packages/')[2]}"
        yield from super().__iter__()


class Server:
    """Forks, and tells each program how its module ended."""

    def __init__(self, place: str) -> None:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(place)
        self._listening.listen(128)
        self._path = sys.path[1:]
        self._environment = {os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()}
        self._events = selectors.DefaultSelector()
        self._events.register(0, selectors.EVENT_READ)
        self._events.register(self._listening, selectors.EVENT_READ)

    def serve(self) -> Request | None:
        """Serve until nobody will ask any more. Returns what was asked, in a process that was forked for it."""
        while True:
            for key, _ in self._events.select():
                if key.fd == 0:
                    return None
                if key.fileobj is not self._listening:
                    key.data()
                elif (request := self._asked()) is not None:
                    return request

    def _asked(self) -> Request | None:
        """Fork for a program, if it is still there and can be served; in the new process, what it asked."""
        program, _ = self._listening.accept()
        with contextlib.ExitStack() as opened:
            fds: list[int] = []
            with contextlib.suppress(OSError):
                _, fds, _, _ = socket.recv_fds(program, 16, 4)
            for fd in fds:
                opened.callback(os.close, fd)
            asked = self._accepted(program, fds[3]) if len(fds) == 4 else None
            if asked is None:
                program.close()
                return None
            request, asker = asked
            pid = os.fork()
            if pid:
                self._follow(pid, program)
                return None
            opened.pop_all()
        try:
            self._become(request, asker, fds)
        except BaseException:
            traceback.print_exc()
            os._exit(255)
        return request

    def _accepted(self, program: socket.socket, asked: int) -> tuple[Request, int] | None:
        """The request and the process that asks, which knows by now that it is served; nothing if it cannot be."""
        asker, *who = struct.unpack("3i", program.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        request = _read(asked)
        with contextlib.suppress(OSError):
            if who == [os.geteuid(), os.getegid()] and self._can(request, asker):
                program.send(b"yes")
                return request, asker
        return None

    def _can(self, request: Request, asker: int) -> bool:
        """Whether a module that is forked here has what its program has. Raises OSError if that is gone."""
        same = _at_start(request[1]) == _at_start(self._environment)
        return same and all(Path(f"/proc/{asker}/ns/{n}").samefile(f"/proc/self/ns/{n}") for n in _SPACES)

    def _follow(self, pid: int, program: socket.socket) -> None:
        """Tell the program when its module has ended, and the module what ends the program."""
        ended = os.pidfd_open(pid)

        def tell() -> None:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            with contextlib.suppress(OSError):
                program.send(str(code).encode())
            self._events.unregister(ended)
            os.close(ended)
            with contextlib.suppress(KeyError):
                self._events.unregister(program)
            program.close()

        def end() -> None:
            if program.fileno() == -1:
                return
            said = b""
            with contextlib.suppress(OSError):
                said = program.recv(64)
            with contextlib.suppress(ProcessLookupError):
                # A signal reaches the whole group; who is killed says nothing any more.
                os.killpg(pid, int(said)) if said else os.kill(pid, signal.SIGKILL)
            self._events.unregister(program)

        self._events.register(ended, selectors.EVENT_READ, tell)
        self._events.register(program, selectors.EVENT_READ, end)

    def _become(self, request: Request, asker: int, fds: list[int]) -> None:
        """Have everything that the program has from whoever started it."""
        os.setsid()
        for limit in _LIMITS:
            # The program is gone if it was killed meanwhile; then this ends, too.
            with contextlib.suppress(OSError):
                resource.setrlimit(limit, resource.prlimit(asker, limit))
        for number in range(3):
            os.dup2(fds[number], number)
        self._events.close()
        os.closerange(3, _ROOM)
        os.chdir(request[2])
        os.umask(request[3])
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN if number in request[4] else signal.SIG_DFL)
        sys.path[:] = [str(Path(request[0]).parent) if request[0] else "", *self._path]


def _read(asked: int) -> Request:
    size = os.fstat(asked).st_size
    request: Request = loads(os.pread(asked, size, 0))
    return request


def _at_start(environment: dict[bytes, bytes]) -> dict[str, bytes]:
    named = {os.fsdecode(name): value for name, value in environment.items()}
    return {name: value for name, value in named.items() if name.startswith(_AT_START) and name not in _KNOWN}


def _prepare(hook: str) -> None:
    """Import what modules import, and keep compiled what they bring with them."""
    spec = importlib.util.spec_from_file_location("sitecustomize", f"{hook}/sitecustomize.py")
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    for name in _NAMES:
        # The demo's environment lacks some of them, and some change what is warned of.
        with contextlib.suppress(ImportError), warnings.catch_warnings():
            importlib.import_module(name)
    for name in ("ansible", "ansible.modules", "ansible.module_utils"):
        package = importlib.import_module(name)
        package.__path__ = _Packed(package.__path__)


def _is_served(place: str) -> bool:
    """Whether another session of tests has a server here. If not, what one has left is removed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other, contextlib.suppress(OSError):
        other.connect(place)
        return True
    Path(place).unlink(missing_ok=True)
    return False


def _module(request: Request) -> Any:
    """The function that runs the module as the main one."""
    script = request[0]
    environment = {os.fsdecode(name): os.fsdecode(value) for name, value in request[1].items()}
    module = ModuleType("__main__")
    module.__file__ = script
    begun.begin(module, [], environment)
    begun.show([sys.executable, script] if script else [sys.executable], environment)
    begun.forget()
    source = Path(script).read_bytes() if script else sys.stdin.buffer.read()
    module.__file__ = script or "<stdin>"
    return lambda: exec(compile(source, str(module.__file__), "exec"), module.__dict__)


def main() -> None:
    place, hook = sys.argv[1:]
    _prepare(hook)
    # Without this, opsbook would not find the processes of a run. And one server is enough.
    if not begun.show(sys.orig_argv, os.environ) or _is_served(place):
        return
    server = Server(place)
    gc.collect()
    gc.freeze()
    request = server.serve()
    if request is not None:
        begun.leave(_module(request))
    with contextlib.suppress(FileNotFoundError):
        Path(place).unlink()


if __name__ == "__main__":
    _itself = sys.modules["__main__"]
    main()
