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
import asyncio
import ipaddress
import itertools
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

MAX_SECONDS, MAX_WORKERS, MAX_RATE = 3600, 64, 2000
DEFAULT_RATE = 200
REQUEST_TIMEOUT_SECONDS = 15.0
KEPT_ERRORS = 5
HEADER = "arcade-environment"
STOP_FILE_EVERY_SECONDS = 0.05

# No message depends on an earlier one, and none leaves a score on the leaderboard.
MESSAGES = (
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

    def add(self, response: httpx.Response, seconds: float) -> None:
        """Count one answer; only a 2xx one is ok."""
        self.latencies[round(seconds * 10_000)] += 1
        if not response.is_success:
            place, status = f"{response.request.method} {response.url.path}", str(response.status_code)
            self.fail(status, f"{place}: {status} {response.text[:200]}")
            return
        said = response.headers.get(HEADER, "")
        if self.environment and said != self.environment:
            self.fail("stranger", f"{response.request.url} is answered by {said or 'something else'}")
            return
        fields = response.json()
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
    """Workers that send until the time is over or somebody says stop."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._stop = asyncio.Event()
        self._tally = Tally(environment=options.environment)
        self._messages = itertools.cycle(MESSAGES)
        self._slots = _slots(options.rate)

    async def run(self) -> dict[str, object]:
        """Send, and return the counts."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        started = time.monotonic()
        async with httpx.AsyncClient(
            base_url=self._options.url, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False
        ) as client:
            await asyncio.gather(self._watch(), *(self._work(client) for _ in range(self._options.workers)))
        return self._tally.as_json(time.monotonic() - started)

    async def _watch(self) -> None:
        until = time.monotonic() + self._options.seconds
        stop_file: Path | None = self._options.stop_file
        while not self._stop.is_set() and time.monotonic() < until:
            if stop_file is not None and stop_file.exists():
                break
            await self._pause(min(STOP_FILE_EVERY_SECONDS, until - time.monotonic()))
        self._stop.set()

    async def _work(self, client: httpx.AsyncClient) -> None:
        for turn in itertools.count():
            await self._pause(next(self._slots) - time.monotonic())
            if self._stop.is_set():
                return
            await self._send(client, turn)

    async def _send(self, client: httpx.AsyncClient, turn: int) -> None:
        started = time.monotonic()
        try:
            if turn % 2:
                response = await client.get("/version")
            else:
                response = await client.post("/messages", json=next(self._messages))
            self._tally.add(response, time.monotonic() - started)
        except (httpx.HTTPError, ValueError) as error:
            self._tally.fail(type(error).__name__, f"{type(error).__name__}: {error}")

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            try:
                await asyncio.wait_for(self._stop.wait(), seconds)
            except TimeoutError:
                return


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


async def _run(options: argparse.Namespace) -> dict[str, object]:
    return await Load(options).run()


def main(arguments: list[str]) -> int:
    """The command line; the exit code is 0 even when requests failed: the JSON says how many."""
    print(json.dumps(asyncio.run(_run(parse(arguments)))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
