"""The levels of a cancel: stop before the next effect, then interrupt, then end the whole process tree."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator

from opsbook.core.model.planned import STOP_AFTER
from opsbook.core.model.text import duration

_BY_FORCE = 3

_early: list[signal.Signals] = []
"""Signals that arrived before the run listens: `Cancel.listen` delivers them."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """From the first file of a record to its seal, a signal may only cancel the run, never leave half a record."""
    _early.clear()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, lambda n, _: _early.append(signal.Signals(n))) for each in numbers}
    # A lost terminal does not end the run; later questions find nobody. Not SIG_IGN: children would inherit it.
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Cancel:
    """How urgently the run should stop: 0 not at all, 1 before the next effect, 2 now, 3 and more by force.

    `stop_after` is the time in seconds after which a signal that nobody can repeat counts as sent again.
    """

    def __init__(self, stop_after: float = STOP_AFTER) -> None:
        self._stop_after = stop_after
        self._next: asyncio.TimerHandle | None = None
        self.level = 0
        self.by = ""
        self.changed = asyncio.Event()
        self.on_request: Callable[[str, int], None] = lambda by, level: None

    def request(self, by: str) -> None:
        """Raise the level by one."""
        self.level += 1
        self.by = self.by or by
        self.on_request(by, self.level)
        self.changed.set()

    def clear(self) -> None:
        """Reset the level: the request was handled, and what follows (a rollback) is intended."""
        self.level = 0
        self.changed.clear()
        self._settle()

    def _signalled(self, by: str, again: str = "") -> None:
        """A signal raises the level; without a terminal nobody sends the next one, so it follows by itself."""
        self.request(by + again)
        self._settle()
        if self.level < _BY_FORCE and not os.isatty(0):
            again = f", again after {duration(self._stop_after)}"
            self._next = asyncio.get_running_loop().call_later(self._stop_after, self._signalled, by, again)

    def _settle(self) -> None:
        if self._next is not None:
            self._next.cancel()

    def _deliver_early(self, by: str) -> None:
        """Deliver signals that arrived before the run listened."""
        while _early:
            self._signalled(f"{by} ({_early.pop(0).name})")

    def listen(self, by: str) -> Callable[[], None]:
        """Treat SIGINT and SIGTERM as requests. Returns a function that ends this: both are ignored from then on.

        The seal follows, and a signal must not leave a half-sealed record.
        """
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self._signalled, f"{by} ({number.name})")
        # call_soon, since the handler that journals requests is not set yet.
        loop.call_soon(self._deliver_early, by)

        def undo() -> None:
            self._settle()
            for number in numbers:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)

        return undo
