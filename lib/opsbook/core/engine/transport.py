"""Requests of one kernel and their answers: frames on a socket, each request with a number.

A slow request runs as a task under its number. The kernel publishes a mark in its output before each request, so that
the journal has output and effects in the order in which they happened.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from opsbook.core.engine.process.wire import Wire

Frame = dict[str, Any]

LIMIT = 10.0
"""Seconds to wait for a mark. Without one, only the order of output and effect is lost."""


class Transport:
    """Passes requests to `take` with number and operation; other frames are ignored."""

    def __init__(self, take: Callable[[int, str, Frame], None]) -> None:
        self._take = take
        self._wire = Wire(self._received)
        self._marks: dict[int, asyncio.Event] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def listen(self, path: Path) -> None:
        """Accept the kernel on this socket. A second connection is closed at once."""
        self._marks.clear()
        await self._wire.listen(path)

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a connected kernel until it disconnects."""
        await self._wire.adopt(connection)

    @property
    def lost(self) -> bool:
        """Whether the kernel's connection is gone."""
        return self._wire.lost

    async def close(self) -> None:
        """Stop serving, and cancel running tasks."""
        self._wire.refuse_more()
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._wire.hang_up()

    def _received(self, frame: Frame) -> None:
        if isinstance(frame.get("id"), int):
            self._take(frame["id"], str(frame.get("op")), frame)

    def send(self, number: int, do: str, **told: Any) -> None:
        """Answer a request; number 0 addresses all of them."""
        self._wire.send({"id": number, "do": do, **told})

    def value(self, number: int, value: Any) -> None:
        """Answer a request with a value."""
        self.send(number, "value", value=value)

    # -- tasks

    def working(self, number: int) -> bool:
        """Whether a task runs under this number."""
        return number in self._tasks

    def work(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        """Run the work as the only task under this number."""
        task = asyncio.create_task(work)
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    def drop(self, number: int) -> None:
        """Cancel the task under this number."""
        if number in self._tasks:
            self._tasks[number].cancel()

    # -- marks

    def mark(self, number: int) -> None:
        """Note that the mark of this request was seen in the kernel's output."""
        self._marks.setdefault(number, asyncio.Event()).set()

    async def marked(self, number: int) -> None:
        """Wait for the mark of this request, for at most LIMIT seconds."""
        event = self._marks.setdefault(number, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), LIMIT)
        self._marks.pop(number, None)
