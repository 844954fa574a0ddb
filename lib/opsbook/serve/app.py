"""The web application: what it answers at each address. It listens on this machine only (`commands/serve.py`)."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol

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
from opsbook.incidents import intake
from opsbook.serve import LOG, dashboards, pages, people
from opsbook.serve.environments import EnvironmentsPage
from opsbook.serve.serving import HEADERS, RECORD, Serving, asked, body, page, serving_of

LARGEST = 4 * 1024 * 1024
"""Bytes of a notification."""

_LOOK = 0.5
"""Seconds between two looks at the journal of an incident that somebody watches."""


def application(serving: Serving) -> Starlette:
    """The application; it is reached by names of this machine only, whatever a page of elsewhere asks of a browser."""
    script = (Path(html.__file__).parent / "templates/serve/live.js").read_bytes()
    made = Starlette(
        routes=[
            Route("/", RedirectResponse("/incidents", 302), methods=["GET"]),
            Route("/hooks/alertmanager", _hook, methods=["POST"]),
            Route("/sign-in", people.sign_in),
            Route("/sign-out", people.sign_out, methods=["POST"]),
            Route("/incidents", people.listing),
            Route("/incidents/open", people.open_, methods=["GET", "POST"]),
            Route("/incidents/{incident}", people.incident),
            Route("/incidents/{incident}/events", _events),
            Route("/incidents/{incident}/{form}", people.act, methods=["GET", "POST"]),
            Route("/runs/{run}", _run),
            Route("/runs/{run}/events", _run_events),
            Route("/environments", _environments),
            Route("/environments/events", _environments_events),
            Route("/dashboards/{environment}/{name}", _dashboard),
            Route("/dashboards/{environment}/{name}/events", _dashboard_events),
            Route("/live.js", Response(script, 200, HEADERS, "text/javascript"), methods=["GET"]),
            Route("/healthz", _health),
            Route("/metrics", _metrics),
            *([Mount("/site", StaticFiles(directory=serving.site, html=True))] if serving.site else []),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])],
        exception_handlers={OpsbookError: _said},
    )
    made.state.serving = serving
    return made


# -- alerts


async def _hook(request: Request) -> Response:
    serving = serving_of(request)
    refused = _refusal(request, serving)
    if refused is None:
        try:
            data = await body(request, LARGEST)
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


# -- pages


async def _events(request: Request) -> Response:
    return _changes(request, await people.watched(request))


async def _run(request: Request) -> Response:
    """The page of a run: while it goes on one that stays current, then its record."""
    text, recorded = await run_in_threadpool(pages.run, serving_of(request).settings, request.path_params["run"])
    return HTMLResponse(text, headers=RECORD) if recorded else page(text)


async def _run_events(request: Request) -> Response:
    settings, run = serving_of(request).settings, request.path_params["run"]
    return _changes(request, await run_in_threadpool(pages.RunPage, settings, run))


async def _environments(request: Request) -> Response:
    return page(await asked(request, EnvironmentsPage(serving_of(request).settings).text))


async def _environments_events(request: Request) -> Response:
    return _changes(request, EnvironmentsPage(serving_of(request).settings), partial(asked, request))


async def _dashboard(request: Request) -> Response:
    return page(await asked(request, (await _plotted(request)).text))


async def _dashboard_events(request: Request) -> Response:
    return _changes(request, await _plotted(request), partial(asked, request))


async def _plotted(request: Request) -> dashboards.DashboardPage:
    serving, wanted = serving_of(request), request.path_params
    over = request.query_params.get("over", dashboards.OVER[0])
    about = (serving.settings, wanted["environment"], wanted["name"], over, serving.site)
    return await asked(request, partial(dashboards.DashboardPage, *about))


class Changing(Protocol):
    """A page that stays current while somebody watches it."""

    def mark(self) -> tuple[int, ...]: ...

    def body(self) -> str: ...


def _changes(
    request: Request, page: Changing, run: Callable[[Callable[[], str]], Awaitable[str]] = run_in_threadpool
) -> Response:
    """What changes of a page, each time it does, as server-sent events. `run` reads it in a thread."""
    ending = serving_of(request).ending

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

    return StreamingResponse(changes(), headers=HEADERS, media_type="text/event-stream")


async def _said(_: Request, error: Exception) -> Response:
    return page(pages.problem(str(error)), 404 if isinstance(error, InputError) else 500)


# -- for machines


async def _health(request: Request) -> Response:
    """Whether alerts become incidents: 503 while they are kept, and cannot be written."""
    counted, waiting = serving_of(request).counted, len(serving_of(request).spool.waiting())
    problem = "; ".join(filter(None, [counted.failing, *serving_of(request).problems()]))
    told = {"ok": not problem, "waiting": waiting, "problem": problem}
    return JSONResponse(told, 503 if problem else 200)


async def _metrics(request: Request) -> Response:
    serving = serving_of(request)
    text = await run_in_threadpool(serving.metrics.text, serving.counted, len(serving.spool.waiting()))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")
