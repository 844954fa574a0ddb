"""Standard streams that never end a command: closed from the start, closed half-way, of any encoding."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast


class Outlet:
    """A stream for as long as somebody reads it: after the first write that fails, it is silent for good.

    What a command does must not depend on whether its reader stays; `lost` says what was in the way.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        if self.lost is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._silence(error)
        return len(text)

    def flush(self) -> None:
        if self.lost is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._silence(error)

    def _silence(self, error: OSError) -> None:
        """What is still in the buffer would fail again when Python closes the stream."""
        self.lost = error
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def opened() -> Iterator[Outlet]:
    """The standard streams made safe while a command runs. Gives what stands for standard output."""
    _fill()
    before = sys.stdout, sys.stderr
    for stream in (sys.stdin, *before):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    out, err = Outlet(sys.stdout), Outlet(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def _fill() -> None:
    """Open what the caller closed. Python says None for it; and the next file would get its number, and our text."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            with contextlib.suppress(OSError):
                os.set_inheritable(null, null == number)
            setattr(sys, name, os.fdopen(null, mode, encoding="utf-8", closefd=False))
