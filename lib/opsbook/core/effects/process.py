"""Run one program, keep its output, and end its process group if it must stop."""

import math
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from opsbook.core.effects.channel import EffectCall, Interrupted

LIMIT = 1024 * 1024
"""Bytes kept of each stream: half from its beginning, half from its end."""

_POLL = 0.1
_LONGEST_LINE = 4096
"""Longest output line, in bytes, that is shown as progress."""

_SHOW = 0.25
"""Seconds between two lines that are shown as progress."""

_LINGER = 1.0
"""Seconds to read a program's output after its end, if a leftover process holds the pipes."""


@dataclass(frozen=True)
class ProcessExit:
    """How a program ended: its exit code (negative for a signal), its output, seconds it took."""

    rc: int
    stdout: str
    stderr: str
    seconds: float


def run(
    call: EffectCall, argv: list[str], cwd: str | None, env: Mapping[str, str], stdin: str | None, timeout: float
) -> ProcessExit:
    """Run the program for at most `timeout` seconds; `env` is added to this process's environment.

    Raises OSError if it cannot be started, Interrupted on a timeout or a cancel.
    """
    started = time.monotonic()
    data = None if stdin is None else stdin.encode()
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = _wait(call, process, data, started + timeout)
    except BaseException:
        _end(process)
        raise
    return ProcessExit(process.returncode, out.text(), err.text(), time.monotonic() - started)


def _wait(
    call: EffectCall, process: "subprocess.Popen[bytes]", data: bytes | None, deadline: float
) -> "tuple[_Kept, _Kept]":
    """Read the program's output until it has ended. Raises Interrupted on a timeout or a cancel."""
    kept = _Kept(), _Kept()
    pipes = [(process.stdout, kept[0]), (process.stderr, kept[1])]
    progress = _Progress(call)
    with selectors.DefaultSelector() as selector:
        for pipe, into in pipes:
            assert pipe is not None
            selector.register(pipe, selectors.EVENT_READ, into)
        if process.stdin is not None:
            # A program that does not read its input must not block this loop.
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, memoryview(data or b""))
        lingering = math.inf
        while selector.get_map() and time.monotonic() < lingering:
            for ready, _ in selector.select(_POLL):
                _move(selector, ready, progress)
            if process.poll() is not None:
                lingering = min(lingering, time.monotonic() + _LINGER)
            else:
                _check(call, process, deadline)
    while process.poll() is None:
        _check(call, process, deadline)
        time.sleep(_POLL)
    _close(process)
    return kept


def _move(selector: selectors.BaseSelector, ready: selectors.SelectorKey, progress: "_Progress") -> None:
    """Move one piece of output or input; close a finished pipe."""
    if isinstance(ready.data, _Kept):
        piece = os.read(ready.fd, 65536)
        ready.data.add(piece)
        progress.saw(piece)
        done = not piece
    else:
        left = ready.data
        try:
            left = left[os.write(ready.fd, left[:65536]) :] if left else left
        except BlockingIOError:
            return
        except BrokenPipeError:
            left = left[:0]
        done = not left
        if not done:
            selector.modify(ready.fileobj, selectors.EVENT_WRITE, left)
    if done:
        selector.unregister(ready.fileobj)
        stream = ready.fileobj
        assert not isinstance(stream, int)
        stream.close()  # type: ignore[attr-defined]


def _check(call: EffectCall, process: "subprocess.Popen[bytes]", deadline: float) -> None:
    late = time.monotonic() > deadline
    if late or call.cancelled.is_set():
        name = process.args[0] if isinstance(process.args, list) else ""
        raise Interrupted(f"{name!s} was stopped: {'timed out' if late else 'cancelled'}")


@dataclass
class _Kept:
    """Keeps the beginning and the end of a stream."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    left_out: int = 0

    def add(self, piece: bytes) -> None:
        room = LIMIT // 2 - len(self.head)
        self.head += piece[:room]
        self.tail += piece[room:]
        if len(self.tail) > LIMIT:
            self.left_out += len(self.tail) - LIMIT // 2
            del self.tail[: -LIMIT // 2]

    def text(self) -> str:
        if not self.left_out and len(self.tail) <= LIMIT // 2:
            return (self.head + self.tail).decode("utf-8", errors="replace")
        cut = max(0, len(self.tail) - LIMIT // 2)
        head, tail = self.head.decode("utf-8", "replace"), self.tail[cut:].decode("utf-8", "replace")
        return f"{head}\n… {self.left_out + cut} bytes left out …\n{tail}"


class _Progress:
    """Shows the latest complete line of output from time to time."""

    def __init__(self, call: EffectCall) -> None:
        self._call = call
        self._next = time.monotonic() + _SHOW
        self._rest = b""

    def saw(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        shown = next((line for line in reversed(lines) if line.strip()), None)
        if len(self._rest) > _LONGEST_LINE:
            # Show only complete lines: part of a secret would not be redacted.
            self._rest = b" " * _LONGEST_LINE + b"."
        if shown is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + _SHOW
            text = shown.decode("utf-8", errors="replace") if len(shown) < _LONGEST_LINE else "(a long line)"
            self._call.sample({"line": text}, text)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the program's process group. Processes outside the group may hold the pipes; do not wait for them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
            break
    _close(process)


def _close(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
