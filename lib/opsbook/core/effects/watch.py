"""How effects show that they go on. In a run the runner shows it, so that nothing is done here."""

import os
from collections.abc import Callable
from typing import Any

from opsbook.errors import EffectFailed


class Watcher:
    """Sees one effect go on. `end` has the frame that ended it, and the result or error that the cell gets."""

    def sample(self, sample: Any, show: str) -> None:
        """Something happened; `show` is one line for the person who watches."""

    def end(self, status: str, outcome: Any) -> None:
        """It succeeded, failed, or was interrupted."""

    def was(self, then: dict[str, Any]) -> None:
        """It succeeded from a recording, in which it was at the time of `then`."""


start: Callable[[str], Watcher] = lambda _: Watcher()  # noqa: E731  (a lab puts its own here)
"""Makes the watcher of an effect, from its summary."""


def replayed(summary: str, then: dict[str, Any] | None, answer: Callable[[], Any]) -> Any:
    """What `answer` gives for an effect that was recorded; in a lab it is shown, with its time of `then`."""
    if then is None or "OPSBOOK_GATE" in os.environ:
        return answer()
    watcher = start(summary)
    try:
        value = answer()
    except EffectFailed as failed:
        watcher.end("failed", failed)
        raise
    watcher.end("succeeded", value)
    watcher.was(then)
    return value


def when(then: dict[str, Any]) -> str:
    """The time of a recorded effect: UTC, the same wherever it is replayed."""
    return f"  at {str(then['at'])[11:19]}Z, took {then['seconds']:g} s"
