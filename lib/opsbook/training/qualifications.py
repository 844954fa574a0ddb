"""Who has passed what, from the plan, signed-off training records, and runs of runbooks in a sandbox (ADR 19)."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from opsbook.core.catalog import catalog
from opsbook.core.catalog.catalog import Entry, required
from opsbook.core.model.front import FrontMatter
from opsbook.core.model.outcome import Outcome
from opsbook.core.model.runbook import Runbook
from opsbook.core.planning import environment
from opsbook.core.record import seal, store
from opsbook.core.trust.signing import known_signers
from opsbook.settings import Settings
from opsbook.training import plan_file, trained
from opsbook.training.plan_file import Kind, TrainingPlan
from opsbook.training.qualification import Pass, Training, moment, standings
from opsbook.training.sign_offs import verdict
from opsbook.training.trained import Drilled

PLAN = plan_file.FILE
TRAINING = "training"
"""The environment of a drill whose page names none."""

_AT_ONCE = 8
"""Signatures that are verified in parallel: each starts two short processes."""


def training(
    settings: Settings, runbooks: Iterable[Runbook] | None = None, now: datetime | None = None
) -> Training | None:
    """Everybody's qualifications; None without a plan. Raises InputError for an invalid plan.

    `runbooks` are the pages, for whoever has loaded them; without `now`, as of this moment.
    """
    loaded = [Entry(each.name, each.path, each.front, each.title) for each in runbooks or ()]
    entries = catalog.entries(settings) if runbooks is None else loaded
    plan = plan_file.load(settings, entries)
    if plan is None:
        return None
    now = now or datetime.now(UTC)
    # opsbook env list says what is wrong with others.
    sandboxes = [each.name for each in environment.every(settings)[0] if each.policy.sandbox]
    fronts = {entry.name: entry.front for entry in entries}
    wanted = {(person, needs.kind, needs.name) for person in plan.people for needs in plan.needs(person)}
    passed = (each for each in trained.every(settings.records) if each.passed)
    drills = [each for each in passed if (each.person, "drill", each.drill) in wanted]
    passes = [*drilled(settings, drills), *_ran(settings, wanted, sandboxes)]
    return Training(now, plan, tuple(standings(plan, passes, now, dict(_places(settings, plan, fronts, sandboxes)))))


# -- drills


def drilled(settings: Settings, drills: list[Drilled]) -> list[Pass]:
    """These drills as passes, without those that have no usable end or par time."""
    known = known_signers(settings) if drills else None

    def looked_at(each: Drilled) -> Pass | None:
        when = moment(each.ended)
        if when is None or each.par <= 0:
            return None
        good = verdict(settings, trained.path(settings.records, each.run), each, known).good
        return Pass(each.person, "drill", each.drill, each.run, each.environment, when, each.points, signed=good)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [found for found in pool.map(looked_at, drills) if found]


# -- runs of runbooks


def _ran(settings: Settings, wanted: set[tuple[str, Kind, str]], sandboxes: list[str]) -> Iterator[Pass]:
    """Live runs in a sandbox that succeeded, by one person alone, whose records are sealed and intact."""
    for name in sorted({name for _, kind, name in wanted if kind == "runbook"}):
        for record in store.recent(settings.records, name):
            found = _run(record, name, sandboxes) if record.state == "sealed" else None
            if found and (found.person, "runbook", name) in wanted and not seal.verify(record.folder):
                yield found


def _run(record: store.Record, name: str, sandboxes: list[str]) -> Pass | None:
    told = record.glance()
    people = {str(each).partition("@")[0] for each in told.get("operators") or ()}
    when = moment(told["ended"])
    shape = (told["run"], told["runbook"], told["mode"], told["outcome"])
    if shape != (record.id, name, "live", Outcome.SUCCEEDED) or told["environment"] not in sandboxes:
        return None
    # A run of several operators does not show that one of them can do it alone.
    return (
        Pass(people.pop(), "runbook", name, record.id, told["environment"], when) if len(people) == 1 and when else None
    )


# -- what to do next


def _places(
    settings: Settings, plan: TrainingPlan, fronts: Mapping[str, FrontMatter], sandboxes: list[str]
) -> Iterator[tuple[str, str]]:
    """The environment of each page's next run, with -p options for its required parameters."""
    for needs in {needs.name: needs for role in plan.roles for needs in plan.requirements(role)}.values():
        theirs = fronts[needs.name].environments
        if needs.kind == "drill":
            yield needs.name, theirs[0] if theirs else TRAINING
        else:
            allowed = [name for name in sandboxes if not theirs or name in theirs]
            place = TRAINING if TRAINING in allowed else next(iter(allowed), TRAINING)
            values = "".join(f" -p {each}={each.upper()}" for each in required(settings, needs.name))
            yield needs.name, place + values
