"""Drills: runbooks with `drill:` in their front matter, and how far one is, from the record of its run (ADR 19).

A drill's run is a normal run. The first step of its Validation proves the fault, which starts the clock; the last one
waits until the service is mended. Hints and diagnoses are notes in the run's journal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opsbook import files
from opsbook.core.catalog import catalog
from opsbook.core.model import drill as rules
from opsbook.core.model.event import Event
from opsbook.core.model.events import RequestTaken, RunFinished, StepFinished, read
from opsbook.core.model.front import Drill
from opsbook.core.model.outcome import Outcome
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest, seconds_between, span_seconds
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.operate.run_requests import send
from opsbook.settings import Settings
from opsbook.training import trained
from opsbook.training.trained import Drilled, Feedback

_NAMES = "opsbook drill list names them."


@dataclass(frozen=True)
class Listed:
    """A drill in a list, without anything that reveals its fault."""

    name: str
    title: str
    par: str
    environments: tuple[str, ...]
    alerts: tuple[str, ...]
    hints: int


def names(settings: Settings) -> list[str]:
    """The names of all drills."""
    return [entry.name for entry in catalog.entries(settings) if entry.front.drill is not None]


def drills(settings: Settings) -> Iterator[Listed]:
    """Every drill, by name."""
    for name in names(settings):
        page = catalog.load(settings, name)
        front = page.front
        yield Listed(name, page.title, rules.par(page), front.environments, front.alerts, len(about(page).hints))


def drill(settings: Settings, name: str) -> Runbook:
    """The page of a drill. Raises InputError if there is no such drill."""
    if name not in (known := names(settings)):
        raise InputError(f"There is no drill {name}. {nearest(name, known)}", _NAMES)
    return catalog.load(settings, name)


def check_par(page: Runbook, parameters: Mapping[str, Any]) -> None:
    """Raises InputError if a run with these parameters has no usable par time: it could not be judged."""
    par = parameters.get(rules.PAR)
    if par is None or not rules.is_time(str(par)):
        said = f"{page.name} has no par time" if par is None else f"{par} is no par time"
        raise InputError(f"{said}.", "A drill takes between a moment and seven days: --par 5m.")


def about(page: Runbook) -> Drill:
    """The `drill:` of its front matter. Raises InputError if it has none."""
    if page.front.drill is None:
        raise InputError(f"{page.name} is no drill.", _NAMES)
    return page.front.drill


def told(runbook: Runbook, title: str) -> str:
    """The prose of a section: Symptoms for the start of a drill, Fault for its end."""
    steps = (step for section in runbook.sections if section.title.lower() == title.lower() for step in section.steps)
    return "\n\n".join(step.prose.strip() for step in steps)


# -- the clock


TRAINEE = "trainee"
"""Label of a drill's run: the trainee, if somebody else started it."""

HINT, DIAGNOSIS = "hint ", "diagnosis "
"""Prefixes of the notes that a drill writes to its journal."""


@dataclass(frozen=True)
class DrillProgress:
    """A drill's progress. `started` is None until its fault shows; durations are seconds from then.

    `state` is starting, open (its fault shows and is not mended), mended, or failed.
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
        """Whether the fault may still be there: injected, not mended, not rolled back."""
        return self.mended is None and self.changed and self.outcome not in (Outcome.ROLLED_BACK, Outcome.REFUSED)


def _current(settings: Settings, wanted: str | None) -> store.Record:
    """The record of a drill: the one named, or the newest that is not stopped. Raises InputError."""
    if wanted is not None:
        return store.find(settings.records, wanted)
    known = set(names(settings))
    for folder in store.newest(settings.records):
        record = store.exact(settings.records, folder.name) if store.runbook_of(folder.name) in known else None
        if record is not None and _stands(settings, record):
            return record
    raise InputError("No drill goes on.", "Start one: opsbook drill start NAME; opsbook drill list names them.")


def progress_of(settings: Settings, wanted: str | None) -> DrillProgress:
    """The current progress of a drill: the one of this run, or the newest that is not stopped. Raises InputError."""
    return progress(settings, _current(settings, wanted))


def _stands(settings: Settings, record: store.Record) -> bool:
    """Whether a drill is unfinished: it runs, is not judged yet, or left a fault behind."""
    told = record.glance()
    if trained.path(settings.records, record.id).exists() or told.get("mode") != "live":
        return False
    if told.get("outcome") == Outcome.REFUSED:
        # Its record may not be closed yet; the drill that goes on is another one.
        return False
    if record.state == "running":
        return True
    now = progress(settings, record)
    return (now.started is not None and now.par > 0) or now.broken


def progress(settings: Settings, record: store.Record) -> DrillProgress:
    """The current progress of a record's drill. Raises InputError if it is not the record of a drill."""
    events = record.events()
    told = record.summary()
    page = drill(settings, str(told["runbook"]))
    showed, mended = _times(page, events)
    # The first end counts: a later rollback is not part of the drill.
    ended = next((e.time for e in events if e.type == RunFinished.type), None)
    over = mended or ended
    until = datetime.fromisoformat(over) if over else datetime.now(UTC)
    since = datetime.fromisoformat(showed) if showed else until
    outcome = "mended" if mended else "failed" if ended else "open" if showed else "starting"
    requests = [(e.time, fact.request) for e in events if isinstance(fact := read(e), RequestTaken)]
    notes = [(time, str(request.get("text"))) for time, request in requests if request.get("kind") == "note"]
    environment = str(told["environment"])
    runs = list(_since(settings, record.id, environment, since, until)) if showed else []
    solvers = about(page).solved_by
    named = [time for time, text in notes if text.removeprefix(DIAGNOSIS) in solvers and text.startswith(DIAGNOSIS)]
    named += [str(run["started"]) for run in runs if run["runbook"] in solvers]
    return DrillProgress(
        run=record.id,
        drill=page.name,
        environment=environment,
        person=str((told.get("labels") or {}).get(TRAINEE) or str(told["operator"]).partition("@")[0]),
        state=outcome,
        par=span_seconds(str((told["parameters"] or {}).get(rules.PAR, "0s"))),
        started=showed,
        seconds=max(0.0, round((until - since).total_seconds(), 3)),
        diagnosed=_between(showed, min(named)) if named and showed else None,
        mended=_between(showed, mended) if mended else None,
        hints=len({text for _, text in notes if text.startswith(HINT)}),
        wrong=tuple(str(run["run"]) for run in runs if run["runbook"] not in solvers and _changed(run)),
        goes_on=record.state == "running",
        changed=_changed(told),
        outcome=str(told["outcome"]),
    )


