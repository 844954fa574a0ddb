"""Listeners on loopback that take messages: a web server and a mail server."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Received:
    """What came in: paths and bodies of requests, and mails."""

    requests: list[tuple[str, Any]] = field(default_factory=list)
    mails: list[Any] = field(default_factory=list)
    refuse: int = 0
    """How many more requests are answered with 503."""

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802  (aiosmtpd calls it)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@contextmanager
def listeners() -> Iterator[tuple[Received, int, int]]:
    """A web server and a mail server on loopback: what they receive, and their ports."""
    received = Received()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.refuse -= 1
            self.send_response(503 if received.refuse >= 0 else 200)
            self.end_headers()
            if received.refuse < 0:
                received.requests.append((self.path, json.loads(body)))

        def log_message(self, *_: object) -> None:
            """Nothing."""

    web = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=web.serve_forever)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    mail = Controller(received, hostname="127.0.0.1", port=port)
    thread.start()
    mail.start()
    try:
        yield received, web.server_port, port
    finally:
        mail.stop()
        web.shutdown()
        thread.join()
        web.server_close()
