"""Framed JSON on the gate's socket: four bytes of length, big-endian, then UTF-8 JSON."""

import asyncio
import json
import struct
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
