"""Go on with a run that stopped, or roll it back: in a new process, by whoever may write its record (ADR 12)."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from opsbook import files
from opsbook.errors import InputError, Refused
from opsbook.flow.context import operator, vault
from opsbook.flow.drafts import Draft, plan
from opsbook.flow.edits import Edit, apply, edited
from opsbook.flow.locking import worked_since
from opsbook.flow.running import Finished, Manner, OnStart, carry_out, make_job, undisturbed
from opsbook.flow.sameness import changes_since, page_changes
from opsbook.model.event import Event, Outcome
from opsbook.model.past import Past
from opsbook.model.person import Person
from opsbook.model.plan import Plan
from opsbook.model.redact import Redactor
from opsbook.model.runbook import Runbook
from opsbook.model.text import nearest
from opsbook.plan import bind
from opsbook.policy import environment as environments
from opsbook.record import journal, seal, side, store
from opsbook.run.secrets import Vault
from opsbook.settings import Settings
from opsbook.source import notebook as pages

_RESUMABLE = (Outcome.LOST, Outcome.WAITING, Outcome.CANCELLED, Outcome.FAILED, Outcome.ROLLBACK_FAILED)
_PLAN = TypeAdapter(Plan)
_TRIES, _PAUSE = 10, 0.03


@dataclass(frozen=True)
class Stopped:
    """A run that does not go on: its record, what was planned, the page as it ran, and what it did."""

    record: store.Record
    planned: Plan
    runbook: Runbook
    events: tuple[Event, ...]
    past: Past
    outcome: str


def stopped(settings: Settings, wanted: str) -> Stopped:
    """A run that stopped, read from its record. Raises InputError, or Refused if it goes on."""
    record = store.find(settings.records, wanted)
    if record.state == "running":
        raise Refused(f"{record.id} still runs.", f"Watch it: opsbook attach {record.id}")
    if record.folder.parent.name == store.QUARANTINE:
        raise InputError(f"{record.id} is in quarantine: a secret is in its record.", "Start a new run.")
    if record.state == "sealed" and (flaws := seal.verify(record.folder)):
        raise InputError(
            f"{record.id} was changed after it was sealed: {flaws[0].file} {flaws[0].message}.",
            f"opsbook records verify {record.id} says more. Start a new run.",
        )
    planned = _planned(record)
    runbook, problems = pages.parse(record.text("runbook.md"), planned.path)
    if problems:
        raise record.damaged("runbook.md")
    events = tuple(record.events())
    past = Past()
    for event in events:
        past.take(event)
    return Stopped(record, planned, runbook, events, past, str(record.summary()["outcome"]))


def _planned(record: store.Record) -> Plan:
    try:
        return _PLAN.validate_json(record.text("plan.json"))
    except (ValidationError, RecursionError) as error:
        raise record.damaged("plan.json") from error


def resume(
    settings: Settings,
    found: Stopped,
    manner: Manner,
    typed: Mapping[str, str],
    person: Person,
    on_start: OnStart,
    edit: Callable[[str], str] | None = None,
) -> Finished:
    """Go on with a run where it stopped. Raises InputError or Refused, and leaves everything as it was."""
    if found.outcome not in _RESUMABLE or found.past.mode != "live":
        raise InputError(f"{found.record.id} is {found.outcome}: there is nothing to go on with.", "Start a new run.")
    _check_start(found, manner.wishes.start)
    change = edited(found.runbook, found.past, edit) if edit else None
    differs = [] if change else page_changes(settings, found.record, found.planned)
    drafted, planned = _drafted(settings, found, change)
    refusing, telling = changes_since(settings, found.record, found.planned, planned, drafted.environment)
    if problems := [*differs, *refusing]:
        raise Refused(
            f"{found.record.id} cannot go on: what it was planned with has changed.\n" + "\n".join(problems),
            "Put it back, change the record's page (--edit), or undo the run: "
            f"opsbook rollback {found.record.id}. The page that ran: {found.record.folder / 'runbook.md'}.",
        )
    return _again(settings, found, drafted, planned, manner, typed, telling, person, on_start, change)


def rollback(
    settings: Settings, found: Stopped, manner: Manner, typed: Mapping[str, str], person: Person, on_start: OnStart
) -> Finished:
    """Undo what a run did. Raises InputError or Refused, and leaves everything as it was."""
    run = found.record.id
    if found.past.mode != "live" or found.outcome in (Outcome.ROLLED_BACK, Outcome.REFUSED, Outcome.CHECKED):
        raise InputError(f"{run} is {found.outcome}: there is nothing to roll back.")
    if not found.runbook.undo() or found.runbook.front.rollback == "none":
        raise InputError(f"{found.runbook.name} has no rollback.", "Its page says what to do instead.")
    if not found.past.changed:
        raise InputError(f"{run} changed nothing: there is nothing to roll back.")
    drafted, planned = _drafted(settings, found, None)
    refusing, telling = changes_since(settings, found.record, found.planned, planned, drafted.environment)
    manner = replace(manner, wishes=replace(manner.wishes, undo=True))
    return _again(settings, found, drafted, planned, manner, typed, [*refusing, *telling], person, on_start, None)


def _check_start(found: Stopped, start: str) -> None:
    known = [step.id for step in found.runbook.forward() if step.cells or step.manual]
    if start and start not in known:
        raise InputError(f"There is no step {start}. {nearest(start, known)}", f"Steps: {', '.join(known)}.")


def missing_secrets(found: Stopped) -> list[str]:
    """Secrets that a person typed and has to type again."""
    return [name for name, reference in found.planned.secrets.items() if reference == bind.PROMPT]


def _drafted(settings: Settings, found: Stopped, change: Edit | None) -> tuple[Draft, Plan]:
    """The same request once more: the page of the record, with the parameters of the plan."""
    environment = environments.load(settings, found.planned.environment)
    runbook = change.runbook if change else found.runbook
    bound = bind.Bound(dict(found.planned.parameters), dict(found.planned.secrets))
    drafted = Draft(runbook, environment, bound)
    return drafted, plan(settings, drafted)


def _again(
    settings: Settings,
    found: Stopped,
    drafted: Draft,
    planned: Plan,
    manner: Manner,
    typed: Mapping[str, str],
    telling: list[str],
    person: Person,
    on_start: OnStart,
    change: Edit | None,
) -> Finished:
    """Open the record again and carry on."""
    if absent := [name for name in missing_secrets(found) if name not in typed]:
        raise InputError([f"Secret {name} has to be typed again." for name in absent], "Use a terminal.")
    held = vault(settings, drafted.environment, drafted.bound.secrets, typed, Redactor())
    since = [
        *telling,
        *worked_since(settings, found.record.id, found.planned.locks, found.past.last),
    ]
    folder = found.record.folder
    with undisturbed():
        hold = _taken(folder)
        try:
            told = {"seal": seal.unseal(folder), "outcome": found.outcome}
            book = journal.Journal(folder, held.redactor, again=True)
        except BaseException:
            os.close(hold)
            raise
        # Read once more: only now nobody else writes it.
        past = _past(replace(found.record, state="lost"), book.earlier, held)
        wishes = replace(manner.wishes, resumed=True, since=tuple(since))
        job = make_job(settings, drafted, planned, replace(manner, wishes=wishes), folder, hold, past)
        book.listeners.append(on_start(folder.name, planned, drafted.runbook))
        what = "rollback" if wishes.undo else "resume"
        event = {"operator": operator(), "for": what, "from": wishes.start, "by_hand": wishes.by_hand, "cut": book.cut}
        past.take(book.write("run-resumed", {**event, **told, "pid": os.getpid()}, durable=True))
        if change:
            apply(folder, change, book)
        past.forget(set(_behind(drafted.runbook, wishes.start)))
        return carry_out(settings, job, book, held, person)


def _taken(folder: Path) -> int:
    """The lock of the record: of two who want to go on, one has it."""
    for _ in range(_TRIES):
        if (hold := files.hold(folder / journal.NAME)) is not None:
            return hold
        # Whoever only asks whether the run lives holds the lock for a moment.
        time.sleep(_PAUSE)
    raise Refused(f"{folder.name} goes on already.", f"Watch it: opsbook attach {folder.name}")


def _past(record: store.Record, events: tuple[Event, ...], held: Vault) -> Past:
    past = Past()
    for event in events:
        past.take(event)
        if event.type == "effect-result":
            past.give(event.data["intent"], held.restored(side.result_of(record, event.data)))
    return past


def _behind(runbook: Runbook, start: str) -> Iterator[str]:
    """The step from which a run goes on, and those behind it."""
    seen = False
    for step in runbook.forward() if start else ():
        seen = seen or step.id == start
        if seen:
            yield step.id
