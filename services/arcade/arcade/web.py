"""The HTTP interface."""

import logging
import secrets
import time
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from ipaddress import ip_address

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from arcade import jsontext
from arcade.errors import ArcadeError, TooLargeError, UnauthorizedError
from arcade.faults import Faults
from arcade.flags import Flags
from arcade.keys import Keys
from arcade.message import MAX_BODY_BYTES, Message, parse_message
from arcade.message_log import MessageLog
from arcade.metrics import CONTENT_TYPE, UNKNOWN_ACTION, Metrics
from arcade.middleware import RequestMiddleware
from arcade.readiness import OK, Lifecycle, Readiness, ReadinessProbe
from arcade.settings import TREE, Settings
from arcade.workers import WorkerPool

PROBE_AGE_SECONDS = 1.0
_log = logging.getLogger("arcade")


@dataclass(frozen=True)
class Service:
    """The parts of one instance, and its endpoints. `faults` is None outside a sandbox."""

    settings: Settings
    pool: WorkerPool
    probe: ReadinessProbe
    metrics: Metrics
    log: MessageLog
    lifecycle: Lifecycle
    faults: Faults | None
    flags: Flags
    keys: Keys

    async def healthz(self, _request: Request) -> Response:
        """GET /healthz"""
        return answer({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """GET /readyz"""
        readiness = await self._readiness(max_age_seconds=0.0)
        body = {"status": "ready" if readiness.ready else "unready", "checks": readiness.checks}
        return answer(body, 200 if readiness.ready else 503)

    async def version(self, _request: Request) -> Response:
        """GET /version"""
        await self._apply_faults()
        probe = await self.probe.probe(PROBE_AGE_SECONDS)
        settings = self.settings
        fields = {"version": settings.version, "instance": settings.instance, "schema": probe.schema}
        return answer({"service": "arcade", **fields})

    async def settings_in_force(self, _request: Request) -> Response:
        """GET /settings"""
        return answer(asdict(self.settings.tunables))

    async def flags_of(self, request: Request) -> Response:
        """GET /flags"""
        return answer(self.flags.of(request.query_params.get("player", "")))

    async def metrics_text(self, _request: Request) -> Response:
        """GET /metrics"""
        readiness = await self._readiness(PROBE_AGE_SECONDS)
        self.metrics.ready.set(readiness.ready)
        self.metrics.schema.set((await self.probe.probe(PROBE_AGE_SECONDS)).schema or 0)
        return Response(self.metrics.text(), headers={"content-type": CONTENT_TYPE})

    async def messages(self, request: Request) -> Response:
        """POST /messages"""
        started, action, outcome = time.perf_counter(), UNKNOWN_ACTION, "error"
        try:
            message = parse_message(await read_body(request))
            action = message.action
            self.log.require_room()
            await self._apply_faults()
            reply = await self.pool.handle(replace(message, flags=self.flags.of(message.sender)))
            outcome = "ok"
        except ArcadeError as error:
            outcome = error.outcome
            raise
        finally:
            seconds = time.perf_counter() - started
            self.metrics.count_message(action, outcome, seconds)
            self.log.write(action, outcome, seconds)
        # 32 random bytes make an id of 43 characters, the length AO's message ids have.
        names = {"Instance": self.settings.instance, "Version": self.settings.version}
        body = {"Id": secrets.token_urlsafe(32), "Output": reply.output, "Messages": reply.messages}
        return answer({**body, **names})

    async def leaderboard(self, request: Request) -> Response:
        """GET /leaderboard, for partners who have a key"""
        try:
            name = self.keys.name_of(request.headers.get("authorization", ""))
        except UnauthorizedError:
            self.metrics.logins.labels("", "refused").inc()
            _log.warning("login refused from %s", caller(request))
            raise
        self.metrics.logins.labels(name, "ok").inc()
        return answer((await self.pool.handle(Message("Leaderboard", sender="partner"))).output)

    async def get_faults(self, _request: Request) -> Response:
        """GET /faults"""
        return answer(self._switches().as_json())

    async def set_faults(self, request: Request) -> Response:
        """POST /faults"""
        self._switches().replace(await read_body(request))
        _log.warning("fault switches: %s", self._switches().as_json())
        return answer(self._switches().as_json())

    async def page(self, _request: Request) -> Response:
        """GET /"""
        return FileResponse(TREE / "ui" / "index.html")

    async def _readiness(self, max_age_seconds: float) -> Readiness:
        handlers = len(self.pool.actions)
        found = await self.probe.check(self.lifecycle, self.faults, handlers, max_age_seconds)
        if self.settings.messages_folder is None:
            return found
        return Readiness({**found.checks, "messages": self.log.problem() or OK})

    async def _apply_faults(self) -> None:
        if self.faults is not None:
            await self.faults.apply()

    def _switches(self) -> Faults:
        if self.faults is None:
            raise HTTPException(404)
        return self.faults


def make_app(service: Service) -> Starlette:
    """The ASGI application of `service`."""
    routes = [
        Route("/healthz", service.healthz),
        Route("/readyz", service.readyz),
        Route("/version", service.version),
        Route("/settings", service.settings_in_force),
        Route("/flags", service.flags_of),
        Route("/metrics", service.metrics_text),
        Route("/leaderboard", service.leaderboard),
        Route("/messages", service.messages, methods=["POST"]),
        Route("/", service.page),
        Mount("/ui", StaticFiles(directory=TREE / "ui")),
    ]
    if service.faults is not None:
        routes += [
            Route("/faults", service.get_faults, methods=["GET"]),
            Route("/faults", service.set_faults, methods=["POST"]),
        ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(RequestMiddleware, service.metrics, service.lifecycle, service.settings.environment)],
        exception_handlers={
            ArcadeError: answer_error,
            HTTPException: answer_http_error,
            Exception: answer_unexpected,
        },
    )


def answer(body: object, status: int = 200) -> Response:
    """A JSON response."""
    return Response(jsontext.dumps(body), status, media_type="application/json")


async def answer_error(_request: Request, error: Exception) -> Response:
    """The response to an ArcadeError: its sentence and its status."""
    status = error.status if isinstance(error, ArcadeError) else 500
    if status >= 500:
        _log.error("%s", error)
    refused = answer({"error": str(error)}, status)
    if isinstance(error, UnauthorizedError):
        refused.headers["www-authenticate"] = "Bearer"
    return refused


async def answer_http_error(_request: Request, error: Exception) -> Response:
    """The response to an unknown path or method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return answer({"error": f"{HTTPStatus(status).phrase}: see the API in the README"}, status)


async def answer_unexpected(_request: Request, _error: Exception) -> Response:
    """The response to an error nobody foresaw; its traceback goes to the log, not to the client."""
    return answer({"error": "an unexpected error, described in the log of this instance"}, 500)


def caller(request: Request) -> str:
    """The address that a request came from: what the load balancer says of it, or who asked this instance itself."""
    named = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    asked = request.client.host if request.client else ""
    try:
        return str(ip_address(named or asked))
    except ValueError:
        # Only what is an address gets into the log.
        return "unknown"


async def read_body(request: Request) -> bytes:
    """The request's body. Raises TooLargeError as soon as it is longer than allowed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError(f"the body has more than {MAX_BODY_BYTES} bytes")
    return bytes(body)
