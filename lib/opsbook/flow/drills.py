"""Drills: a fault that is brought in, a clock, hints, and what it was worth when it is over (ADR 19).

A drill is a page, and its run is a run: the first step of its Validation shows that the fault is there, which starts
the clock; the last one waits until the service is mended. Hints and diagnoses are notes in the run's journal.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from opsbook import files
from opsbook.errors import InputError
from opsbook.flow.control import send
from opsbook.model.event import Event, Outcome
from opsbook.model.front import Drill, span_seconds
from opsbook.model.runbook import Role, Runbook
from opsbook.model.text import nearest
from opsbook.model.training import Drilled, Feedback
from opsbook.record import store, trained
from opsbook.settings import Settings
from opsbook.source import catalog

PAR = "par"
"""Parameter of a drill: its par time."""

TRAINEE = "trainee"
"""Label of a drill's run: who practises, where that is not who started it."""

_TRIES, _PAUSE = 50, 0.1
"""How often, and seconds between, it is looked whether a note has reached the journal."""

_HINT, _DIAGNOSIS = "hint ", "diagnosis "
"""How the notes begin that a drill leaves in its journal."""


@dataclass(frozen=True)
class Listed:
    """A drill as a list shows it; nothing in it gives the fault away."""

    name: str
    title: str
    par: str
    environments: tuple[str, ...]
    alerts: tuple[str, ...]
    hints: int


@dataclass(frozen=True)
class Standing:
    """How far a drill is. `started` is None until its fault shows; durations are seconds from then.

    `state` is starting, open (it waits for somebody to mend it), mended, or failed.
    """

    run: str
    drill: str
    environment: str
    person: str
    state: str
    par: float
    started: str | None
    seconds: float
    diagnosed: float | None
    mended: float | None
    hints: int
    wrong: tuple[str, ...]
    goes_on: bool
    changed: bool
    outcome: str

    @property
    def broken(self) -> bool:
        """Whether the fault may still be there, and nobody mended it."""
        return self.mended is None and self.changed and self.outcome not in (Outcome.ROLLED_BACK, Outcome.REFUSED)


def drills(settings: Settings) -> Iterator[Listed]:
    """Every drill, by name."""
    for entry in catalog.entries(settings):
        if entry.front.drill is not None:
            runbook = catalog.load(settings, entry.name)
            front = runbook.front
            yield Listed(
                entry.name, entry.title, _par(runbook), front.environments, front.alerts, len(_drill(runbook).hints)
            )


def drill(settings: Settings, name: str) -> Runbook:
    """The page of a drill. Raises InputError if it is none."""
    known = [entry.name for entry in catalog.entries(settings) if entry.front.drill is not None]
    if name not in known:
        raise InputError(f"There is no drill {name}. {nearest(name, known)}", "opsbook drill list names them.")
    return catalog.load(settings, name)


def _drill(runbook: Runbook) -> Drill:
    found = runbook.front.drill
    if found is None:
        raise InputError(f"{runbook.name} is no drill.", "opsbook drill list names them.")
    return found


def _par(runbook: Runbook) -> str:
    return next((str(each.default) for each in runbook.parameters if each.name == PAR), "")


def told(runbook: Runbook, title: str) -> str:
    """The prose of a section: Symptoms when it starts, Fault when it is over."""
    steps = (step for section in runbook.sections if section.title.lower() == title.lower() for step in section.steps)
    return "\n\n".join(step.prose.strip() for step in steps)


# -- how far it is


def current(settings: Settings, wanted: str | None) -> store.Record:
    """The record of a drill: the one named, or the newest that nobody has ended. Raises InputError."""
    if wanted is not None:
        return store.find(settings.records, wanted)
    known = {entry.name for entry in catalog.entries(settings) if entry.front.drill is not None}
    for folder in store.newest(settings.records):
        record = store.exact(settings.records, folder.name) if store.runbook_of(folder.name) in known else None
        if record is not None and _stands(settings, record):
            return record
    raise InputError("No drill goes on.", "Start one: opsbook drill start NAME; opsbook drill list names them.")


def named(settings: Settings, wanted: str | None) -> Standing:
    """How far a drill is by now: the one of this run, or the newest that nobody has ended. Raises InputError."""
    return standing(settings, current(settings, wanted), datetime.now(UTC))


def _stands(settings: Settings, record: store.Record) -> bool:
    """Whether there is anything left to do about the drill of a record: it goes on, can be judged, or left a fault."""
    if trained.path(settings.records, record.id).exists() or record.glance().get("mode") != "live":
        return False
    if record.state == "running":
        return True
    now = standing(settings, record, datetime.now(UTC))
    return now.started is not None or now.broken


