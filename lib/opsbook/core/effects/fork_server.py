"""A process that has imported what takes long, and forks itself for each client of `door/forked.py`.

A client hands over its arguments, environment, folder, umask and streams; the fork has these, and a session of its own.
Whatever ends the client ends the fork; its end is told to the client, which ends alike. A client whose process was
started with something else than this one (`state`) is refused, and starts the program by itself.
"""

import atexit
import contextlib
import os
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

_ROOM = 65536
_LIMITS = sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")})

Request = tuple[list[str], dict[bytes, bytes], bytes, int]
"""Arguments with the program, environment, folder and umask."""

State = Callable[[Mapping[str, str], bytes], object]
"""What the process of this environment and folder has read before it does anything: equal for equal beginnings."""

ENDED = b"ended?"
"""Asks whether everything has ended whose client was killed."""


class ForkServer:
    """Serves until `parent`, a descriptor, is at its end: whoever started it holds the other one."""

    def __init__(self, listening: socket.socket, parent: int, state: State, run: Callable[[], None]) -> None:
        """`run` is what a fork does."""
        self._listening = listening
        self._state = state
        self._run = run
        self._begun = self._of(os.environb, bytes(Path.cwd()), os.getpid())
        self._running: dict[socket.socket, _Forked] = {}
        self._events = selectors.DefaultSelector()
        self._events.register(parent, selectors.EVENT_READ, lambda: sys.exit(0))
        self._events.register(listening, selectors.EVENT_READ, self._take)
        self.after_fork: Callable[[], None] = lambda: None
        """Called in this process when a client has its fork."""
        self.also_ended: Callable[[], None] = lambda: None
        """Called before a client is told that everything has ended: waits for what the forks have started elsewhere."""

    def waited_for(self) -> bool:
        """Whether somebody waits already."""
        return bool(self._events.select(0))

    def serve(self) -> None:
        """Answer clients. In a process that was forked, this does not return."""
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

    def _take(self) -> None:
        client, _ = self._listening.accept()
        streams: list[int] = []
        try:
            client.send(b"ready")
            data, streams, _, _ = socket.recv_fds(client, 16, 4)
            if data == ENDED:
                self._end_gone()
                self.also_ended()
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
        if self._of(request[1], request[2], asker) == self._begun:
            self._fork(client, request, streams)
        else:
            _tell(client, b"no")

    def _of(self, environment: Mapping[bytes, bytes], folder: bytes, process: int) -> object:
        """What a process has read and what it has of others."""
        named = {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()}
        limits = [resource.prlimit(process, number) for number in _LIMITS]
        nice, cores = os.getpriority(os.PRIO_PROCESS, process), os.sched_getaffinity(process)
        return self._state(named, folder), limits, nice, cores

    def _fork(self, client: socket.socket, request: Request, streams: list[int]) -> None:
        # It begins when it is known here: one that nobody follows ends with the other end of this pipe.
        wait, begin = os.pipe()
        try:
            forked = os.fork()
            if not forked:
                os.close(begin)
                _become(request, [*streams[:3], wait], self._run)
            self._running[client] = made = _Forked(forked, os.pidfd_open(forked))
            self._events.register(made.ended, selectors.EVENT_READ, lambda: self._close(client))
            self._events.register(client, selectors.EVENT_READ, lambda: self._end(client))
            _tell(client, b"%d" % forked)
            os.write(begin, b"!")
        finally:
            os.close(wait)
            os.close(begin)
        self.after_fork()

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
        _tell(client, b"%d" % os.waitstatus_to_exitcode(os.waitpid(forked.process, 0)[1]))
        client.close()

    def _end_gone(self) -> None:
        """End everything whose client was killed, and wait until it has ended."""
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
    """A process that was forked; `ended` is a descriptor that says when."""

    process: int
    ended: int

    def kill(self) -> None:
        """End its group, as ansible-runner does. It has none before it has begun."""
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                kill(self.process, signal.SIGKILL)


def wait_for_end(place: str, patience: float) -> None:
    """Wait until everything has ended there whose client was killed; `patience` in seconds."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        asking.settimeout(patience)
        asking.connect(place)
        asking.recv(16)
        asking.send(ENDED)
        asking.recv(16)


def _tell(client: socket.socket, what: bytes) -> None:
    with contextlib.suppress(OSError):
        client.send(what)


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
        run()
        code = 0
    except SystemExit as ended:
        code = ended.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        code = 1
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else code is not None)
