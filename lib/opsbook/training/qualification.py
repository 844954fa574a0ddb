"""Qualifications: which requirements of a role a person meets, and until when. Rules only: no clock, no IO (ADR 19).

- A first pass holds for `first_check`: a second pass proves retention.
- A pass at least a day after the first one holds for `valid`.
- A drill without sign-off, a pass with too few points and a pass in the future do not count.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from opsbook.training.plan_file import Kind, Requirement, TrainingPlan

SOON = timedelta(days=14)
"""How long before it expires a qualification is due."""

AGAIN = timedelta(days=1)
"""A second pass sooner than this does not prove retention."""


class State(StrEnum):
    """The state of one requirement for one person."""

    PASSED = "passed"
    DUE = "due"
    EXPIRED = "expired"
    UNSIGNED = "unsigned"
    MISSING = "missing"


@dataclass(frozen=True)
class Pass:
    """A passed drill, or a successful run of a runbook: that needs no sign-off, and has all points."""

    person: str
    kind: Kind
    name: str
    run: str
    environment: str
    when: datetime
    points: int = 100
    signed: bool = True


@dataclass(frozen=True)
class Qualification:
    """One requirement for one person. `until` is when it expires, or expired; `run` is the pass that counts.

    `unsigned` is a run whose sign-off would extend it. `why` says why passes do not count. `next` is the command to
    do next.
    """

    person: str
    needs: Requirement
    state: State
    until: datetime | None = None
    run: str = ""
    environment: str = ""
    unsigned: str = ""
    why: str = ""
    next: str = ""


@dataclass(frozen=True)
class Training:
    """The plan, and everybody's qualifications at `now`."""

    now: datetime
    plan: TrainingPlan
    standings: tuple[Qualification, ...]

    def of(self, role: str, person: str) -> list[Qualification]:
        """A person's qualifications for a role."""
        return [each for each in self.standings if (each.person, each.needs.role) == (person, role)]


def moment(text: object) -> datetime | None:
    """A time of a record in UTC; None without a zone, since it would depend on the reader's."""
    try:
        found = datetime.fromisoformat(str(text))
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def standings(
    plan: TrainingPlan, passes: Iterable[Pass], now: datetime, places: Mapping[str, str]
) -> Iterator[Qualification]:
    """Everybody's qualifications, in the order of the plan. `places`: page -> environment of its next run."""
    grouped: dict[tuple[str, Kind, str], list[Pass]] = {}
    for each in passes:
        grouped.setdefault((each.person, each.kind, each.name), []).append(each)
    for person in plan.people:
        for needs in plan.needs(person):
            found = standing(person, needs, grouped.get((person, needs.kind, needs.name), ()), now)
            yield replace(found, next=_next(found, places.get(needs.name, "")))


def standing(person: str, needs: Requirement, passes: Sequence[Pass], now: datetime) -> Qualification:
    """One qualification. `passes` are those of this person and page, in any order."""
    known = [each for each in passes if each.when <= now]
    until, last = _best(_held(known, needs))
    state = _state(until, now)
    # Compare with what would count if every pass were signed off.
    hoped, waits = _best(_held([replace(each, signed=True) for each in known], needs))
    better = hoped is not None and hoped > now and (until is None or hoped > until)
    unsigned = _unsigned(known, waits) if better and state is not State.PASSED else ""
    if unsigned and state in (State.EXPIRED, State.MISSING):
        state = State.UNSIGNED
    found = Qualification(person, needs, state, until, last.run if last else "", last.environment if last else "")
    return replace(found, unsigned=unsigned, why=_why(known, needs) if state is State.MISSING else "")


def holds(run: str, needs: Requirement, passes: Sequence[Pass]) -> datetime | None:
    """Until when one run counts for a requirement; None if it does not count."""
    return next((until for each, until in _held(passes, needs) if each.run == run), None)


def _held(passes: Iterable[Pass], needs: Requirement) -> list[tuple[Pass, datetime]]:
    """The passes that count, oldest first, each with its expiry."""
    counted = [each for each in passes if each.signed and each.points >= needs.points]
    first = min((each.when for each in counted), default=None)
    spans = ((each, needs.valid if each.when - first >= AGAIN else needs.first_check) for each in counted if first)
    return sorted(((each, each.when + timedelta(seconds=span)) for each, span in spans), key=lambda pair: pair[0].when)


def _best(held: Sequence[tuple[Pass, datetime]]) -> tuple[datetime | None, Pass | None]:
    if not held:
        return None, None
    last, until = max(held, key=lambda pair: pair[1])
    return until, last


def _state(until: datetime | None, now: datetime) -> State:
    if until is None:
        return State.MISSING
    if until <= now:
        return State.EXPIRED
    return State.DUE if until - now <= SOON else State.PASSED


def _unsigned(passes: Iterable[Pass], best: Pass | None) -> str:
    """The run to sign off: the one that holds longest; if that is signed, the oldest unsigned one, which extends it."""
    waiting = sorted((each for each in passes if not each.signed), key=lambda each: each.when)
    return best.run if best and best.run in {each.run for each in waiting} else waiting[0].run if waiting else ""


def _why(passes: Sequence[Pass], needs: Requirement) -> str:
    most = max((each.points for each in passes), default=None)
    if most is None:
        return ""
    return f"{most} points; it needs {needs.points}" if most < needs.points else "it was never signed off in time"


def _next(found: Qualification, place: str) -> str:
    """The command to do next; empty if there is nothing to do."""
    if found.state is State.PASSED:
        return ""
    if found.unsigned:
        return f"opsbook training sign-off {found.unsigned} --note TEXT"
    verb = "drill start" if found.needs.kind == "drill" else "run"
    return f"opsbook {verb} {found.needs.name} -e {place or 'training'}"
