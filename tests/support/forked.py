"""The command line in a process that is forked from one that has imported everything: see `fork_server.py`."""

import contextlib
import inspect
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import ROOT

_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "COV", "LD_", "MALLOC_")
"""Variables that an interpreter reads once, when it starts."""

_PIPE = 16000
"""Characters that a pipe takes in any case, with nobody reading."""

_usual = {**os.environ, "PYTHONWARNINGS": "error"}
"""Not what the first test has: if that is something else, all that follow would start interpreters."""
_server: "Server | None" = None
_one = threading.Lock()


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: str, seconds: float
) -> tuple[int, str, str] | None:
    """Exit code, output and errors of a command; nothing if this environment needs an interpreter of its own."""
    server = _for(environment)
    if server is None or len(stdin) > _PIPE:
        return None
    return server.run(arguments, folder, environment, stdin, seconds)


def can(environment: Mapping[str, str]) -> bool:
    """Whether a command with this environment can be forked."""
    return _for(environment) is not None


def _for(environment: Mapping[str, str]) -> "Server | None":
    global _server  # noqa: PLW0603  (one for all tests of a process)
    with _one:
        if _server is None:
            _server = Server(_usual)
    same = _at_start(environment) == _server.at_start and "COVERAGE_PROCESS_CONFIG" not in environment
    return _server if same else None


def end() -> None:
    """Nobody will ask any more."""
    global _server  # noqa: PLW0603
    if _server is not None:
        _server.end()
        _server = None


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_START)}


class Server:
    """A process that forks commands, for as long as this one lives."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.at_start = _at_start(environment)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, **self.at_start},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def end(self) -> None:
        self._control.close()
        self._process.wait(timeout=60)

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: str, seconds: float
    ) -> tuple[int, str, str]:
        with contextlib.ExitStack() as opened:
            ins, outs, errs, status = (opened.enter_context(_pipe()) for _ in range(4))
            self.ask(arguments, folder, environment, [ins.reading, outs.writing, errs.writing], status.writing)
            os.write(ins.writing, stdin.encode())
            for pipe in (ins, outs, errs, status):
                pipe.end_writing()
            return _answer(outs, errs, status, time.monotonic() + seconds)

    def ask(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        streams: Sequence[int],
        status: int,
        *,
        session: bool = False,
    ) -> None:
        """Have it forked with these streams. A line of `status` is its number then, and the next one its exit code."""
        request = {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "session": session,
        }
        asked = os.memfd_create("request")
        os.write(asked, json.dumps(request).encode())
        socket.send_fds(self._control, [b"run"], [*streams, asked, status])
        os.close(asked)


_options = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]


class Popen(subprocess.Popen[str]):
    """A command that goes on while its test does, forked by the server, whose child it is."""

    def _execute_child(self, args: Any, *options: Any) -> None:
        wanted = _options.bind(self, args, *options).arguments
        server = _for(wanted["env"])
        assert server is not None
        reading, writing = os.pipe()
        self._status = os.fdopen(reading, "rb", buffering=0)
        streams = [wanted["p2cread"], wanted["c2pwrite"], wanted["errwrite"]]
        server.ask(args[3:], wanted["cwd"], wanted["env"], streams, writing, session=bool(wanted["start_new_session"]))
        os.close(writing)
        self.pid = int(self._status.readline())
        self._child_created = True
        ends = [wanted[name] for name in _ENDS]
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]

    def _internal_poll(self, *_: object, **__: object) -> int | None:
        pid, status = (0, 0) if self.returncode is not None else self._try_wait(os.WNOHANG)
        if pid:
            self._handle_exitstatus(status)  # type: ignore[attr-defined]
        return self.returncode

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if flags & os.WNOHANG and not select.select([self._status], [], [], 0)[0]:
            return 0, 0
        code = int(self._status.readline())
        self._status.close()
        return self.pid, code << 8 if code >= 0 else -code


_ENDS = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


class _Pipe:
    """Both ends of a pipe, each closed once."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self._written = False

    def end_writing(self) -> None:
        if not self._written:
            self._written = True
            os.close(self.writing)

    def end(self) -> None:
        self.end_writing()
        os.close(self.reading)


@contextlib.contextmanager
def _pipe() -> Iterator[_Pipe]:
    pipe = _Pipe()
    try:
        yield pipe
    finally:
        pipe.end()


def _answer(outs: _Pipe, errs: _Pipe, status: _Pipe, deadline: float) -> tuple[int, str, str]:
    """What came until the command ended and everybody closed its output."""
    read = {outs.reading: b"", errs.reading: b"", status.reading: b""}
    with selectors.DefaultSelector() as open_ends:
        for reading in read:
            open_ends.register(reading, selectors.EVENT_READ)
        while open_ends.get_map():
            ready = open_ends.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                os.kill(int(read[status.reading].split()[0]), signal.SIGKILL)
                raise AssertionError(f"The command did not end in time: {read}")
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                read[key.fd] += data
                if not data:
                    open_ends.unregister(key.fd)
    assert len(read[status.reading].split()) == 2, "the process that forks commands is gone"
    return int(read[status.reading].split()[1]), _text(read[outs.reading]), _text(read[errs.reading])


def _text(content: bytes) -> str:
    return content.decode().replace("\r\n", "\n").replace("\r", "\n")
