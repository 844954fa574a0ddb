"""Ansible, imported once for a run: each playbook runs in a process that is forked from this one.

Its descriptor 0 is the socket on which `door/forked.py` asks; its input from the kernel ends when that is gone. What
Ansible reads while it is imported (variables, ansible.cfg, the folder) must be the same for the playbook: if it is not,
the answer is no, and a new process imports Ansible for it.
"""

import atexit
import contextlib
import gc
import importlib
import os
import random
import resource
import selectors
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from marshal import loads
from pathlib import Path
from typing import NamedTuple, NoReturn

from opsbook.core.effects import ansible_ahead, ansible_payload
from opsbook.core.effects.ansible_command import at_start

_NAMES = (
    "ansible.cli.playbook",
    "ansible.executor.process.worker",
    "ansible.executor.task_executor",
    "ansible.module_utils.connection",
    "ansible.playbook.handler_task_include",
    "ansible.playbook.included_file",
    "ansible.playbook.role_include",
    "ansible.plugins.action",
    "ansible.plugins.callback",
    "ansible.plugins.connection",
    "ansible.plugins.inventory",
    "ansible.plugins.shell",
    "ansible.plugins.strategy",
    "ansible.utils.hashing",
    "multiprocessing.popen_fork",
    "multiprocessing.resource_tracker",
    "multiprocessing.synchronize",
    "opsbook.core.effects.check_judge",
    "pty",
    "tomllib",
    "xml.dom.minidom",
)
"""What a playbook needs. No single plugins: a project may have its own under the same name."""

_ROOM = 65536
_LIMITS = sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")})

Request = tuple[list[str], dict[bytes, bytes], bytes, int]
"""Arguments with the program, environment, folder and umask."""


def serve(listening: socket.socket, run: Callable[[], None]) -> None:
    """Fork a process that calls `run` for each client, until the kernel is gone, which holds the other end of input."""
    for name in _NAMES:
        # Other versions of Ansible may have fewer parts; a playbook says what it misses.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from ansible import constants

    # What it said belongs to each playbook, and a log that is open to all would be closed for each.
    if os.fstat(2).st_size or constants.DEFAULT_LOG_PATH:
        return
    ansible_payload.install()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _Server(listening, run).serve()


