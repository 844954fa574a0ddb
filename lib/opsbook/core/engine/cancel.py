"""The levels of a cancel: stop before the next effect, then interrupt, then end the whole process tree."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

_early: list[signal.Signals] = []
"""Signals that arrived before the run listens: `Cancel.listen` delivers them."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """From the first file of a record to its seal, a signal may only cancel the run, never leave half a record."""
    _early.clear()
    before = {number: signal.signal(number, _remember) for number in (signal.SIGINT, signal.SIGTERM)}
    # A lost terminal does not end the run; later questions find nobody. Not SIG_IGN: children would inherit it.
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _remember(number: int, _: Any) -> None:
    _early.append(signal.Signals(number))


class Cancel:
    """How urgently the run should stop: 0 not at all, 1 before the next effect, 2 now, 3 and more by force."""

    def __init__(self) -> None:
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

    def _deliver_early(self, by: str) -> None:
        """Deliver signals that arrived before the run listened."""
        while _early:
            self.request(f"{by} ({_early.pop(0).name})")

    def listen(self, by: str) -> Callable[[], None]:
        """Treat SIGINT and SIGTERM as requests. Returns a function that ends this: both are ignored from then on.

        The seal follows, and a signal must not leave a half-sealed record.
        """
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.request, f"{by} ({number.name})")
        # call_soon, since the handler that journals requests is not set yet.
        loop.call_soon(self._deliver_early, by)

        def undo() -> None:
            for number in numbers:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)

        return undo
