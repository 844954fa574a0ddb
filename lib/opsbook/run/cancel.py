"""The cancel ladder: first stop before the next effect, then interrupt, then end the whole tree."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

_early: list[signal.Signals] = []


def remember(number: int, _: Any) -> None:
    """Handler of a signal that comes before a run listens: `Cancel.listen` hands it on."""
    _early.append(signal.Signals(number))


def forget() -> None:
    """Signals that a run before this one left."""
    _early.clear()


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
