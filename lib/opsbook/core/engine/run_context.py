"""Everything decided about a run before it starts: one value that all parts of the engine read."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.core.model.event import Event
from opsbook.core.model.outcome import Ending, Outcome
from opsbook.core.model.past import Past
from opsbook.core.model.planned import STOP_AFTER, Authorization, Place, Planned, RunOptions
from opsbook.core.model.recording import Tape


@dataclass(frozen=True)
class Workspace:
    """Where a run works: `place` says where a kernel works that starts now, and raises Refused if what the run was
    planned with is gone. `inbox` is for requests of other processes, and `hold` is the descriptor that keeps the
    journal locked as long as any process of the run lives. `keep_environment` names variables that cells see besides
    the usual ones.
    """

    place: Callable[[], Place]
    inbox: Path
    hold: int
    keep_environment: tuple[str, ...] = ()


@dataclass(frozen=True)
class Admission:
    """Checks before a run begins. `allow` returns its authorization (None if none is required), or raises Refused.
    `lock` takes its locks, or raises Refused. If the operator waits, `lock` is retried, inside the place of `queue`.
    """

    allow: Callable[[], Authorization | None] = lambda: None
    lock: Callable[[], None] = lambda: None
    queue: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext


@dataclass(frozen=True)
class Earlier:
    """The earlier part of a resumed run: its `events`, its `outcome`, what has changed `since` (in sentences), and
    `stale` requests in its inbox, which the earlier process never took.
    """

    events: tuple[Event, ...]
    outcome: str
    since: tuple[str, ...] = ()
    stale: frozenset[Path] = frozenset()


@dataclass(frozen=True)
class RunContext:
    """A run that is about to start. `here` is what cells see; `past` is what it did so far, and grows as it runs.

    `earlier` is set if it is resumed; `tape` answers all effects of a replay.
    `stop_after`: seconds from one step of a cancel to the next one, where nobody can send a signal again.
    """

    run: str
    planned: Planned
    operator: str
    here: Mapping[str, Any]
    workspace: Workspace
    options: RunOptions = field(default_factory=RunOptions)
    admission: Admission = field(default_factory=Admission)
    past: Past = field(default_factory=Past)
    earlier: Earlier | None = None
    tape: Tape | None = None
    stop_after: float = STOP_AFTER

    def as_before(self, ending: Ending) -> Ending:
        """The ending of a run that was not resumed, or whose rollback did not begin.

        Its outcome stays as it was (cancelled for a lost run); only the exit code of the command differs.
        """
        before = self.earlier.outcome if self.earlier else Outcome.LOST
        outcome = Outcome.CANCELLED if before == Outcome.LOST else Outcome(before)
        left = ending.changed and outcome is not Outcome.SUCCEEDED
        what = "the rollback did not begin" if self.options.undo else "it was not resumed"
        why = f"it is as it was: {what}, {ending.reason}"
        return Ending(outcome, why, left, ending.seconds, ending.undoable, says=ending.exit_code)
