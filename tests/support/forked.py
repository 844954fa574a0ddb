"""The command line in a process that is forked from one that has imported everything: see `fork_server.py`."""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support import ROOT

_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "COV", "LD_", "MALLOC_")
"""Variables that an interpreter reads once, when it starts."""

_PIPE = 16000
"""Characters that a pipe takes in any case, with nobody reading."""

_server: "Server | None" = None
_one = threading.Lock()


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: str, seconds: float
) -> tuple[int, str, str] | None:
    """Exit code, output and errors of a command; nothing if this environment needs an interpreter of its own."""
    global _server  # noqa: PLW0603  (one for all tests of a process)
    with _one:
        if _server is None:
            _server = Server(environment)
    if _at_start(environment) != _server.at_start or "COVERAGE_PROCESS_CONFIG" in environment:
        return None
    if len(stdin) > _PIPE:
        return None
    return _server.run(arguments, folder, environment, stdin, seconds)


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
        request = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
        with contextlib.ExitStack() as opened:
            ins, outs, errs, status = (opened.enter_context(_pipe()) for _ in range(4))
            asked = os.memfd_create("request")
            opened.callback(os.close, asked)
            os.write(asked, json.dumps(request).encode())
            socket.send_fds(self._control, [b"run"], [ins.reading, outs.writing, errs.writing, asked, status.writing])
            os.write(ins.writing, stdin.encode())
            for pipe in (ins, outs, errs, status):
                pipe.end_writing()
            return _answer(outs, errs, status, time.monotonic() + seconds)


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
