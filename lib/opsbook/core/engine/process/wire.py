"""The socket between runner and kernel: one connection, frames in both directions.

A frame is framed JSON: four bytes of length, big-endian, then UTF-8 JSON.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT = 64 * 1024 * 1024
"""Largest frame in bytes. A larger one ends the connection."""

_LENGTH = struct.Struct(">I")


def pack(message: dict[str, Any]) -> bytes:
    """The frame of a message."""
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", errors="surrogatepass")
    return _LENGTH.pack(len(body)) + body


async def receive(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The next message; None at the end of the stream, or for a malformed frame."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > LIMIT:
            return None
        message = json.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError, ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


class Wire:
    """Passes every frame of the kernel to `take`. `lost`: the connection to the kernel is gone."""

    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        self.lost = False
        self._take = take
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    async def listen(self, path: Path) -> None:
        """Accept the kernel on this socket. A second connection is closed at once."""
        self.lost = False
        self._server = await asyncio.start_unix_server(self._serve, str(path))

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a connected kernel until it disconnects."""
        await self._serve(*await asyncio.open_connection(sock=connection))

    def refuse_more(self) -> None:
        """Stop accepting connections."""
        if self._server is not None:
            self._server.close()

    def hang_up(self) -> None:
        """Close the connection, if there is one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def send(self, frame: dict[str, Any]) -> None:
        """Write one frame, if a kernel is connected."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(pack(frame))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._writer = writer
        while (frame := await receive(reader)) is not None:
            self._take(frame)
        # The end of an earlier connection does not mean that the current one is lost.
        self.lost = self.lost or self._writer is writer
        writer.close()
