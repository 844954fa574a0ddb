"""What the modules of the load balancer share: Caddy's admin API, on a Unix socket that only this environment has."""

from __future__ import annotations

import http.client
import json
import socket as sockets
from typing import Any


class Refusal(OSError):
    """Caddy answers, and says no."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("127.0.0.1", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = sockets.socket(sockets.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(socket: str, method: str, path: str, body: bytes | None = None, timeout: float = 5) -> str:
    """Answer what the admin API says. Raises Refusal for a status that is no success, OSError for no answer."""
    connection = _Connection(socket, timeout)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise Refusal(text.strip())
    return text


def ask(socket: str, path: str, timeout: float = 5) -> Any:
    """Answer the JSON that the admin API gives. Raises OSError."""
    try:
        return json.loads(call(socket, "GET", path, timeout=timeout))
    except ValueError as error:
        raise OSError(f"no JSON: {error}") from error
