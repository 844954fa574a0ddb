"""The record of a run, from its first file to the seal, and the context in which the run works."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.engine.run_context import Admission, Earlier, RunContext, Workspace
from opsbook.core.locks import lock, queue
from opsbook.core.locks.locking import acquire
from opsbook.core.model.effect import Mode
from opsbook.core.model.event import Event
from opsbook.core.model.events import RunFinished, RunStarted, read
from opsbook.core.model.outcome import Ending, Outcome
from opsbook.core.model.past import Past
from opsbook.core.model.planned import Planned, RunOptions
from opsbook.core.model.redact import Redactor
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import span_seconds
from opsbook.core.planning import drafts, tree_store
from opsbook.core.planning.context import operator, seen
from opsbook.core.planning.git import commit_of
from opsbook.core.record import journal, notebook, page, seal, side, store, summary
from opsbook.core.record.room import FULL
from opsbook.core.trust.approvals import RunStart
from opsbook.core.trust.authorization import authorization, needed
from opsbook.core.trust.signing import sealer
from opsbook.errors import NoRoom, Refused
from opsbook.settings import Settings

_TRIES, _PAUSE = 200, 0.01
"""Attempts, and seconds between them, to lock a record that readers hold."""


@dataclass(frozen=True)
class Finished:
    """A run that ended. `quarantined` names files of the record in which a secret was found.

    `sealed` is false if the record could not be closed, such as on a full disk: the run can still be resumed.
    `told` is the content of record.json. `left` are files that it wrote in a folder of its own.
    """

    run: str
    folder: Path
    ending: Ending
    quarantined: tuple[str, ...] = ()
    sealed: bool = True
    told: Mapping[str, Any] = field(default_factory=dict)
    left: tuple[Path, ...] = ()


def begun(
    settings: Settings, planned: Planned, options: RunOptions, redactor: Redactor, run: str
) -> tuple[RunContext, journal.Journal]:
    """A new record with the plan, and its journal. Raises InputError."""
    folder = store.create(settings.records, run)
    files.write_atomic(folder / "runbook.md", planned.runbook.source.encode())
    write_json(folder / store.PLAN, redactor.value(planned.plan.to_json()))
    book = journal.Journal(folder, redactor)
    context = run_context(settings, planned, options, workspace(settings, planned, folder), Past(options.mode))
    return context, book


def workspace(settings: Settings, planned: Planned, folder: Path, hold: int | None = None) -> Workspace:
    """Where a run with this record works; takes its journal's lock unless `hold` has it. Raises Refused."""
    held = taken(folder) if hold is None else hold
    return Workspace(
        partial(drafts.place, settings, planned, folder.name), folder / "inbox", held, settings.keep_environment
    )


def taken(folder: Path) -> int:
    """Lock the journal, as the process that executes the run; returns the descriptor. Raises Refused if another has it.

    A process that only checks whether the run is alive holds the lock briefly, so this waits for a moment.
    """
    for tried in range(_TRIES):
        if (hold := files.hold(folder / journal.NAME)) is not None:
            return hold
        if tried >= _TRIES // 4 and store.alive(folder / journal.NAME):
            # Neither a reader, nor the last process of a run that has just ended.
            break
        time.sleep(_PAUSE)
    raise Refused(f"{folder.name} goes on already.", f"Watch it: opsbook attach {folder.name}")


