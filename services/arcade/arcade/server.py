"""`arcade serve`: uvicorn with an orderly end."""

import logging
import os
import socket
import sys
import time
from types import FrameType

import uvicorn

from arcade.database import Address, Database
from arcade.errors import ArcadeError
from arcade.faults import Faults
from arcade.flags import Flags
from arcade.keys import Keys
from arcade.message_log import MessageLog
from arcade.metrics import Metrics
from arcade.migrations import read_migrations
from arcade.readiness import Lifecycle, ReadinessProbe
from arcade.settings import TREE, Settings
from arcade.web import Service, make_app
from arcade.workers import WorkerPool

STOP_LIMIT_SECONDS = 10
# Longer than a load balancer keeps an idle connection, so that it never reuses one that ends here.
KEEP_ALIVE_SECONDS = 180
_log = logging.getLogger("arcade")


class DrainingServer(uvicorn.Server):
    """On a signal it first turns unready and goes on answering, then stops, then exits with 0."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, drain_seconds: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain_seconds = drain_seconds
        self._stop_at = float("inf")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal ends the draining."""
        # The signal is not recorded: uvicorn would raise it again, and the exit code would not be 0.
        self._stop_at = time.monotonic() + (0 if self._lifecycle.stopping else self._drain_seconds)
        self._lifecycle.stopping = True

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second by uvicorn; true ends the main loop."""
        self.should_exit = self.should_exit or time.monotonic() >= self._stop_at
        return await super().on_tick(counter)


def serve(settings: Settings) -> int:
    """Serve until a signal comes and return the exit code.

    Raises ArcadeError when the handlers, the migrations or the port are not usable.
    """
    logging.basicConfig(
        stream=sys.stderr, level=settings.tunables.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s"
    )
    service = _make_service(settings)
    listener = _listen(settings.host, settings.port)
    _log.info("arcade %s (%s) on %s:%s", settings.version, settings.instance, settings.host, settings.port)
    server = DrainingServer(_config(service), service.lifecycle, settings.drain_seconds)
    server.run(sockets=[listener])
    service.flags.close()
    _log.info("stopped")
    if not (service.pool.close() & service.probe.close()):
        # A thread still waits for a database that does not answer: the interpreter would wait for it.
        logging.shutdown()
        os._exit(0)
    return 0


def _make_service(settings: Settings) -> Service:
    address = Address(settings.database, settings.password_file, settings.instance, settings.service_file)
    required = read_migrations(TREE / "migrations")[-1].version
    pool = WorkerPool(TREE / "handlers", address, settings.tunables)
    return Service(
        settings=settings,
        pool=pool,
        probe=ReadinessProbe(Database(address), required),
        metrics=Metrics(settings.version, pool.actions),
        log=MessageLog(settings.messages_folder, settings.messages_quota),
        lifecycle=Lifecycle(),
        faults=Faults() if settings.sandbox else None,
        flags=Flags(settings.flags),
        keys=Keys(settings.keys),
    )


def _config(service: Service) -> uvicorn.Config:
    grace = STOP_LIMIT_SECONDS - service.settings.drain_seconds
    return uvicorn.Config(
        make_app(service),
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(grace),
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay (40 ms per answer) off only for sockets that name their protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise ArcadeError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listener
