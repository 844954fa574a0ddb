"""What happens to every request: it is counted, and says good-bye while the instance stops."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arcade.metrics import Metrics
from arcade.readiness import Lifecycle

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADERS = [
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
]


class RequestMiddleware:
    """Counts requests, says in headers whose it is and what browsers may do, and ends connections when stopping."""

    def __init__(self, app: ASGIApp, metrics: Metrics, lifecycle: Lifecycle, environment: str) -> None:
        self._app = app
        # Whoever asks by a port can tell that it is this environment's instance that has it.
        self._headers = [*_HEADERS, (b"arcade-environment", environment.encode())] if environment else _HEADERS
        self._metrics = metrics
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "other"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(method, str(message["status"])).inc()
                message["headers"] = [*message["headers"], *self._headers, *self._farewell()]
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            await self._app(scope, receive, send_with_headers)

    def _farewell(self) -> list[tuple[bytes, bytes]]:
        # The client learns with an answer that the connection ends, not with its next request.
        return [(b"connection", b"close")] if self._lifecycle.stopping else []
