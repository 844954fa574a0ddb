"""What the web application works with, and how it answers."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from opsbook.errors import InputError
from opsbook.serve.metrics import Metrics
from opsbook.serve.sessions import Sessions
from opsbook.serve.spool import Spool
from opsbook.serve.worker import Counted
from opsbook.settings import Settings

T = TypeVar("T")

_A_SECOND, _AT_ONCE = 100.0, 500.0
"""Notifications that are accepted a second on average, and at once. More are asked to come again."""

_ASKING = 4
"""Threads that wait for Prometheus and for health checks."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # With no-referrer a browser would not say from which page a form comes.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
RECORD = {
    **HEADERS,
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; frame-ancestors 'none'",
}
"""Of a record, which may have been made elsewhere: nothing runs in it."""


@dataclass
class Serving:
    """What the application works with. A sender of alerts has to show the `token`; `problems` says
    what keeps it from working. `site` is the folder of the docs site as it was built, if there is one, and
    `address` how browsers reach it through a proxy.
    """

    settings: Settings
    token: bytes
    spool: Spool
    counted: Counted
    metrics: Metrics
    wake: Callable[[], None]
    problems: Callable[[], list[str]] = list
    site: Path | None = None
    address: str = ""
    bucket: "Bucket" = field(default_factory=lambda: Bucket(_A_SECOND, _AT_ONCE))
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    asking: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_ASKING))

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.settings)


class Bucket:
    """A limit of requests: so many a second on average, and so many at once."""

    def __init__(self, rate: float, most: float) -> None:
        self._rate, self._most = rate, most
        self._left, self._at = most, time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def serving_of(request: Request) -> Serving:
    found: Serving = request.app.state.serving
    return found


async def asked(request: Request, work: Callable[[], T]) -> T:
    """Do what waits for the answers of others, in one of few threads: those that take alerts in stay free."""
    return await to_thread.run_sync(work, limiter=serving_of(request).asking)


def page(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, HEADERS)


async def body(request: Request, largest: int) -> bytes:
    """The body, read no further than it may be long. Raises InputError."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > largest:
            raise InputError(f"It has more than {largest} bytes.")
    return bytes(data)