class _Server:
    def __init__(self, listening: socket.socket, run: Callable[[], None]) -> None:
        self._listening = listening
        self._run = run
        self._begun = _state(os.environb, bytes(Path.cwd()), os.getpid())
        self._has_read = False
        self._running: dict[socket.socket, _Forked] = {}
        self._events = selectors.DefaultSelector()
        self._events.register(0, selectors.EVENT_READ, lambda: sys.exit(0))
        self._events.register(listening, selectors.EVENT_READ, self._take)

    def serve(self) -> None:
        """Answer clients until the kernel is gone. In a process that was forked, this does not return."""
        ansible_payload.read()
        if not self._events.select(0):
            self._read_ahead()
        try:
            while True:
                for key, _ in self._events.select():
                    # One before it may have closed it, and a new one has its number.
                    if self._events.get_map().get(key.fd) is key:
                        # What fails for one must not end the others.
                        with contextlib.suppress(OSError):
                            key.data()
        finally:
            for forked in self._running.values():
                forked.kill()

    def _read_ahead(self) -> None:
        """Do once what each playbook would do: before the first one, or beside it if it waits already."""
        if self._has_read:
            return
        self._has_read = True
        # A playbook may run already, and must not end with what fails here: it meets that by itself.
        with contextlib.suppress(Exception):
            ansible_ahead.read()
        gc.collect()
        gc.freeze()

    def _take(self) -> None:
        client, _ = self._listening.accept()
        streams: list[int] = []
        try:
            client.send(b"ready")
            data, streams, _, _ = socket.recv_fds(client, 16, 4)
            if data == b"ended?":
                self._end_gone()
                _tell(client, b"yes")
            elif len(streams) == 4:
                self._answer(client, streams)
        finally:
            for stream in streams:
                os.close(stream)
            if client not in self._running:
                client.close()

    def _answer(self, client: socket.socket, streams: list[int]) -> None:
        asked = os.pread(streams[3], os.fstat(streams[3]).st_size, 0)
        request: Request = loads(asked)  # noqa: S302  (from this run)
        asker, *_ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if _state(request[1], request[2], asker) == self._begun:
            self._fork(client, request, streams)
        else:
            _tell(client, b"no")

    def _fork(self, client: socket.socket, request: Request, streams: list[int]) -> None:
        # It begins when it is known here: one that nobody follows ends with the other end of this pipe.
        wait, begin = os.pipe()
        try:
            playbook = os.fork()
            if not playbook:
                os.close(begin)
                _become(request, [*streams[:3], wait], self._run)
            self._running[client] = forked = _Forked(playbook, os.pidfd_open(playbook))
            self._events.register(forked.ended, selectors.EVENT_READ, lambda: self._close(client))
            self._events.register(client, selectors.EVENT_READ, lambda: self._end(client))
            _tell(client, b"%d" % playbook)
            os.write(begin, b"!")
        finally:
            os.close(wait)
            os.close(begin)
        self._read_ahead()

    def _end(self, client: socket.socket) -> None:
        """The client was killed: it sends nothing more."""
        self._events.unregister(client)
        self._running[client].kill()

    def _close(self, client: socket.socket) -> None:
        forked = self._running.pop(client)
        self._events.unregister(forked.ended)
        os.close(forked.ended)
        with contextlib.suppress(KeyError):
            self._events.unregister(client)
        _tell(client, b"%d" % os.waitstatus_to_exitcode(os.waitpid(forked.playbook, 0)[1]))
        client.close()

    def _end_gone(self) -> None:
        """End every playbook whose client was killed, and wait until it has ended."""
        for client, forked in self._running.items():
            try:
                client.recv(1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            except OSError:
                pass
            forked.kill()
            os.waitid(os.P_PIDFD, forked.ended, os.WEXITED | os.WNOWAIT)


class _Forked(NamedTuple):
    """A process that runs a playbook; `ended` is a descriptor that says when."""

    playbook: int
    ended: int

    def kill(self) -> None:
        """End its group, as ansible-runner does. It has none before it has begun."""
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                kill(self.playbook, signal.SIGKILL)


def _tell(client: socket.socket, what: bytes) -> None:
    with contextlib.suppress(OSError):
        client.send(what)


def _state(environment: Mapping[bytes, bytes], folder: bytes, process: int) -> object:
    """What Ansible has read when it is imported with this environment and folder, and what a process has of others."""
    from ansible.config.manager import find_ini_config_file

    config = find_ini_config_file()
    status = Path(config).stat() if config else None
    file = (config, status.st_mtime_ns, status.st_ino, status.st_size) if status else None
    limits = [resource.prlimit(process, number) for number in _LIMITS]
    nice, cores = os.getpriority(os.PRIO_PROCESS, process), os.sched_getaffinity(process)
    named = {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()}
    return at_start(named), folder, file, limits, nice, cores


def _become(request: Request, streams: Sequence[int], run: Callable[[], None]) -> NoReturn:
    """Be what the client would be: its arguments, environment, folder and streams; in a session without a terminal."""
    code: object = 255
    try:
        if not os.read(streams[3], 1):
            os._exit(255)
        os.setsid()
        for number in range(3):
            os.dup2(streams[number], number)
        os.closerange(3, _ROOM)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as ansible-runner starts it
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.argv = request[0]
        os.environb.clear()
        os.environb.update(request[1])
        os.chdir(request[2])
        os.umask(request[3])
        Path("/proc/self/comm").write_text("ansible-playbook", encoding="ascii")
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        _anew()
        run()
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        code = 1
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else code is not None)


def _anew() -> None:
    """What is made when Ansible is imported: a folder for temporary files, removed at the end, and a random number."""
    from ansible import constants
    from ansible.utils import vars as ids

    ids.random_int = f"{random.getrandbits(32):08x}"

    atexit._clear()
    # Its default names other settings.
    own = constants.config.get_config_value("DEFAULT_LOCAL_TMP", variables=vars(constants))
    constants.DEFAULT_LOCAL_TMP = own
