"""Run a runbook to its end, and leave a sealed record of it."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.errors import InputError, OpsbookError, Refused
from opsbook.flow.context import context, operator, vault
from opsbook.flow.drafts import Draft, Request, plan
from opsbook.model.effect import Mode
from opsbook.model.event import Ending, Event, Outcome
from opsbook.model.person import Person
from opsbook.model.plan import Plan
from opsbook.model.redact import Redactor
from opsbook.model.runbook import Runbook
from opsbook.model.text import nearest
from opsbook.policy import lock
from opsbook.record import journal, notebook, seal, store, summary
from opsbook.run import runner, secrets, spare
from opsbook.settings import Settings
from opsbook.source import names


@dataclass(frozen=True)
class Finished:
    """A run that ended. `quarantined` names files of the record in which a secret was found."""

    run: str
    folder: Path
    ending: Ending
    quarantined: tuple[str, ...] = ()


OnStart = Callable[[str, Plan, Runbook], Callable[[Event], None]]
"""Gets run id, plan and runbook, and returns what listens to events."""


def run(settings: Settings, request: Request, drafted: Draft, person: Person, on_start: OnStart) -> Finished:
    """Run what was drafted of a request to its end. Raises InputError, and leaves nothing, if it cannot begin."""
    planned = plan(settings, drafted)
    held = vault(settings, drafted.environment, drafted.bound.secrets, request.typed_secrets, Redactor())
    _check_answers(drafted.runbook, request.answers, person.present)
    return recorded(settings, drafted, planned, request.answers, Mode.LIVE, person, held, on_start)


def _check_answers(runbook: Runbook, answers: Mapping[str, str], present: bool) -> None:
    """Known questions have usable answers, or somebody is there to give them."""
    undo = runbook.undo() if runbook.front.rollback in ("automatic", "ask") else ()
    known = {question.name: question for question in names.questions((*runbook.forward(), *undo))}
    problems = [f"There is no question {name}. {nearest(name, known)}" for name in answers if name not in known]
    for name, question in known.items():
        allowed = question.choices
        if name in answers and allowed and answers[name] not in allowed:
            problems.append(f"{answers[name]!r} does not answer {name}: it takes {', '.join(allowed)}.")
        elif name not in answers and not present:
            example = allowed[0] if allowed else "…"
            problems.append(f"Nobody is there to answer {name} ({question.text}); give --answer {name}={example}.")
    if problems:
        raise InputError(problems, "Nothing ran, and nothing was changed.")


def recorded(
    settings: Settings,
    drafted: Draft,
    planned: Plan,
    answers: Mapping[str, str],
    mode: Mode,
    person: Person,
    held: secrets.Vault,
    on_start: OnStart,
) -> Finished:
    """Run what is planned, from the first file of its record to the seal."""
    redactor = held.redactor
    with _undisturbed():
        folder = store.create(settings.records, spare.new_run(planned.runbook))
        files.write_atomic(folder / "runbook.md", drafted.runbook.source.encode())
        content = json.dumps(redactor.value(planned.to_json()), indent=2, ensure_ascii=False) + "\n"
        files.write_atomic(folder / "plan.json", content.encode())
        book = journal.Journal(folder, redactor)
        hold = files.hold(folder / journal.NAME)
        book.listeners.append(on_start(folder.name, planned, drafted.runbook))
        job = _job(settings, drafted, planned, answers, mode, folder, hold)
        book.write("run-started", _started(job), durable=True)
        ending = _locked(settings, job, book, held, person)
        ending = replace(ending, reason=redactor.text(ending.reason))
        book.write("run-finished", _finished(ending), durable=True)
        found = _close(drafted.runbook, folder, book, redactor)
        if not ending.keeps_lock:
            lock.release(settings.state, folder.name)
        if hold is not None:
            os.close(hold)
        target = seal.quarantine(folder, settings.records) if found else folder
    return Finished(folder.name, target, ending, tuple(found))


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """From the first file of a record to its seal, a signal may only cancel what runs, never leave half a record."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    # A lost terminal ends no run; whoever is asked then is not there any more. Not SIG_IGN: children would have it too.
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _job(
    settings: Settings,
    drafted: Draft,
    planned: Plan,
    answers: Mapping[str, str],
    mode: Mode,
    folder: Path,
    hold: int | None,
) -> runner.Job:
    return runner.Job(
        run=folder.name,
        plan=planned,
        runbook=drafted.runbook,
        environment=drafted.environment,
        operator=operator(),
        context=context(settings, drafted.environment, folder.name, mode),
        answers=answers,
        mode=mode,
        root=settings.root,
        inbox=folder / "inbox",
        hold=hold,
        keep_environment=settings.keep_environment,
    )


def _started(job: runner.Job) -> dict[str, Any]:
    planned = job.plan
    return {
        "run": job.run,
        "runbook": planned.runbook,
        "title": planned.title,
        "environment": planned.environment,
        "operator": job.operator,
        "parameters": {
            **planned.parameters,
            **{name: f"secret from {ref}" for name, ref in planned.secrets.items()},
        },
        "plan": planned.digest,
        "mode": job.mode,
        "locks": list(planned.locks),
        "versions": dict(planned.versions),
        "pid": os.getpid(),
    }


def _finished(ending: Ending) -> dict[str, Any]:
    return {
        "outcome": str(ending.outcome),
        "reason": ending.reason,
        "exit_code": int(ending.exit_code),
        "changed": ending.changed,
        "keeps_lock": ending.keeps_lock,
        "seconds": ending.seconds,
    }


def _locked(
    settings: Settings,
    job: runner.Job,
    book: journal.Journal,
    held: secrets.Vault,
    person: Person,
) -> Ending:
    """Take the locks and run. A lock that another run holds ends this one as refused."""
    reason = f"{job.plan.title}"
    wanted = [lock.Lock(target, job.run, job.operator, reason, journal.now()) for target in job.plan.locks]
    try:
        lock.acquire(settings.state, wanted)
    except Refused as error:
        return Ending(Outcome.REFUSED, f"{error.message} {error.hint}".strip(), changed=False, seconds=0.0)
    book.write("locked", {"targets": list(job.plan.locks)})
    try:
        return asyncio.run(runner.run(job, book, held, person))
    except OpsbookError as error:
        return Ending(Outcome.FAILED, f"{error.message} {error.hint}".strip(), changed=False, seconds=0.0)
    except Exception as error:
        # What it did until then nobody knows: the record is closed all the same, and the lock is kept.
        why = f"a fault in opsbook itself: {type(error).__name__}: {error}"
        return Ending(Outcome.FAILED, why, changed=True, seconds=0.0)


def _close(runbook: Runbook, folder: Path, book: journal.Journal, redactor: Redactor) -> list[str]:
    """Derive what is derived, scan, seal. Returns the files in which a secret was found."""
    book.close()
    events = journal.read(folder / journal.NAME)
    told = summary.of(events)
    try:
        files.write_atomic(folder / "runbook.ipynb", notebook.build(runbook, events, told))
    except Exception as error:
        # The notebook is only derived: what it cannot show must not cost the record its seal.
        told["notebook"] = f"could not be made: {type(error).__name__}: {error}"
    found = seal.scan(folder, redactor)
    if found:
        told["quarantined"] = found
    files.write_atomic(folder / "record.json", (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())
    seal.seal(folder, book.head)
    return found