def _times(page: Runbook, events: list[Event]) -> tuple[str | None, str | None]:
    """When the fault showed, and when it was mended."""
    done: dict[str, str] = {}
    for event in events:
        fact = read(event)
        if isinstance(fact, RunFinished):
            # A run that is resumed later does not change the times.
            break
        if isinstance(fact, StepFinished) and fact.status == "succeeded":
            done.setdefault(fact.step, event.time)
    seen = [done.get(step.id) for step in rules.checks(page)]
    return (seen[0], seen[-1]) if len(seen) > 1 else (None, None)


def _between(begin: str | None, end: str) -> float | None:
    return None if begin is None else max(0.0, seconds_between(begin, end))


def _since(
    settings: Settings, drill_run: str, environment: str, first: datetime, until: datetime
) -> Iterator[dict[str, object]]:
    """Real runs of other pages in the environment between these times, oldest first."""
    found = []
    behind = f"{until.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    for record in store.recent(settings.records, since=drill_run[:8]):
        told = record.glance() if record.id > drill_run and record.id[: len(behind)] <= behind else {}
        begun = datetime.fromisoformat(told["started"]) if told.get("started") else None
        real = told.get("mode") == "live" and told.get("environment") == environment
        if begun is not None and real and first <= begun <= until:
            found.append(told)
    yield from reversed(found)


def _changed(told: dict[str, object]) -> bool:
    effects = told["effects"]
    assert isinstance(effects, list)
    return any(each["changes"] and each["changed"] is not False for each in effects)


_TRIES, _PAUSE = 50, 0.1
"""Checks whether a note has reached the journal, and seconds between them."""


def hint(settings: Settings, now: DrillProgress) -> str:
    """The next hint, noted in the journal first. Raises InputError if there is none, or the drill is over."""
    hints = about(drill(settings, now.drill)).hints
    if now.hints >= len(hints):
        raise InputError(f"You have had all {len(hints)} hints of {now.drill}.", "opsbook drill stop ends it.")
    send(settings, now.run, {"kind": "note", "text": f"{HINT}{now.hints + 1}"})
    if files.again(lambda: progress_of(settings, now.run).hints > now.hints, _TRIES, _PAUSE):
        return hints[now.hints]
    raise InputError("The hint was not noted, and is not shown.", "opsbook drill status says whether it goes on.")


def diagnose(settings: Settings, now: DrillProgress, runbook: str) -> None:
    """Note which runbook the trainee thinks mends it. Raises InputError if there is no such runbook."""
    catalog.find(settings, runbook)
    send(settings, now.run, {"kind": "note", "text": f"{DIAGNOSIS}{runbook}"})


def finish(settings: Settings, run: str, feedback: Feedback | None) -> Drilled:
    """Write the training record of a finished drill. Raises InputError if its record is not sealed.

    An existing training record is never overwritten: it may be signed.
    """
    record = store.find(settings.records, run)
    if (there := trained.path(settings.records, record.id)).exists():
        return trained.read(there)
    now = progress(settings, record)
    if record.state != "sealed" or now.started is None or not now.par:
        lacks = "its fault never showed" if now.started is None else "it had no par time"
        why = lacks if record.state == "sealed" else "it goes on"
        raise InputError(f"{run} leaves no training record: {why}.", "opsbook records show says more.")
    same = ("drill", "environment", "person", "started", "par", "diagnosed", "mended", "hints", "wrong")
    told = record.summary()
    drilled = Drilled(
        kind="training",
        run=record.id,
        seal=files.sha256(record.folder / store.SEAL),
        operator=str(told["operator"]),
        ended=str(told["ended"]),
        feedback=feedback,
        **{name: getattr(now, name) for name in same},
    )
    trained.write(settings.records, drilled)
    return drilled
