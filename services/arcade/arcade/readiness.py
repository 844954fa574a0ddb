"""Whether this instance should get requests, and why not."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from arcade.database import Database
from arcade.errors import ArcadeError
from arcade.faults import Faults
from arcade.migrations import schema_version

PROBE_TIMEOUT_SECONDS = 2.0
OK = "ok"


@dataclass
class Lifecycle:
    """Set when the process was asked to stop; read by whoever answers requests."""

    stopping: bool = False


@dataclass(frozen=True)
class Probe:
    """What the database said: its schema version, or the problem."""

    schema: int | None
    problem: str | None = None


@dataclass(frozen=True)
class Readiness:
    """Every check with "ok" or what is wrong with it."""

    checks: dict[str, str]

    @property
    def ready(self) -> bool:
        """True when every check is ok."""
        return all(text == OK for text in self.checks.values())


class ReadinessProbe:
    """Asks the database over a connection of its own, one question at a time."""

    def __init__(self, database: Database, required_schema: int) -> None:
        self._database = database
        self._required = required_schema
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="probe")
        self._pending: asyncio.Future[Probe] | None = None
        self._last = Probe(None, "not asked yet")
        self._last_at = float("-inf")

    async def probe(self, max_age_seconds: float = 0.0) -> Probe:
        """What the database says, at most `max_age_seconds` ago; a problem after a time-out."""
        if time.monotonic() - self._last_at <= max_age_seconds:
            return self._last
        if self._pending is None or self._pending.done():
            self._pending = asyncio.get_running_loop().run_in_executor(self._executor, self._ask)
        # While this waits, somebody else may put the next question into self._pending.
        question = self._pending
        # wait() and not wait_for(): a question that hangs stays the one pending question.
        await asyncio.wait({question}, timeout=PROBE_TIMEOUT_SECONDS)
        silence = Probe(None, f"no answer within {PROBE_TIMEOUT_SECONDS:g} s")
        self._last = question.result() if question.done() else silence
        self._last_at = time.monotonic()
        return self._last

    async def check(
        self, lifecycle: Lifecycle, faults: Faults | None, handlers: int, max_age_seconds: float = 0.0
    ) -> Readiness:
        """All checks of readiness."""
        probe = await self.probe(max_age_seconds)
        checks = {
            "database": probe.problem or OK,
            "schema": self._schema_check(probe),
            "handlers": OK if handlers else "no handlers are loaded",
            "shutdown": "the instance is shutting down" if lifecycle.stopping else OK,
        }
        if faults is not None:
            checks["fault"] = "the fault switch unready is on" if faults.unready else OK
        return Readiness(checks)

    def close(self) -> bool:
        """Close the connection; false when a question still hangs."""
        idle = self._pending is None or self._pending.done()
        self._executor.shutdown(wait=idle, cancel_futures=True)
        if idle:
            self._database.close()
        return idle

    def _ask(self) -> Probe:
        try:
            with self._database.transaction() as connection:
                return Probe(schema_version(connection))
        except ArcadeError as error:
            return Probe(None, str(error))

    def _schema_check(self, probe: Probe) -> str:
        if probe.schema is None:
            return "unknown: the database does not answer"
        if probe.schema < self._required:
            return f"version {probe.schema} is too old: this release needs {self._required}"
        return OK
