"""Run one program, pass its output on while it runs, keep it, and end its process group if it must stop."""

import codecs
import math
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import Interrupted
from opsbook.core.effects.clean import revealed
from opsbook.params import Secret

LIMIT = 1024 * 1024
"""Bytes kept of each stream: half from its beginning, half from its end."""

_POLL = 0.1
_LONGEST_LINE = 16 * 1024
"""Longest line, in characters, that is passed on while a program runs."""

_LONG = re.compile(rf"(?<![^\r\n])[^\r\n]{{{_LONGEST_LINE + 1},}}")
_SHOW = 0.25
"""Seconds between two batches of lines."""

_LINGER = 1.0
"""Seconds to read a program's output after its end, if a leftover process holds the pipes."""


GRACE = 1.0
"""Seconds that a program gets to end by itself."""


@dataclass(frozen=True)
class Program:
    """What to start. `env` is added to this process's environment; None takes a variable away. `timeout` is in seconds.

    `watch` gets its output while it runs; without one, whole lines of it are passed on. If it must stop, its group gets
    SIGTERM, and SIGKILL `grace` seconds later; with `interrupt`, it gets SIGINT first, alone. `limit`: bytes kept of
    each stream.
    """

    words: list[str]
    cwd: str | None = None
    env: Mapping[str, str | Secret | None] | None = None
    stdin: str | Secret | None = None
    timeout: float = math.inf
    watch: "Watch | None" = None
    pass_fds: tuple[int, ...] = ()
    grace: float = GRACE
    interrupt: bool = False
    limit: int = LIMIT

    @property
    def environment(self) -> dict[str, str]:
        given = {**os.environ, **(self.env or {})}
        return {name: str(revealed(value)) for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class ProcessExit:
    """How a program ended: its exit code (negative for a signal), its output, seconds it took."""

    rc: int
    stdout: str
    stderr: str
    seconds: float


class Watch:
    """Gets the output of a program while it runs; `name` is stdout or stderr."""

    def saw(self, name: str, text: str) -> None:
        """The program printed this."""

    def tick(self) -> None:
        """Called ten times a second or more often."""

    def close(self) -> None:
        """The program has ended."""


class Lines(Watch):
    """Passes whole lines to who watches the effect: part of a secret would not be redacted."""

    def __init__(self, call: EffectCall) -> None:
        self._call = call
        self._rest: dict[str, str] = {}
        self._ready: list[tuple[str, str]] = []
        self._next = 0.0

    def saw(self, name: str, text: str) -> None:
        text = self._rest.get(name, "") + text
        whole = max(text.rfind("\n"), text.rfind("\r")) + 1
        # What stays of a line that is too long is enough to see that it is.
        self._rest[name] = text[whole:][: _LONGEST_LINE + 1]
        if whole:
            self._ready.append((name, _LONG.sub("(a long line)", text[:whole])))

    def tick(self) -> None:
        if self._ready and time.monotonic() >= self._next:
            self._next = time.monotonic() + _SHOW
            self._send()

    def close(self) -> None:
        for name, rest in list(self._rest.items()):
            self.saw(name, "\n" if rest else "")
        self._send()

    def _send(self) -> None:
        for name, same in groupby(self._ready, key=lambda each: each[0]):
            self._call.printed(name, "".join(text for _, text in same))
        self._ready.clear()


def run(call: EffectCall, program: Program) -> ProcessExit:
    """Run the program.

    Raises OSError if it cannot be started, Interrupted on a timeout or a cancel, with what it printed until then.
    """
    started, watch = time.monotonic(), program.watch or Lines(call)
    stdin = None if program.stdin is None else str(revealed(program.stdin))
    process = subprocess.Popen(
        program.words,
        cwd=program.cwd,
        env=program.environment,
        pass_fds=program.pass_fds,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    out, err = (_Kept(name, watch, program.limit) for name in ("stdout", "stderr"))
    with selectors.DefaultSelector() as selector:
        _register(selector, process, out, err, stdin)
        try:
            _wait(call, process, selector, started + program.timeout, watch)
        except BaseException as stopped:
            _end(process, program)
            _read_rest(selector)
            if isinstance(stopped, Interrupted):
                stopped.result = {"stdout": out.text(), "stderr": err.text()}
            raise
        finally:
            for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
                with suppress(OSError):
                    pipe.close()
            watch.close()
    return ProcessExit(process.returncode, out.text(), err.text(), time.monotonic() - started)


def _register(
    selector: selectors.BaseSelector,
    process: "subprocess.Popen[bytes]",
    out: "_Kept",
    err: "_Kept",
    stdin: str | None,
) -> None:
    for pipe, into in ((process.stdout, out), (process.stderr, err)):
        assert pipe is not None
        selector.register(pipe, selectors.EVENT_READ, into)
    if process.stdin is not None:
        # A program that does not read its input must not block this loop.
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE, memoryview((stdin or "").encode()))


def _wait(
    call: EffectCall,
    process: "subprocess.Popen[bytes]",
    selector: selectors.BaseSelector,
    deadline: float,
    watch: Watch,
) -> None:
    """Read the program's output until it has ended. Raises Interrupted on a timeout or a cancel."""
    lingering = math.inf
    while selector.get_map() and time.monotonic() < lingering:
        for ready, _ in selector.select(_POLL):
            _move(selector, ready)
        watch.tick()
        if process.poll() is not None:
            lingering = min(lingering, time.monotonic() + _LINGER)
        else:
            _check(call, process, deadline)
    while process.poll() is None:
        _check(call, process, deadline)
        time.sleep(_POLL)


def _read_rest(selector: selectors.BaseSelector) -> None:
    """Read what the program printed last. A leftover process may print without end."""
    deadline = time.monotonic() + _LINGER
    while time.monotonic() < deadline:
        ready = [key for key, _ in selector.select(0) if isinstance(key.data, _Kept)]
        for key in ready:
            _move(selector, key)
        if not ready:
            return


def _move(selector: selectors.BaseSelector, ready: selectors.SelectorKey) -> None:
    """Move one piece of output or input; close a finished pipe."""
    if isinstance(ready.data, _Kept):
        piece = os.read(ready.fd, 65536)
        ready.data.add(piece)
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
    """Passes a stream on as text, and keeps its beginning and its end."""

    name: str
    watch: Watch
    limit: int = LIMIT
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    left_out: int = 0
    decoder: codecs.IncrementalDecoder = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))

    def add(self, piece: bytes) -> None:
        if text := self.decoder.decode(piece, final=not piece):
            self.watch.saw(self.name, text)
        room = self.limit // 2 - len(self.head)
        self.head += piece[:room]
        self.tail += piece[room:]
        if len(self.tail) > self.limit:
            self.left_out += len(self.tail) - self.limit // 2
            del self.tail[: -self.limit // 2]

    def text(self) -> str:
        if not self.left_out and len(self.tail) <= self.limit // 2:
            return (self.head + self.tail).decode("utf-8", errors="replace")
        cut = max(0, len(self.tail) - self.limit // 2)
        head, tail = self.head.decode("utf-8", "replace"), self.tail[cut:].decode("utf-8", "replace")
        return f"{head}\n… {self.left_out + cut} bytes left out …\n{tail}"


def _end(process: "subprocess.Popen[bytes]", program: Program) -> None:
    """End the program's process group. Processes outside the group may hold the pipes; do not wait for them."""
    signals = [(os.killpg, signal.SIGTERM), (os.killpg, signal.SIGKILL)]
    for send, number in [(os.kill, signal.SIGINT), *signals] if program.interrupt else signals:
        with suppress(ProcessLookupError):
            send(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=program.grace)
            break
