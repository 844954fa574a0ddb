"""The web application: what it answers at each address. It listens on this machine only (`commands/serve.py`)."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from opsbook import html
from opsbook.errors import InputError, OpsbookError
from opsbook.incidents import intake, store
from opsbook.serve import LOG, dashboards, pages
from opsbook.serve.environments import EnvironmentsPage
from opsbook.serve.metrics import Metrics
from opsbook.serve.spool import Spool
from opsbook.serve.worker import Counted
from opsbook.settings import Settings

T = TypeVar("T")

LARGEST = 4 * 1024 * 1024
"""Bytes of a notification."""

_A_SECOND, _AT_ONCE = 100.0, 500.0
"""Notifications that are accepted a second on average, and at once. More are asked to come again."""

_ASKING = 4
"""Threads that wait for Prometheus and for health checks."""

_LOOK = 0.5
"""Seconds between two looks at the journal of an incident that somebody watches."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_RECORD = {
    **_HEADERS,
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; frame-ancestors 'none'",
}
"""Of a record, which may have been made elsewhere: nothing runs in it."""


@dataclass
class Serving:
    """What the application works with. A sender of alerts has to show the `token`; `problems` says
    what keeps it from working. `site` is the folder of the docs site as it was built, if there is one.
    """

    settings: Settings
    token: bytes
    spool: Spool
    counted: Counted
    metrics: Metrics
    wake: Callable[[], None]
    problems: Callable[[], list[str]] = list
    site: Path | None = None
    bucket: "Bucket" = field(default_factory=lambda: Bucket(_A_SECOND, _AT_ONCE))
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    asking: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_ASKING))


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


def application(serving: Serving) -> Starlette:
    """The application; it is reached by names of this machine only, whatever a page of elsewhere asks of a browser."""
    script = (Path(html.__file__).parent / "templates/serve/live.js").read_bytes()
    made = Starlette(
        routes=[
            Route("/", RedirectResponse("/incidents", 302), methods=["GET"]),
            Route("/hooks/alertmanager", _hook, methods=["POST"]),
            Route("/incidents", _list),
            Route("/incidents/{incident}", _incident),
            Route("/incidents/{incident}/events", _events),
            Route("/runs/{run}", _run),
            Route("/runs/{run}/events", _run_events),
            Route("/environments", _environments),
            Route("/environments/events", _environments_events),
            Route("/dashboards/{environment}/{name}", _dashboard),
            Route("/dashboards/{environment}/{name}/events", _dashboard_events),
            Route("/live.js", Response(script, 200, _HEADERS, "text/javascript"), methods=["GET"]),
            Route("/healthz", _health),
            Route("/metrics", _metrics),
            *([Mount("/site", StaticFiles(directory=serving.site, html=True))] if serving.site else []),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])],
        exception_handlers={OpsbookError: _said},
    )
    made.state.serving = serving
    return made


def _serving(request: Request) -> Serving:
    found: Serving = request.app.state.serving
    return found


# -- alerts


async def _hook(request: Request) -> Response:
    serving = _serving(request)
    refused = _refusal(request, serving)
    if refused is None:
        try:
            data = await _body(request)
            intake.parsed(data)
        except InputError as error:
            refused = PlainTextResponse(f"{error.message}\n", 400)
        except ClientDisconnect:
            refused = PlainTextResponse("It was not sent to its end.\n", 400)
    if refused is not None:
        serving.counted.refused += 1
        if refused.status_code != 401:
            # Whoever sent it has the token, and may not send it again.
            said = bytes(refused.body).decode().strip()
            serving.counted.last_refusal = said
            LOG.warning("a notification was refused: %s", said)
        return refused
    try:
        await run_in_threadpool(serving.spool.put, data)
    except OSError as error:
        serving.counted.refused += 1
        # Alertmanager sends it again.
        return PlainTextResponse(f"It cannot be kept: {error.strerror}.\n", 503, {"Retry-After": "10"})
    serving.counted.accepted += 1
    serving.wake()
    return PlainTextResponse("kept\n")


def _refusal(request: Request, serving: Serving) -> Response | None:
    """Why a notification is refused before it is read."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    known = scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), serving.token)
    if not known:
        return PlainTextResponse("The token is missing or wrong.\n", 401, {"WWW-Authenticate": "Bearer"})
    if not serving.bucket.take():
        # Not 429: Alertmanager takes that for an answer, and forgets the notification.
        return PlainTextResponse("Too many at once; send it again.\n", 503, {"Retry-After": "1"})
    if int(request.headers.get("content-length") or 0) > LARGEST:
        return PlainTextResponse(f"It has more than {LARGEST} bytes.\n", 413)
    return None


async def _body(request: Request) -> bytes:
    """The body, read no further than it may be long. Raises InputError."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > LARGEST:
            raise InputError(f"It has more than {LARGEST} bytes.")
    return bytes(data)


