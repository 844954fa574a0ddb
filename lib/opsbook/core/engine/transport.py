"""Requests of one kernel and their answers: frames on a socket, each request with a number.

A frame is four bytes of length, big-endian, then UTF-8 JSON. A slow request runs as a task under its number. The kernel
publishes a mark in its output before each request, so that the journal has output and effects in the order in which
they happened.
"""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

Frame = dict[str, Any]

LIMIT = 10.0
"""Seconds to wait for a mark. Without one, only the order of output and effect is lost."""

LARGEST = 64 * 1024 * 1024
"""Largest frame in bytes. A larger one ends the connection."""

_LENGTH = struct.Struct(">I")


async def receive(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None at the end of the stream, or for a malformed one."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > LARGEST:
            return None
        message = json.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError, ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


class Transport:
    """Passes requests to `take` with number and operation; other frames are ignored.

    `lost`: the connection to the kernel is gone.
    """

    def __init__(self, take: Callable[[int, str, Frame], None]) -> None:
        self.lost = False
        self._take = take
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self._marks: dict[int, asyncio.Event] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def listen(self, path: Path) -> None:
        """Accept the kernel on this socket. A second connection is closed at once."""
        self._marks.clear()
        self.lost = False
        self._server = await asyncio.start_unix_server(self._serve, str(path))

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a connected kernel until it disconnects."""
        await self._serve(*await asyncio.open_connection(sock=connection))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._writer = writer
        while (frame := await receive(reader)) is not None:
            if isinstance(frame.get("id"), int):
                self._take(frame["id"], str(frame.get("op")), frame)
        # The end of an earlier connection does not mean that the current one is lost.
        self.lost = self.lost or self._writer is writer
        writer.close()

    async def close(self) -> None:
        """Stop serving, cancel running tasks, and hang up."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def send(self, number: int, do: str, **told: Any) -> None:
        """Answer a request, if a kernel is connected; number 0 addresses all of them."""
        if self._writer is not None and not self._writer.is_closing():
            frame = {"id": number, "do": do, **told}
            body = json.dumps(frame, ensure_ascii=False).encode("utf-8", errors="surrogatepass")
            self._writer.write(_LENGTH.pack(len(body)) + body)

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
