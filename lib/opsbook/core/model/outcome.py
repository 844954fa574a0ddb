"""Outcomes of a run, and exit codes."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """How a run ended. `LOST` is never written: a record without an end and without a process is lost."""

    SUCCEEDED = "succeeded"
    """Every step succeeded, and no outcome is unknown."""

    FAILED = "failed"
    """A step failed, and what the run changed was not rolled back."""

    ROLLED_BACK = "rolled-back"
    """The Rollback section ran to its end: after a failure, or because an operator asked for it."""

    ROLLBACK_FAILED = "rollback-failed"
    """The Rollback section ran, and failed."""

    CANCELLED = "cancelled"
    """A person stopped it, or declined to resume it."""

    REFUSED = "refused"
    """A lock, an approval, a window or a signature was missing; nothing ran."""

    CHECKED = "checked"
    """A run with --check finished; nothing was changed."""

    ENDED = "ended"
    """A notebook in which a person worked was closed, and nothing is unknown. It proves nothing about the page."""

    WAITING = "waiting"
    """It stopped because it needs an answer and nobody is there, or because the disk is full."""

    LOST = "lost"
    """Its process was killed, or its machine went down."""


NOT_REACHED = "not reached"
"""Status of a step that a run has, and did not come to."""

GOOD = (Outcome.SUCCEEDED, Outcome.CHECKED, Outcome.ENDED)

RESUMABLE = (Outcome.LOST, Outcome.WAITING, Outcome.CANCELLED, Outcome.FAILED, Outcome.ROLLBACK_FAILED)
"""Outcomes of a run that can be resumed."""


class Exit(IntEnum):
    """Exit codes of the command line."""

    SUCCEEDED = 0
    """Succeeded, or checked; for opsbook rollback: everything was undone."""

    FAILED = 1
    """Failed; rolled back, or nothing to undo. Also if doctor or records verify find problems."""

    INPUT = 2
    """Wrong use or input; nothing ran, and there is no record. Also if check finds errors."""

    NOT_ROLLED_BACK = 3
    """Failed, not rolled back: changes remain, and the lock is kept."""

    REFUSED = 4
    """Refused: a lock, an approval, a window or a signature is missing; or what was planned has changed."""

    STOPPED = 5
    """Unfinished: stopped, cancelled, or the disk is full. opsbook resume continues it."""

    FAULT = 70
    """A fault in opsbook itself."""


@dataclass(frozen=True)
class Ending:
    """The end of a run: outcome, one sentence, whether changes remain, seconds it took.

    `undoable` is false if the page says that there is never anything to undo. `wanted` is true if a person asked for
    the rollback: then a rollback counts as success. `says` is the exit code of a command that left the run as it was.
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
        if self.outcome in GOOD or (self.wanted and self.outcome is Outcome.ROLLED_BACK):
            return Exit.SUCCEEDED
        if self.outcome in (Outcome.CANCELLED, Outcome.WAITING, Outcome.LOST):
            return Exit.STOPPED
        if self.outcome is Outcome.REFUSED:
            return Exit.REFUSED
        failed = self.outcome is Outcome.FAILED and self.changed and self.undoable
        return Exit.NOT_ROLLED_BACK if failed or self.outcome is Outcome.ROLLBACK_FAILED else Exit.FAILED

    @property
    def keeps_lock(self) -> bool:
        """Whether the run keeps its locks: it left half a change, which no other run should build on."""
        return self.changed and self._own in (Exit.NOT_ROLLED_BACK, Exit.STOPPED)
