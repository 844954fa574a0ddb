"""Decides about each effect that a cell asks for, and keeps why no more may begin. No IO: the gate carries it out."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from opsbook.core.engine.cell_context import CellContext, other
from opsbook.core.engine.recheck import REMEMBERED
from opsbook.core.engine.runner_effects import ASKED, KINDS
from opsbook.core.model.effect import Effect, Mode
from opsbook.core.model.past import KnownEffect, Meets
from opsbook.core.model.runbook import Role


class Stop:
    """Four reasons, each a sentence or empty; the first of each kind is kept.

    `cancelled`: a person stopped the run. `cell`: the running cell is over, or is being stopped. `refused`: an effect
    was refused, or its outcome is unknown, so the run cannot succeed any more. `waits`: the run cannot continue now,
    and can be resumed. A session (`lasts` is false) continues after a refusal: its person sees it.
    """

    def __init__(self, *, lasts: bool = True) -> None:
        self._lasts = lasts
        self.clear()

    def clear(self) -> None:
        """Clear all reasons: they were handled, and what follows, such as a rollback, is intended."""
        self.cancelled = self.cell = self.refused = self.waits = ""

    @property
    def why(self) -> str:
        """Why no effect may begin; empty if one may."""
        return self.cancelled or self.cell or self.refused

    def cancel(self, why: str) -> None:
        """Stop because a person cancelled."""
        self.cancelled = self.cancelled or why

    def refuse(self, why: str) -> None:
        """Stop after a refusal or an unknown outcome: a cell gains nothing by catching the error."""
        self.refused = self.refused or (why if self._lasts else "")

    def wait(self, why: str) -> str:
        """Stop until the run is resumed; returns the reason that applies. A cancelled run does not wait."""
        self.waits = self.waits or ("" if self.cancelled else why)
        return self.cancelled or why


_SIMULATED = frozenset({"playbook", "sql", "kubectl", "terraform", "notify"})
"""Kinds that can be simulated, by their tool or by themselves."""


class Act(StrEnum):
    """What the gate does with an effect."""

    REFUSE = "refuse"
    """The effect may not happen, nor, in a run, any later one."""

    PLAY = "play"
    """Answer from a recording."""

    REMEMBER = "remember"
    """In a recheck: answer from the journal, and ask nobody again."""

    RUN = "run"
    """The kernel performs it."""

    SIMULATE = "simulate"
    """The kernel has the tool simulate it."""

    PERFORM = "perform"
    """The runner performs it: it asks a person, returns a secret, keeps a note."""

    SKIP = "skip"
    """In a check: do not perform it."""

    ANSWER = "answer"
    """Answer with the result from the journal."""

    FAIL = "fail"
    """Answer with the failure from the journal: the cell handled it."""

    WITHHOLD = "withhold"
    """It succeeded, but its result is unknown."""

    LEAVE_OUT = "leave-out"
    """Its step was skipped before the effect happened."""

    ASK = "ask"
    """Its outcome is unknown: ask a person."""

    AGAIN = "again"
    """Its outcome is unknown: repeat it, since it is idempotent and the operator asked for that."""


@dataclass(frozen=True)
class Case:
    """A requested effect, and everything that decides about it.

    `stopped`: why nothing may begin. `closed`: why a session, or a notebook of another tool, may not change this
    environment. `simulated`: a check has simulated an earlier change. `plays`: a recording answers.
    """

    effect: Effect
    place: CellContext
    mode: Mode
    keyed: bool = False
    stopped: str = ""
    closed: str = ""
    simulated: bool = False
    plays: bool = False
    retry_unknown: bool = False


@dataclass(frozen=True)
class Verdict:
    """The decision, a sentence if it is a refusal, and what the journal has of the effect if that was looked up."""

    act: Act
    why: str = ""
    met: Meets | None = None
    known: KnownEffect | None = None


def verdict(case: Case) -> Verdict:
    """Decide about the effect. Refusals come first, whatever the journal has."""
    if why := next(_refusals(case), ""):
        return Verdict(Act.REFUSE, why)
    if case.plays:
        return Verdict(Act.PLAY)
    if case.place.look is not None and case.effect.kind in REMEMBERED:
        return Verdict(Act.REMEMBER)
    met, known = case.place.before.look_up(case.effect, keyed=case.keyed)
    act, why = _by_journal(case, met, known)
    return Verdict(act, why, met, known)


def _by_journal(case: Case, met: Meets, known: KnownEffect | None) -> tuple[Act, str]:
    """What to do with an effect, and why not, by what the journal has of it."""
    match met:
        case Meets.RESULT:
            return Act.WITHHOLD if known and known.marked else Act.ANSWER, ""
        case Meets.FAILURE:
            return Act.FAIL, ""
        case Meets.UNKNOWN:
            return Act.AGAIN if case.retry_unknown and case.effect.idempotent else Act.ASK, ""
        case Meets.OTHER:
            return Act.REFUSE, other(known, case.effect) if known else ""
        case Meets.ABSENT:
            return Act.LEAVE_OUT, f"{case.effect.summary} is not done: its step was skipped"
    return live(case), ""


def live(case: Case) -> Act:
    """What to do with an effect that the journal does not have."""
    effect, check = case.effect, case.mode is Mode.CHECK
    if check and effect.changes:
        return Act.SIMULATE if effect.kind in _SIMULATED else Act.SKIP
    if check and effect.kind == "wait_until" and case.simulated:
        # After a simulated change, the condition may never come true.
        return Act.SKIP
    if effect.kind in KINDS and not (case.mode is Mode.SESSION and effect.kind in ASKED):
        return Act.PERFORM
    return Act.RUN


def _refusals(case: Case) -> Iterator[str]:
    """Why the effect may not happen."""
    summary, changes = case.effect.summary, case.effect.changes
    if case.stopped:
        yield case.stopped
    if changes and case.place.role is Role.READ:
        said = f"{summary} changes something, but its section may only read. "
        yield said + "Move it to Steps, or say changes=False if it only reads."
    if changes and case.closed:
        yield f"{summary} changes something, and {case.closed}"
    if case.mode is Mode.NOTEBOOK and case.effect.kind == "secret":
        yield f"{summary} is asked for, and a notebook is kept in clear. Use opsbook run."