def write_json(path: Path, content: Any) -> None:
    files.write_atomic(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def run_context(
    settings: Settings,
    planned: Planned,
    options: RunOptions,
    workspace: Workspace,
    past: Past,
    earlier: Earlier | None = None,
) -> RunContext:
    """The engine's input; `past` is what a resumed run did before, with whole results."""
    run, plan = workspace.inbox.parent.name, planned.plan
    start = run_start(settings, planned, run, options, earlier)
    here = seen(settings.within(planned.root), planned.environment, run, options.mode)
    # Requests that name the operator must stay the same when another person resumes the run.
    here |= {"operator": past.operator} if past.operator else {}
    return RunContext(
        run=run,
        planned=planned,
        operator=operator(),
        here=here,
        workspace=workspace,
        options=options,
        admission=Admission(
            allow=authorization(start, options.mode, undo=options.undo),
            lock=acquire(settings, run, plan, operator()),
            queue=partial(queue.place, settings.state, run, plan.locks),
        ),
        past=past,
        earlier=earlier,
        stop_after=span_seconds(settings.stop_after),
    )


def run_start(settings: Settings, planned: Planned, run: str, options: RunOptions, earlier: Earlier | None) -> RunStart:
    """What decides whether the run may begin. A run that is resumed has the labels with which it began."""
    events, outcome = (earlier.events, earlier.outcome) if earlier else ((), "")
    began = next(
        (fact.labels for fact in map(read, () if options.undo else events) if isinstance(fact, RunStarted)), {}
    )
    return RunStart(settings, planned, run, options.emergency, events, began or options.labels, outcome)


def started(context: RunContext, root: Path) -> RunStarted:
    plan, runbook, check = context.planned.plan, context.planned.runbook, context.options.mode is Mode.CHECK
    cwd = context.options.cwd
    secret = {name: f"secret from {reference}" for name, reference in plan.secrets.items()}
    return RunStarted(
        run=context.run,
        runbook=plan.runbook,
        title=plan.title,
        environment=plan.environment,
        operator=context.operator,
        parameters={**plan.parameters, **secret},
        plan=plan.digest,
        mode=context.options.mode,
        labels=dict(context.options.labels),
        locks=plan.locks,
        versions=dict(plan.versions),
        pid=os.getpid(),
        steps=[step.named() for step in runbook.executed(check=check)],
        commit=commit_of(root, plan.path, runbook.source),
        cwd=str(cwd) if cwd not in (None, root) else "",
    )


def close(
    settings: Settings,
    book: journal.Journal,
    runbook: Runbook,
    ending: Ending,
    redactor: Redactor,
    checked: Planned | None = None,
) -> Finished:
    """Write the end, seal the record, and release the locks that the run does not keep. `checked`: what a check ran."""
    ending = replace(ending, reason=redactor.text(ending.reason))
    folder, sealed = book.folder, True
    told: dict[str, Any] = {}
    try:
        finished = RunFinished(
            outcome=str(ending.outcome),
            reason=ending.reason,
            exit_code=int(ending.exit_code),
            changed=ending.changed,
            keeps_lock=ending.keeps_lock,
            seconds=ending.seconds,
        )
        book.write(finished, durable=True)
        book.close()
        events = journal.read(folder / journal.NAME)
        told = summary.of(events)
        if checked is not None:
            told["check"] = _found(settings, checked, store.Record(folder.name, folder, "running"), events)
        # Closed first: a request that arrived now would be missing from the seal.
        with store.inbox(folder, closing=True):
            _derive(runbook, folder, events, told, redactor)
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
    left = tuple(tree_store.left_by(settings, folder.name))
    return Finished(folder.name, target, ending, found, sealed, told, left)


def _found(settings: Settings, planned: Planned, record: store.Record, events: Sequence[Event]) -> dict[str, Any]:
    """What a check found: what would change, who holds its locks, and what a run would need."""
    holders = {held.target: held.run for held in lock.holders(settings.state)}
    locks = [
        {"target": target, "held_by": next((run for t, run in holders.items() if queue.conflict(t, target)), None)}
        for target in planned.plan.locks
    ]
    needs = needed(settings, planned, datetime.now(UTC))
    foreseen = summary.forecast(events, lambda ended: side.result_of(record, ended))
    return foreseen | {"locks": locks, "needs": needs}


def _derive(runbook: Runbook, folder: Path, events: Sequence[Event], told: dict[str, Any], redactor: Redactor) -> None:
    """Write the derived files, and scan for secrets. `told`, the content of record.json, gets files with a secret."""
    try:
        files.write_atomic(folder / "runbook.ipynb", notebook.build(runbook, events, told))
    except Exception as error:
        # Notebook and page are only derived: a failure to build them must not prevent the seal.
        told["notebook"] = f"could not be made: {type(error).__name__}: {error}"
    try:
        printed = side.outputs(store.Record(folder.name, folder, "running"), events)
        files.write_atomic(folder / store.PAGE, page.page(told, printed).encode("utf-8", errors="replace"))
    except Exception as error:
        told["page"] = f"could not be made: {type(error).__name__}: {error}"
    if found := seal.scan(folder, redactor):
        told["quarantined"] = found
    write_json(folder / store.SUMMARY, told)
