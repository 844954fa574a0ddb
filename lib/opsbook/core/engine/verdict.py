"""What becomes of an effect that a cell asks for. Nothing here reads or writes: the gate does what this says."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from opsbook.core.engine.cell_context import CellContext, other
from opsbook.core.engine.recheck import REMEMBERED
from opsbook.core.engine.runner_effects import ASKED, KINDS
from opsbook.core.model.effect import Effect, Mode
from opsbook.core.model.past import KnownEffect, Meets
from opsbook.core.model.role import Role

_SIMULATED = frozenset({"playbook"})
"""Kinds whose tool can say what it would do."""


class Act(StrEnum):
    """What the gate does with an effect."""

    REFUSE = "refuse"
    """It may not happen, and in a run nothing after it."""

    PLAY = "play"
    """A recording answers it."""

    REMEMBER = "remember"
    """A look before a run goes on gets what the journal has, and asks nobody again."""

    RUN = "run"
    """The kernel does it."""

    SIMULATE = "simulate"
    """The kernel asks the tool what it would do."""

    PERFORM = "perform"
    """The runner does it: it asks a person, gives a secret, keeps a note."""

    SKIP = "skip"
    """A check does not do it."""

    ANSWER = "answer"
    """The journal has its result."""

    FAIL = "fail"
    """It failed then, and its cell went on: it fails again."""

    WITHHOLD = "withhold"
    """It succeeded, and nobody knows what it gave."""

    LEAVE_OUT = "leave-out"
    """Its step was skipped before it was done."""

    ASK = "ask"
    """Nobody knows what it did: somebody has to say."""

    AGAIN = "again"
    """Nobody knows what it did, and it is done again because it repeats safely and somebody wanted that."""


@dataclass(frozen=True)
class Case:
    """An effect that is asked for, and everything that decides about it.

    `stopped` says why nothing may begin, `closed` why this environment may not be changed by a session or by a notebook
    of another tool. `simulated`: a check has simulated a change before. `plays`: a recording answers.
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
    """What is done, a sentence where it is refused, and what the effect met in the journal if that was asked."""

    act: Act
    why: str = ""
    met: Meets | None = None
    known: KnownEffect | None = None


def verdict(case: Case) -> Verdict:
    """What becomes of the effect. Refusals come first, whatever the journal knows."""
    for refuses in _REFUSALS:
        if why := refuses(case):
            return Verdict(Act.REFUSE, why)
    if case.plays:
        return Verdict(Act.PLAY)
    if case.place.look is not None and case.effect.kind in REMEMBERED:
        return Verdict(Act.REMEMBER)
    met, known = case.place.before.look_up(case.effect, keyed=case.keyed)
    act, why = _MET[met](case, known)
    return Verdict(act, why, met, known)


def live(case: Case) -> Act:
    """What is done with an effect of which the journal knows nothing."""
    effect, check = case.effect, case.mode is Mode.CHECK
    if check and effect.changes:
        return Act.SIMULATE if effect.kind in _SIMULATED else Act.SKIP
    if check and effect.kind == "wait_until" and case.simulated:
        # Nobody waits for what cannot come.
        return Act.SKIP
    if effect.kind in KINDS and not (case.mode is Mode.SESSION and effect.kind in ASKED):
        return Act.PERFORM
    return Act.RUN


def _reads_only(case: Case) -> str:
    if not (case.effect.changes and case.place.role is Role.READ):
        return ""
    said = f"{case.effect.summary} changes something, but its section may only read. "
    return said + "Move it to Steps, or say changes=False if it only reads."


def _is_closed(case: Case) -> str:
    return f"{case.effect.summary} changes something, and {case.closed}" if case.closed and case.effect.changes else ""


def _in_clear(case: Case) -> str:
    if not (case.mode is Mode.NOTEBOOK and case.effect.kind == "secret"):
        return ""
    return f"{case.effect.summary} is asked for, and a notebook is kept in clear. Use opsbook run."


_REFUSALS: tuple[Callable[[Case], str], ...] = (lambda case: case.stopped, _reads_only, _is_closed, _in_clear)
"""Each says why the effect may not happen, or nothing."""


def _answered(_: Case, known: KnownEffect | None) -> tuple[Act, str]:
    return (Act.WITHHOLD if known is not None and known.marked else Act.ANSWER), ""


def _unknown(case: Case, _: KnownEffect | None) -> tuple[Act, str]:
    return (Act.AGAIN if case.retry_unknown and case.effect.idempotent else Act.ASK), ""


def _differs(case: Case, known: KnownEffect | None) -> tuple[Act, str]:
    return Act.REFUSE, other(known, case.effect) if known is not None else ""


_MET: dict[Meets, Callable[[Case, KnownEffect | None], tuple[Act, str]]] = {
    Meets.LIVE: lambda case, _: (live(case), ""),
    Meets.RESULT: _answered,
    Meets.FAILURE: lambda _, __: (Act.FAIL, ""),
    Meets.UNKNOWN: _unknown,
    Meets.OTHER: _differs,
    Meets.ABSENT: lambda case, _: (Act.LEAVE_OUT, f"{case.effect.summary} is not done: its step was skipped"),
}
"""What is done with an effect, by what it meets in the journal."""
