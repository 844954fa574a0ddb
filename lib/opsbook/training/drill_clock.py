"""A drill's progress, from the record of its run (ADR 19).

A drill is a runbook, and its run a normal run. The first step of its Validation proves the fault, which starts the
clock; the last one waits until the service is mended. Hints and diagnoses are notes in the run's journal.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from opsbook.core.model.drill import PAR, checks
from opsbook.core.model.event import Event, Outcome
from opsbook.core.model.events import RequestTaken, RunFinished, StepFinished, read
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import span_seconds
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.settings import Settings
from opsbook.training import trained
from opsbook.training.drills import about, drill, names

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
    return progress(settings, _current(settings, wanted), datetime.now(UTC))


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
    now = progress(settings, record, datetime.now(UTC))
    return (now.started is not None and now.par > 0) or now.broken


def progress(settings: Settings, record: store.Record, now: datetime) -> DrillProgress:
    """The progress of a record's drill at `now`. Raises InputError if it is not the record of a drill."""
    events = record.events()
    told = record.summary()
    page = drill(settings, str(told["runbook"]))
    showed, mended = _times(page, events)
    # The first end counts: a later rollback is not part of the drill.
    ended = next((e.time for e in events if e.type == RunFinished.type), None)
    over = mended or ended
    until = datetime.fromisoformat(over) if over else now
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
        par=span_seconds(str((told["parameters"] or {}).get(PAR, "0s"))),
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
    seen = [done.get(step.id) for step in checks(page)]
    return (seen[0], seen[-1]) if len(seen) > 1 else (None, None)


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
    behind = f"{until.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    for folder in store.newest(settings.records):
        if folder.name < drill_run:
            break
        if folder.name[: len(behind)] > behind:
            continue
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
