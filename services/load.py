"""A bounded load generator for a game service on this machine.

    python services/load.py --url http://127.0.0.1:PORT --seconds N
                            [--workers 8] [--rate N] [--stop-file PATH] [--environment MARK]

Sends GET /version and POST /messages in turns over keep-alive connections, never repeats a request,
and prints one JSON line at the end: requests, ok, failed, errors (the first few), by_failure (counted by
status, or by why there was no answer), by_version (of those that are ok), p50_ms, p95_ms, seconds. It
also ends, in the same way, on SIGTERM, SIGINT, or when the stop file appears; requests under way are
finished first. With --environment, an answer of anything else than that environment has failed.
"""

import argparse
import http.client
import ipaddress
import itertools
import json
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

MAX_SECONDS, MAX_WORKERS, MAX_RATE = 3600, 64, 2000
DEFAULT_RATE = 200
REQUEST_TIMEOUT_SECONDS = 15.0
KEPT_ERRORS = 5
HEADER = "arcade-environment"
STOP_FILE_EVERY_SECONDS = 0.05

# No message depends on an earlier one, and none leaves a score on the leaderboard.
MESSAGES: tuple[dict[str, object], ...] = (
    {"Action": "Ping", "From": "load", "Data": "hello"},
    {"Action": "Register", "From": "load", "Data": "Load"},
    {"Action": "Leaderboard", "From": "load", "Tags": {"Limit": "5"}},
    {"Action": "Info", "From": "load"},
)


@dataclass
class Tally:
    """What happened so far. Latencies are counted in tenths of a millisecond, to stay small."""

    ok: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)
    by_failure: Counter[str] = field(default_factory=Counter)
    by_version: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    environment: str = ""

    def add(self, place: str, response: http.client.HTTPResponse, body: bytes, seconds: float) -> None:
        """Count one answer; only a 2xx one is ok. Raises ValueError or TypeError for one that is no JSON object."""
        self.latencies[round(seconds * 10_000)] += 1
        if not 200 <= response.status < 300:
            status = str(response.status)
            self.fail(status, f"{place}: {status} {body.decode(errors='replace')[:200]}")
            return
        said = response.headers.get(HEADER, "")
        if self.environment and said != self.environment:
            self.fail("stranger", f"{place} is answered by {said or 'something else'}")
            return
        fields = json.loads(body)
        if not isinstance(fields, dict):
            raise TypeError(f"{place} is answered with no object")
        self.by_version[str(fields.get("version") or fields.get("Version"))] += 1
        self.ok += 1

    def fail(self, kind: str, error: str) -> None:
        """Count one failure, and keep its text when it is one of the first."""
        self.failed += 1
        self.by_failure[kind] += 1
        if len(self.errors) < KEPT_ERRORS:
            self.errors.append(error)

    def quantile_ms(self, share: float) -> float | None:
        """The latency that `share` (0 to 1) of the answers did not exceed, None without answers."""
        wanted = share * self.latencies.total()
        seen = 0
        for tenths, count in sorted(self.latencies.items()):
            seen += count
            if seen >= wanted:
                return tenths / 10
        return None

    def as_json(self, seconds: float) -> dict[str, object]:
        """The line to print."""
        return {
            "requests": self.ok + self.failed,
            "ok": self.ok,
            "failed": self.failed,
            "errors": self.errors,
            "by_failure": dict(sorted(self.by_failure.items())),
            "by_version": dict(sorted(self.by_version.items())),
            "p50_ms": self.quantile_ms(0.50),
            "p95_ms": self.quantile_ms(0.95),
            "seconds": round(seconds, 2),
        }


