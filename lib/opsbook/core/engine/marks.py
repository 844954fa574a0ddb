"""Marks among a kernel's output: what was printed before a request comes before it in the journal."""

import asyncio
import contextlib

LIMIT = 10.0
"""Seconds to wait for a mark. A kernel that sends none loses its place in the output, not its effect."""


class Marks:
    """The marks of one kernel, by the numbers of their requests."""

    def __init__(self) -> None:
        self._seen: dict[int, asyncio.Event] = {}

    def clear(self) -> None:
        self._seen.clear()

    def see(self, number: int) -> None:
        """A mark came."""
        self._seen.setdefault(number, asyncio.Event()).set()

    async def wait(self, number: int) -> None:
        """Until the mark of this request has come, or will not come any more."""
        event = self._seen.setdefault(number, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), LIMIT)
        self._seen.pop(number, None)
