"""Events of a run, its outcomes, and the one door through which events leave the run."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Protocol

Data = dict[str, Any]


class Outcome(StrEnum):
    """How a run ended. `LOST` is never written: it is what a record without an end and without an owner is."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"
    ROLLBACK_FAILED = "rollback-failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    CHECKED = "checked"
    WAITING = "waiting"
    LOST = "lost"


class Exit(IntEnum):
    """Exit codes of the command line."""

    SUCCEEDED = 0
    FAILED = 1
    INPUT = 2
    NOT_ROLLED_BACK = 3
    REFUSED = 4
    STOPPED = 5
    FAULT = 70


@dataclass(frozen=True)
class Ending:
    """The end of a run: outcome, one sentence, whether changes are left behind, seconds it took.

    `undoable` is false where the page says that there is never anything to undo.
    """

    outcome: Outcome
    reason: str
    changed: bool
    seconds: float
    undoable: bool = True

    @property
    def exit_code(self) -> Exit:
        if self.outcome in (Outcome.SUCCEEDED, Outcome.CHECKED):
            return Exit.SUCCEEDED
        if self.outcome in (Outcome.CANCELLED, Outcome.WAITING, Outcome.LOST):
            return Exit.STOPPED
        if self.outcome is Outcome.REFUSED:
            return Exit.REFUSED
        failed = self.outcome is Outcome.FAILED and self.changed and self.undoable
        return Exit.NOT_ROLLED_BACK if failed or self.outcome is Outcome.ROLLBACK_FAILED else Exit.FAILED

    @property
    def keeps_lock(self) -> bool:
        """A run that left its target half-way keeps the lock, so that nobody builds on the half."""
        return self.changed and self.exit_code in (Exit.NOT_ROLLED_BACK, Exit.STOPPED)


@dataclass(frozen=True)
class Event:
    """One line of the journal. `time` is UTC, ISO 8601 with milliseconds."""

    seq: int
    time: str
    type: str
    data: Data


class Sink(Protocol):
    """Where a run puts what happens. Implemented by the record; the run knows nothing else of it."""

    def write(self, kind: str, data: Data, *, durable: bool = False) -> Event:
        """Append an event. With `durable`, it is on disk when this returns. Text is redacted here."""
        ...

    def reserve(self, results: int) -> None:
        """Keep room for so many results of effects. Raises NoRoom if there is none."""
        ...

    def blob(self, folder: str, name: str, data: bytes) -> Data:
        """Store a file of the record durably; returns {"path", "sha256", "bytes"} to put in an event."""
        ...

    def stream(self, folder: str, name: str) -> "Stream":
        """Open a file of the record that grows while the run goes on."""
        ...


class Stream(Protocol):
    """A growing file of the record."""

    def append(self, text: str) -> None:
        """Add text that is already redacted."""
        ...

    def close(self) -> Data:
        """Make it durable; returns {"path", "sha256", "bytes"}."""
        ...
