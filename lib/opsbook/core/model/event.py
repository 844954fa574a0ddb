"""An event of a run as a line of the journal; how a run ends, and the exit codes."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

Data = dict[str, Any]


class Outcome(StrEnum):
    """How a run ended. `LOST` is never written: it is what a record without an end and without an owner is."""

    SUCCEEDED = "succeeded"
    """Every step did, and nothing is unknown."""

    FAILED = "failed"
    """A step failed, and what the run changed was not rolled back."""

    ROLLED_BACK = "rolled-back"
    """The Rollback section ran to its end: after a failure, or because somebody wanted the run undone."""

    ROLLBACK_FAILED = "rollback-failed"
    """The Rollback section ran, and failed."""

    CANCELLED = "cancelled"
    """A person stopped it before its end, or did not want to go on with it."""

    REFUSED = "refused"
    """A lock, an approval, a window or a signature was missing; nothing ran."""

    CHECKED = "checked"
    """A run with --check came to its end; nothing was changed."""

    WAITING = "waiting"
    """It stopped where it could not go on: an answer that nobody was there to give, or no room on the disk."""

    LOST = "lost"
    """Its process was killed, or its machine went down."""


GOOD = (Outcome.SUCCEEDED, Outcome.CHECKED)


class Exit(IntEnum):
    """Exit codes of the command line."""

    SUCCEEDED = 0
    """Succeeded, or checked; and opsbook rollback, if all was undone."""

    FAILED = 1
    """Failed; rolled back, or nothing to undo. Also what doctor and records verify say where anything is wrong."""

    INPUT = 2
    """Wrong use or input; nothing ran, and there is no record. Also what check says where there are errors."""

    NOT_ROLLED_BACK = 3
    """Failed, not rolled back: changes are left behind, and the lock is kept."""

    REFUSED = 4
    """Refused: a lock, an approval, a window or a signature is missing; or what was planned has changed."""

    STOPPED = 5
    """Stopped half-way, cancelled, or no room on the disk: opsbook resume goes on."""

    FAULT = 70
    """A fault in opsbook itself."""


@dataclass(frozen=True)
class Ending:
    """The end of a run: outcome, one sentence, whether changes are left behind, seconds it took.

    `undoable` is false where the page says that there is never anything to undo; `wanted` is true where a person
    had the run undone, who got what was asked for if that went well. `says` is the exit code of a command that did
    not do what was asked, and so left the run as it was.
    """

    outcome: Outcome
    reason: str
    changed: bool
    seconds: float
    undoable: bool = True
    wanted: bool = False
    says: Exit | None = None

    @property
    def exit_code(self) -> Exit:
        return self._own if self.says is None else self.says

    @property
    def _own(self) -> Exit:
        if self.outcome in (Outcome.SUCCEEDED, Outcome.CHECKED) or (
            self.wanted and self.outcome is Outcome.ROLLED_BACK
        ):
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
        return self.changed and self._own in (Exit.NOT_ROLLED_BACK, Exit.STOPPED)


@dataclass(frozen=True)
class Event:
    """One line of the journal. `time` is UTC, ISO 8601 with milliseconds."""

    seq: int
    time: str
    type: str
    data: Data