def standing(settings: Settings, record: store.Record, now: datetime) -> Standing:
    """How far the drill of a record is. Raises InputError if it is the record of something else."""
    events = record.events()
    told = record.summary()
    runbook = drill(settings, str(told["runbook"]))
    showed, mended = _times(runbook, events)
    # The first end: a rollback that came later is no part of it.
    ended = next((e.time for e in events if e.type == "run-finished"), None)
    over = mended or ended
    until = datetime.fromisoformat(over) if over else now
    since = datetime.fromisoformat(showed) if showed else until
    outcome = "mended" if mended else "failed" if ended else "open" if showed else "starting"
    notes = [(e.time, str(e.data.get("text"))) for e in events if _noted(e)]
    environment = str(told["environment"])
    runs = list(_since(settings, record.id, environment, since, until)) if showed else []
    solvers = _drill(runbook).solved_by
    named = [time for time, text in notes if text.removeprefix(_DIAGNOSIS) in solvers and text.startswith(_DIAGNOSIS)]
    named += [str(run["started"]) for run in runs if run["runbook"] in solvers]
    return Standing(
        run=record.id,
        drill=runbook.name,
        environment=environment,
        person=str((told.get("labels") or {}).get(TRAINEE) or str(told["operator"]).partition("@")[0]),
        state=outcome,
        par=_seconds(runbook, told["parameters"] or {}),
        started=showed,
        seconds=max(0.0, round((until - since).total_seconds(), 3)),
        diagnosed=_between(showed, min(named)) if named and showed else None,
        mended=_between(showed, mended) if mended else None,
        hints=len({text for _, text in notes if text.startswith(_HINT)}),
        wrong=tuple(str(run["run"]) for run in runs if run["runbook"] not in solvers and _changed(run)),
        goes_on=record.state == "running",
        changed=_changed(told),
        outcome=str(told["outcome"]),
    )


def _seconds(runbook: Runbook, parameters: dict[str, object]) -> float:
    """The par time of a run."""
    if PAR not in parameters:
        raise InputError(f"{runbook.name} has no par time.", f'Give it a parameter: {PAR}: Duration = "5m".')
    return span_seconds(str(parameters[PAR]))


def _times(runbook: Runbook, events: list[Event]) -> tuple[str | None, str | None]:
    """When the fault showed, and when it was mended."""
    checks = [step.id for step in runbook.forward() if step.role is Role.READ and not step.prerequisite]
    if len(checks) < 2:
        raise InputError(f"{runbook.name} does not show its fault first.", "Its Validation needs two steps.")
    done: dict[str, str] = {}
    for event in events:
        if event.type == "run-finished":
            # Whoever goes on with it later does not turn the clock back.
            break
        if event.type == "step-finished" and event.data["status"] == "succeeded":
            done.setdefault(event.data["step"], event.time)
    return done.get(checks[0]), done.get(checks[-1])


def _noted(event: Event) -> bool:
    return event.type == "request-taken" and event.data.get("kind") == "note"


def _between(begin: str | None, end: str) -> float | None:
    if begin is None:
        return None
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
    return round(max(0.0, seconds), 3)


def _since(
    settings: Settings, drill_run: str, environment: str, first: datetime, until: datetime
) -> Iterator[dict[str, object]]:
    """Real runs of other pages in the environment between these times, oldest first."""
    found = []
    for folder in store.newest(settings.records):
        if folder.name < drill_run:
            break
        record = store.exact(settings.records, folder.name)
        told = record.glance() if record and record.id != drill_run else {}
        begun = datetime.fromisoformat(told["started"]) if told.get("started") else None
        real = told.get("mode") == "live" and told.get("environment") == environment
        if begun is not None and real and first <= begun <= until:
            found.append(told)
    yield from reversed(found)


def _changed(told: dict[str, object]) -> bool:
    effects = told["effects"]
    assert isinstance(effects, list)
    return any(each["changes"] and each["changed"] is not False for each in effects)


# -- what a trainee does beside mending it


def hint(settings: Settings, now: Standing) -> str:
    """The next hint, noted in the journal first. Raises InputError where there is none, or the drill is over."""
    hints = _drill(drill(settings, now.drill)).hints
    if now.hints >= len(hints):
        raise InputError(f"You have had all {len(hints)} hints of {now.drill}.", "opsbook drill stop ends it.")
    send(settings, now.run, {"kind": "note", "text": f"{_HINT}{now.hints + 1}"})
    for _ in range(_TRIES):
        if named(settings, now.run).hints > now.hints:
            return hints[now.hints]
        time.sleep(_PAUSE)
    raise InputError("The hint was not noted, and is not shown.", "opsbook drill status says whether it goes on.")


def diagnose(settings: Settings, now: Standing, runbook: str) -> None:
    """Note which runbook the trainee thinks mends it. Raises InputError if there is no such runbook."""
    catalog.find(settings, runbook)
    send(settings, now.run, {"kind": "note", "text": f"{_DIAGNOSIS}{runbook}"})


def finish(settings: Settings, run: str, feedback: Feedback | None) -> Drilled:
    """Write the training record of a drill that is over and sealed. Raises InputError if it is not.

    One that is there already stays as it is: somebody may have signed it.
    """
    record = store.find(settings.records, run)
    if (there := trained.path(settings.records, record.id)).exists():
        return trained.read(there)
    now = standing(settings, record, datetime.now(UTC))
    if record.state != "sealed" or now.started is None:
        why = "it goes on" if record.state != "sealed" else "its fault never showed"
        raise InputError(f"{run} leaves no training record: {why}.", "opsbook records show says more.")
    drilled = Drilled(
        kind="training",
        run=record.id,
        seal=files.sha256(record.folder / store.SEAL),
        drill=now.drill,
        environment=now.environment,
        person=now.person,
        operator=str(record.summary()["operator"]),
        started=now.started,
        ended=str(record.summary()["ended"]),
        par=now.par,
        diagnosed=now.diagnosed,
        mended=now.mended,
        hints=now.hints,
        wrong=now.wrong,
        feedback=feedback,
    )
    trained.write(settings.records, drilled)
    return drilled
