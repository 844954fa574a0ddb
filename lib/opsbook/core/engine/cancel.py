"""The cancel ladder: first stop before the next effect, then interrupt, then end the whole tree."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

_early: list[signal.Signals] = []
"""Signals that came before the run listens: `Cancel.listen` hands them on."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """From the first file of a record to its seal, a signal may only cancel what runs, never leave half a record."""
    _early.clear()
    before = {number: signal.signal(number, _remember) for number in (signal.SIGINT, signal.SIGTERM)}
    # A lost terminal ends no run; whoever is asked then is not there any more. Not SIG_IGN: children would have it too.
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _remember(number: int, _: Any) -> None:
    _early.append(signal.Signals(number))


class Cancel:
    """How urgently somebody wants the run to stop: 0 not, 1 before the next effect, 2 now, 3 and more at any price."""

    def __init__(self) -> None:
        self.level = 0
        self.by = ""
        self.changed = asyncio.Event()
        self.on_request: Callable[[str, int], None] = lambda by, level: None

    def request(self, by: str) -> None:
        """One step up the ladder."""
        self.level += 1
        self.by = self.by or by
        self.on_request(by, self.level)
        self.changed.set()

    def clear(self) -> None:
        """The request was dealt with: what follows (a rollback) is wanted."""
        self.level = 0
        self.changed.clear()

    def _hand_on(self, by: str) -> None:
        """What came before anybody listened."""
        while _early:
            self.request(f"{by} ({_early.pop(0).name})")

    def listen(self, by: str) -> Callable[[], None]:
        """Take SIGINT and SIGTERM as requests; returns what ends that: from then on they are ignored.

        What follows is the seal, and a record that is half sealed would be worth less than either.
        """
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.request, f"{by} ({number.name})")
        # Soon, not now: whoever journals requests is not there yet.
        loop.call_soon(self._hand_on, by)

        def undo() -> None:
            for number in numbers:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)

        return undo