class Load:
    """Workers that send until the time is over or somebody says stop. Threads: the service is to be busy, not this."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._parts = urlsplit(options.url)
        self._stop = threading.Event()
        self._signalled = False
        self._tally = Tally(environment=options.environment)
        self._one = threading.Lock()
        self._messages = itertools.cycle(MESSAGES)
        self._slots = _slots(options.rate)

    def run(self) -> dict[str, object]:
        """Send, and return the counts."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        started = time.monotonic()
        workers = [threading.Thread(target=self._work) for _ in range(self._options.workers)]
        for worker in workers:
            worker.start()
        self._watch(started + self._options.seconds)
        self._stop.set()
        for worker in workers:
            worker.join()
        return self._tally.as_json(time.monotonic() - started)

    def _end(self, *_: object) -> None:
        self._signalled = True

    def _watch(self, until: float) -> None:
        """Return when it is time to stop."""
        stop_file: Path | None = self._options.stop_file
        while not self._signalled and (left := until - time.monotonic()) > 0:
            if stop_file is not None and stop_file.exists():
                return
            time.sleep(min(STOP_FILE_EVERY_SECONDS, left))

    def _work(self) -> None:
        host, port = self._parts.hostname or "", self._parts.port or 80
        connection = http.client.HTTPConnection(host, port, timeout=REQUEST_TIMEOUT_SECONDS)
        for turn in itertools.count():
            with self._one:
                moment, message = next(self._slots), None if turn % 2 else next(self._messages)
            if self._stop.wait(max(0.0, moment - time.monotonic())):
                connection.close()
                return
            self._send(connection, message)

    def _send(self, connection: http.client.HTTPConnection, message: dict[str, object] | None) -> None:
        """A message, or else the question for the version."""
        method, path = ("GET", "/version") if message is None else ("POST", "/messages")
        path = self._parts.path.rstrip("/") + path
        content = None if message is None else json.dumps(message).encode()
        headers = {} if message is None else {"Content-Type": "application/json"}
        started = time.monotonic()
        try:
            _renew(connection)
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            body = response.read()
            with self._one:
                self._tally.add(f"{method} {path}", response, body, time.monotonic() - started)
        except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
            connection.close()
            with self._one:
                self._tally.fail(type(error).__name__, f"{type(error).__name__}: {error}")


def _renew(connection: http.client.HTTPConnection) -> None:
    """A connection that was kept and has something to say before it is asked was closed by the other side."""
    if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
        connection.close()


def _slots(rate: int) -> Iterator[float]:
    """Moments (monotonic seconds) to send at. A moment that was missed is not made up for."""
    moment = time.monotonic()
    while True:
        yield moment
        moment = max(moment + 1 / rate, time.monotonic() - 1 / rate)


def loopback_url(text: str) -> str:
    """`text` when it is an http URL of this machine. Raises ArgumentTypeError otherwise."""
    parts = urlsplit(text)
    try:
        is_here = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = False
    if parts.scheme != "http" or not is_here:
        raise argparse.ArgumentTypeError(f"{text!r} is not an http URL of this machine")
    return text


def number_up_to(highest: int) -> Callable[[str], int]:
    """A type for argparse: whole numbers from 1 to `highest`."""

    def number(text: str) -> int:
        value = int(text)
        if not 1 <= value <= highest:
            raise argparse.ArgumentTypeError(f"{text} is not from 1 to {highest}")
        return value

    return number


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options. Ends the process with exit code 2 for a wrong usage."""
    parser = argparse.ArgumentParser(description="A bounded load generator for a service on this machine.")
    parser.add_argument("--url", type=loopback_url, required=True)
    parser.add_argument("--seconds", type=number_up_to(MAX_SECONDS), required=True)
    parser.add_argument("--workers", type=number_up_to(MAX_WORKERS), default=8)
    parser.add_argument("--rate", type=number_up_to(MAX_RATE), default=DEFAULT_RATE, help="requests per second")
    parser.add_argument("--stop-file", type=Path)
    parser.add_argument("--environment", default="", help="what every answer has to say where it comes from")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """The command line; the exit code is 0 even when requests failed: the JSON says how many."""
    print(json.dumps(Load(parse(arguments)).run()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