# -- pages


async def _list(request: Request) -> Response:
    serving = _serving(request)
    return _page(await run_in_threadpool(pages.listing, serving.settings, serving.counted, serving.site))


async def _watched(request: Request) -> pages.IncidentPage:
    """The page of an incident. Raises InputError: what stands in an address is no path."""
    serving = _serving(request)
    path = store.exact(serving.settings, request.path_params["incident"])
    return await run_in_threadpool(pages.IncidentPage, serving.settings, path, serving.site)


async def _incident(request: Request) -> Response:
    return _page(await run_in_threadpool((await _watched(request)).text))


async def _events(request: Request) -> Response:
    return _changes(request, await _watched(request))


async def _run(request: Request) -> Response:
    """The page of a run: while it goes on one that stays current, then its record."""
    text, recorded = await run_in_threadpool(pages.run, _serving(request).settings, request.path_params["run"])
    return HTMLResponse(text, headers=_RECORD) if recorded else _page(text)


async def _run_events(request: Request) -> Response:
    settings, run = _serving(request).settings, request.path_params["run"]
    return _changes(request, await run_in_threadpool(pages.RunPage, settings, run))


async def _environments(request: Request) -> Response:
    return _page(await _asked(request, EnvironmentsPage(_serving(request).settings).text))


async def _environments_events(request: Request) -> Response:
    return _changes(request, EnvironmentsPage(_serving(request).settings), partial(_asked, request))


async def _dashboard(request: Request) -> Response:
    return _page(await _asked(request, (await _plotted(request)).text))


async def _dashboard_events(request: Request) -> Response:
    return _changes(request, await _plotted(request), partial(_asked, request))


async def _plotted(request: Request) -> dashboards.DashboardPage:
    serving, wanted = _serving(request), request.path_params
    over = request.query_params.get("over", dashboards.OVER[0])
    about = (serving.settings, wanted["environment"], wanted["name"], over, serving.site)
    return await _asked(request, partial(dashboards.DashboardPage, *about))


async def _asked(request: Request, work: Callable[[], T]) -> T:
    """Do what waits for the answers of others, in one of few threads: those that take alerts in stay free."""
    return await to_thread.run_sync(work, limiter=_serving(request).asking)


class Changing(Protocol):
    """A page that stays current while somebody watches it."""

    def mark(self) -> tuple[int, ...]: ...

    def body(self) -> str: ...


def _changes(
    request: Request, page: Changing, run: Callable[[Callable[[], str]], Awaitable[str]] = run_in_threadpool
) -> Response:
    """What changes of a page, each time it does, as server-sent events. `run` reads it in a thread."""
    ending = _serving(request).ending

    async def changes() -> AsyncIterator[str]:
        seen = None
        while not ending.is_set() and not await request.is_disconnected():
            try:
                # Looked at before it is read: what is written meanwhile is told the next time.
                mark = await run_in_threadpool(page.mark)
                if mark != seen:
                    seen = mark
                    yield f"data: {json.dumps({'body': await run(page.body)})}\n\n"
            except (OSError, InputError):
                # Damaged or removed meanwhile: the page says that it is not connected, and asks again.
                return
            await asyncio.sleep(_LOOK)

    return StreamingResponse(changes(), headers=_HEADERS, media_type="text/event-stream")


def _page(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, _HEADERS)


async def _said(_: Request, error: Exception) -> Response:
    return _page(pages.problem(str(error)), 404 if isinstance(error, InputError) else 500)


# -- for machines


async def _health(request: Request) -> Response:
    """Whether alerts become incidents: 503 while they are kept, and cannot be written."""
    counted, waiting = _serving(request).counted, len(_serving(request).spool.waiting())
    problem = "; ".join(filter(None, [counted.failing, *_serving(request).problems()]))
    told = {"ok": not problem, "waiting": waiting, "problem": problem}
    return JSONResponse(told, 503 if problem else 200)


async def _metrics(request: Request) -> Response:
    serving = _serving(request)
    text = await run_in_threadpool(serving.metrics.text, serving.counted, len(serving.spool.waiting()))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")
