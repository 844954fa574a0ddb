"""Run a runbook to its end, and leave a sealed record of it."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.engine import runner, secrets
from opsbook.core.engine.cancel import undisturbed
from opsbook.core.engine.cell_context import AGAIN, LOOK_FIRST, MARKED, UNKNOWN
from opsbook.core.engine.engine import ACCEPT, Wishes
from opsbook.core.engine.failure_choice import FailureChoice
from opsbook.core.engine.process import spare
from opsbook.core.locks import lock, queue
from opsbook.core.locks.locking import acquire
from opsbook.core.locks.targets import conflict
from opsbook.core.model.effect import Mode
from opsbook.core.model.event import Ending, Event, Outcome
from opsbook.core.model.events import RunFinished, RunStarted
from opsbook.core.model.past import Past
from opsbook.core.model.person import MANUAL_CHOICES, Person
from opsbook.core.model.plan import Plan
from opsbook.core.model.redact import Redactor
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.planning import bind
from opsbook.core.planning.context import context, operator, vault
from opsbook.core.planning.drafts import RELIED_ON, Draft, RunRequest, plan, relied_on
from opsbook.core.record import forecast, journal, notebook, page, seal, side, store, summary
from opsbook.core.record.room import FULL
from opsbook.core.source import names
from opsbook.core.trust.authorization import Wanted, allowing, check_start, needed
from opsbook.core.trust.signing import sealer
from opsbook.errors import InputError, NoRoom, OpsbookError, Refused
from opsbook.settings import Settings

_TRIES, _PAUSE = 200, 0.01
"""How often, and seconds between, a record is tried to be taken that only readers look at."""

DECISIONS = {
    "failed": tuple(FailureChoice),
    "roll-back": ("yes", "no"),
    ACCEPT: ("yes", "no"),
    UNKNOWN: (LOOK_FIRST, AGAIN, MARKED),
}
"""Questions of opsbook itself, with what answers them."""


@dataclass(frozen=True)
class Finished:
    """A run that ended. `quarantined` names files of the record in which a secret was found.

    `sealed` is false where there was no room for the end of the record: the run can be resumed all the same.
    `told` is what record.json says.
    """

    run: str
    folder: Path
    ending: Ending
    quarantined: tuple[str, ...] = ()
    sealed: bool = True
    told: Mapping[str, Any] = field(default_factory=dict)


OnStart = Callable[[str, Plan, Runbook], Callable[[Event], None]]
"""Gets run id, plan and runbook, and returns what listens to events."""


@dataclass(frozen=True)
class Manner:
    """How a run is to go: `mode` live or check, questions `answers` were given to, and what the engine does of it.

    `wait`: until the locks are free, and somebody has approved. `emergency` says why that cannot be waited for.
    """

    mode: Mode = Mode.LIVE
    answers: Mapping[str, str] = field(default_factory=dict)
    wait: bool = False
    wishes: Wishes = field(default_factory=Wishes)
    emergency: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def run(
    settings: Settings, request: RunRequest, drafted: Draft, manner: Manner, person: Person, on_start: OnStart
) -> Finished:
    """Run what was drafted of a request to its end. Raises InputError, and leaves nothing, if it cannot begin."""
    planned = plan(settings, drafted)
    held = vault(settings, drafted.environment, drafted.bound.secrets, request.typed_secrets, Redactor())
    check_answers(drafted.runbook, manner, person.present)
    return recorded(settings, drafted, planned, manner, person, held, on_start)


def check_answers(runbook: Runbook, manner: Manner, present: bool) -> None:
    """Known questions have usable answers, or somebody is there to give them. A check can do without."""
    undo = runbook.undo() if runbook.front.rollback in ("automatic", "ask") else ()
    known = {question.name: question for question in names.questions((*runbook.forward(), *undo))}
    known |= {name: names.PageQuestion(name, "", "decide", name, choices) for name, choices in DECISIONS.items()}
    for step in runbook.steps() if manner.wishes.by_hand else ():
        known[step.id] = names.PageQuestion(step.id, step.id, "manual", step.title, MANUAL_CHOICES)
    problems = [f"There is no question {name}. {nearest(name, known)}" for name in manner.answers if name not in known]
    for name, question in known.items():
        allowed = question.choices
        if name in manner.answers and allowed and manner.answers[name] not in allowed:
            problems.append(f"{manner.answers[name]!r} does not answer {name}: it takes {', '.join(allowed)}.")
        elif name not in (*manner.answers, *DECISIONS) and not present and manner.mode is Mode.LIVE:
            example = allowed[0] if allowed else "…"
            problems.append(f"Nobody is there to answer {name} ({question.text}); give --answer {name}={example}.")
    if problems:
        raise InputError(problems, "Nothing ran, and nothing was changed.")


def recorded(
    settings: Settings,
    drafted: Draft,
    planned: Plan,
    manner: Manner,
    person: Person,
    held: secrets.Vault,
    on_start: OnStart,
) -> Finished:
    """Run what is planned, from the first file of its record to the seal. Raises InputError, and leaves nothing."""
    check_start(drafted, manner.mode, manner.labels, manner.emergency)
    redactor = held.redactor
    with undisturbed():
        folder = store.create(settings.records, spare.new_run(planned.runbook))
        files.write_atomic(folder / "runbook.md", drafted.runbook.source.encode())
        write_json(folder / store.PLAN, redactor.value(planned.to_json()))
        write_json(folder / RELIED_ON, relied_on(settings, drafted.environment))
        book = journal.Journal(folder, redactor)
        hold = taken(folder)
        job = make_job(settings, drafted, planned, manner, folder, hold, Past())
        book.listeners.append(on_start(folder.name, planned, drafted.runbook))
        book.write(_started(job, manner), durable=True)
        return carry_out(settings, job, book, held, person)


def taken(folder: Path) -> int:
    """The descriptor that says that a process carries out the run of this record. Raises Refused if another does.

    Whoever only asks whether the run lives holds it for a moment, and has to be waited for.
    """
    for tried in range(_TRIES):
        if (hold := files.hold(folder / journal.NAME)) is not None:
            return hold
        if tried >= _TRIES // 4 and store.alive(folder / journal.NAME):
            # Not somebody who reads, and not the last process of a run that has just ended.
            break
        time.sleep(_PAUSE)
    raise Refused(f"{folder.name} goes on already.", f"Watch it: opsbook attach {folder.name}")


def write_json(path: Path, content: Any) -> None:
    files.write_atomic(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def make_job(
    settings: Settings,
    drafted: Draft,
    planned: Plan,
    manner: Manner,
    folder: Path,
    hold: int,
    past: Past,
    stale: frozenset[Path] = frozenset(),
    events: Sequence[Event] = (),
) -> runner.Job:
    """The job of a run; `past` is what it did before (in `events`), `stale` are requests that were left."""
    wanted = Wanted(settings, drafted, planned, folder.name, manner.emergency, events)
    # What was undone half-way because a file was saved meanwhile would help nobody.
    check = (lambda: None) if manner.wishes.undo else partial(_check_plan, wanted)
    seen = context(settings, drafted.environment, folder.name, manner.mode)
    # Requests that name the operator must stay the same when somebody else goes on with the run.
    seen |= {"operator": past.operator} if past.operator else {}
    return runner.Job(
        run=folder.name,
        plan=planned,
        runbook=drafted.runbook,
        environment=drafted.environment,
        operator=operator(),
        context=seen,
        answers=manner.answers,
        mode=manner.mode,
        root=settings.root,
        inbox=folder / "inbox",
        stale=stale,
        acquire=acquire(settings, folder.name, planned, operator(), check),
        allow=allowing(wanted, manner.mode, undo=manner.wishes.undo),
        queue=partial(queue.place, settings.state, folder.name, planned.locks),
        wait=manner.wait,
        past=past,
        wishes=manner.wishes,
        hold=hold,
        keep_environment=settings.keep_environment,
    )


def _check_plan(wanted: Wanted) -> None:
    """Files may have changed while somebody waited for a lock or a signature. Raises Refused."""
    if plan(wanted.settings, wanted.drafted).digest != wanted.planned.digest:
        raise Refused("What this run was planned with has changed since.", "Look at what it is now: opsbook plan.")


def _started(job: runner.Job, manner: Manner) -> RunStarted:
    planned = job.plan
    secret = {name: f"secret from {reference}" for name, reference in planned.secrets.items()}
    return RunStarted(
        run=job.run,
        runbook=planned.runbook,
        title=planned.title,
        environment=planned.environment,
        operator=job.operator,
        parameters={**planned.parameters, **secret},
        plan=planned.digest,
        mode=job.mode,
        labels=dict(manner.labels),
        locks=planned.locks,
        versions=dict(planned.versions),
        pid=os.getpid(),
    )


def carry_out(
    settings: Settings, job: runner.Job, book: journal.Journal, held: secrets.Vault, person: Person
) -> Finished:
    """Run the job to its end, seal its record, and give back what it does not keep."""
    ending = _ran(job, book, held, person)
    ending = replace(ending, reason=held.redactor.text(ending.reason))
    folder, sealed = book.folder, True
    told: dict[str, Any] = {}
    try:
        book.write(_finished(ending), durable=True)
        book.close()
        told = _told(settings, job, folder)
        # A request that came now would be in no seal.
        with store.inbox(folder, closing=True):
            _close(job.runbook, folder, told, held.redactor)
            seal.seal(folder, book.head, sealer(settings))
    except (NoRoom, OSError) as error:
        full = isinstance(error, OSError) and error.errno in FULL
        what = "There is no room for the record" if full else "The record cannot be closed"
        why = getattr(error, "message", None) or f"{what}: {error}."
        ending, sealed = replace(ending, outcome=Outcome.WAITING, reason=f"{ending.reason}. {why}"), False
    if sealed and not ending.keeps_lock:
        lock.release(settings.state, folder.name)
    found = tuple(told.get("quarantined") or ())
    target = seal.quarantine(folder, settings.records) if found else folder
    os.close(job.hold)
    return Finished(folder.name, target, ending, found, sealed, told)


def _ran(job: runner.Job, book: journal.Journal, held: secrets.Vault, person: Person) -> Ending:
    try:
        return asyncio.run(runner.run(job, book, held, person))
    except NoRoom as error:
        return Ending(Outcome.WAITING, f"{error.message} {error.hint}", changed=job.past.changed, seconds=0.0)
    except OpsbookError as error:
        why = f"{error.message} {error.hint}".strip()
        return Ending(Outcome.FAILED, why, changed=job.past.changed, seconds=0.0)
    except Exception as error:
        # What it did until then nobody knows: the record is closed all the same, and the lock is kept.
        why = f"a fault in opsbook itself: {type(error).__name__}: {error}"
        return Ending(Outcome.FAILED, why, changed=bool(job.past.steps), seconds=0.0)


def _finished(ending: Ending) -> RunFinished:
    return RunFinished(
        outcome=str(ending.outcome),
        reason=ending.reason,
        exit_code=int(ending.exit_code),
        changed=ending.changed,
        keeps_lock=ending.keeps_lock,
        seconds=ending.seconds,
    )


def _told(settings: Settings, job: runner.Job, folder: Path) -> dict[str, Any]:
    """The content of record.json."""
    events = journal.read(folder / journal.NAME)
    told = summary.of(events)
    if job.mode is Mode.CHECK:
        record = store.Record(folder.name, folder, "running")
        holders = {held.target: held.run for held in lock.holders(settings.state)}
        locks = [
            {"target": target, "held_by": next((run for t, run in holders.items() if conflict(t, target)), None)}
            for target in job.plan.locks
        ]
        needs = needed(Draft(job.runbook, job.environment, bind.Bound()), datetime.now(UTC))
        told["check"] = forecast.of(events, lambda data: side.result_of(record, data)) | {
            "locks": locks,
            "needs": needs,
        }
    return told


def _close(runbook: Runbook, folder: Path, told: dict[str, Any], redactor: Redactor) -> None:
    """Derive what is derived, and scan. `told` gets the files in which a secret was found."""
    events = journal.read(folder / journal.NAME)
    try:
        files.write_atomic(folder / "runbook.ipynb", notebook.build(runbook, events, told))
    except Exception as error:
        # Notebook and page are only derived: what they cannot show must not cost the record its seal.
        told["notebook"] = f"could not be made: {type(error).__name__}: {error}"
    try:
        printed = side.outputs(store.Record(folder.name, folder, "running"), events)
        files.write_atomic(folder / store.PAGE, page.page(told, printed).encode("utf-8", errors="replace"))
    except Exception as error:
        told["page"] = f"could not be made: {type(error).__name__}: {error}"
    if found := seal.scan(folder, redactor):
        told["quarantined"] = found
    write_json(folder / "record.json", told)
