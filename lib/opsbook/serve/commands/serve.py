"""Take alerts from Alertmanager, open incidents for them, and show them, live.

It listens on this machine only. POST /hooks/alertmanager takes alerts from whoever shows the token; /incidents shows
incidents; /healthz and /metrics are for machines. An alert is on disk before its sender hears yes.
"""

import argparse
import asyncio
import logging
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opsbook import files
from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import flat
from opsbook.errors import InputError, Refused
from opsbook.incidents.incident import Incident
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.serve.serving import Serving

_SHORTEST = 16
"""Characters of a token at least."""


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError(f"{error.name} is not installed.", 'pip install "opsbook[serve]"') from error
    if options.site is not None and not (options.site / "index.html").is_file():
        raise InputError(f"There is no docs site in {options.site}.", f"opsbook site build --out {options.site}")
    address = origin(options.address)
    common.check_free(options.port)
    token = _token(options.token_file or settings.state / "hook-token", given=options.token_file is not None)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    logging.getLogger().handlers[0].setFormatter(_Line("%(asctime)s %(message)s"))
    with _alone(settings):
        return asyncio.run(_serve(settings, token, options.port, options.site, address))


class _Line(logging.Formatter):
    """One line for each message: what alerts say can neither forge another one nor steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        found = super().format(record)
        return found if record.exc_info else flat(found)


def origin(address: str) -> str:
    """How browsers reach it, as they say where a form comes from; empty without an address. Raises InputError."""
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise InputError(f"{address} is no address: {error}.", "Write one such as https://ops.example.") from error
    if address and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/")):
        raise InputError(f"{address} is no address of a server.", "Write one such as https://ops.example.")
    return f"{parts.scheme}://{parts.hostname}{port}" if address else ""


def _token(path: Path, *, given: bool) -> bytes:
    """The token in a file; a new one, for its owner only, in the file that nobody named. Raises InputError."""
    if not given and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_urlsafe(32) + "\n")
    try:
        found = files.read_text(path).strip()
        everybody = path.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.", "Name a file with a token, with --token-file.") from error
    if everybody:
        raise InputError(f"Others on this machine can read {path}.", f"chmod 600 {path}")
    if len(found) < _SHORTEST:
        raise InputError(f"The token in {path} has fewer than {_SHORTEST} characters.", "Write a longer one there.")
    return found.encode()


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Two servers of one project would open two incidents for one alert."""
    path = settings.state / "serve.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with files.holding(path) as alone:
        if not alone:
            raise Refused("opsbook serve runs for this project already.", "End that one first.")
        yield


async def _serve(settings: Settings, token: bytes, port: int, site: Path | None, address: str) -> int:
    from opsbook.serve.diagnosis import Diagnosis
    from opsbook.serve.heartbeat import Heartbeats
    from opsbook.serve.metrics import Metrics
    from opsbook.serve.paging import Paging
    from opsbook.serve.serving import Serving
    from opsbook.serve.spool import Spool
    from opsbook.serve.watching import Watching
    from opsbook.serve.worker import Counted, Worker

    spool, counted = Spool(settings.state / "hooks"), Counted()
    heartbeats, diagnosis, paging = Heartbeats(settings), Diagnosis(settings), Paging(settings)

    def opened(found: Incident) -> None:
        paging.ask(found)
        diagnosis.ask(found)

    worker = Worker(settings, spool, counted, heartbeats, opened)
    watching = Watching(settings, heartbeats, opened)
    threads = (worker, diagnosis, paging, watching)

    def problems() -> list[str]:
        dead = [each.name for each in threads if not each.is_alive()]
        return [*([f"these threads have ended: {', '.join(dead)}"] if dead else []), *filter(None, [watching.failing])]

    serving = Serving(
        settings, token, spool, counted, Metrics(settings, heartbeats), worker.wake, problems, site, address
    )
    for each in threads:
        each.start()
    try:
        await _listen(serving, port)
    finally:
        for each in threads:
            each.end()
    return 0


async def _listen(serving: "Serving", port: int) -> None:
    """Answer until a signal comes; whoever watches an incident is let go first."""
    import uvicorn

    from opsbook.serve.app import LARGEST, application

    config = uvicorn.Config(
        application(serving),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=min(LARGEST, 64 * 1024),
    )

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: object) -> None:
            # Not recorded: uvicorn would raise it again at the end, and the exit code would not be 0.
            serving.ending.set()
            self.should_exit = True

    server = Server(config)
    say(f"Incidents: http://127.0.0.1:{port}/incidents")
    if serving.site:
        say(f"Runbooks:  http://127.0.0.1:{port}/site/")
    say(f"Alerts:    http://127.0.0.1:{port}/hooks/alertmanager, with the token; Ctrl-C ends it")
    sys.stdout.flush()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    await server.serve()
