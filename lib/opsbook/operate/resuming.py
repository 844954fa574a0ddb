"""Go on with a run that stopped, or roll it back: in a new process, by whoever may write its record (ADR 12)."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from opsbook.core.engine.cancel import undisturbed
from opsbook.core.engine.secrets import Vault
from opsbook.core.locks import lock
from opsbook.core.locks.locking import acquire, worked_since
from opsbook.core.model.effect import Mode
from opsbook.core.model.event import Event, Outcome
from opsbook.core.model.events import RunResumed
from opsbook.core.model.past import Past
from opsbook.core.model.person import Person
from opsbook.core.model.plan import Plan
from opsbook.core.model.redact import MARK, Redactor
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.planning import bind
from opsbook.core.planning.context import operator, vault
from opsbook.core.planning.drafts import Draft, plan, planned_draft
from opsbook.core.planning.drift import changes_since, page_changes, relied_on_then
from opsbook.core.planning.edits import Edit, apply, edited
from opsbook.core.record import journal, seal, side, store
from opsbook.core.source import notebook as pages
from opsbook.core.trust.authorization import Wanted, allowing, check_page
from opsbook.errors import InputError, NotYet, Refused
from opsbook.operate.running import Finished, Manner, OnStart, carry_out, check_answers, make_job, taken
from opsbook.settings import Settings

_RESUMABLE = (Outcome.LOST, Outcome.WAITING, Outcome.CANCELLED, Outcome.FAILED, Outcome.ROLLBACK_FAILED)


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
    if record.state == "running" and store.let_go(record.folder):
        record = store.find(settings.records, record.id)
    if record.state == "running":
        raise Refused(f"{record.id} still runs.", f"Watch it: opsbook attach {record.id}")
    if record.folder.parent.name == store.QUARANTINE:
        raise InputError(f"{record.id} is in quarantine: a secret is in its record.", "Start a new run.")
    if record.state == "sealed" and (flaws := seal.verify(record.folder)):
        raise InputError(
            f"{record.id} was changed after it was sealed: {flaws[0].file} {flaws[0].message}.",
            f"opsbook records verify {record.id} says more. Start a new run.",
        )
    planned = record.plan()
    runbook, problems = pages.parse(record.text("runbook.md"), planned.path)
    if problems:
        raise record.damaged("runbook.md")
    events = tuple(record.events())
    past = Past()
    for event in events:
        past.take(event)
    return Stopped(record, planned, runbook, events, past, str(record.summary()["outcome"]))


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
    change = edited(found.runbook, found.past, edit) if edit else None
    runbook = change.runbook if change else found.runbook
    _check_start(runbook, manner.wishes.start)
    check_answers(runbook, manner, present=True)
    differs = [] if change else page_changes(settings, found.record, found.planned)
    drafted, planned = _drafted(settings, found, change)
    check_page(drafted, manner.emergency)
    refusing, telling = _changes(settings, found, planned, drafted)
    if problems := [*differs, *refusing]:
        raise Refused(
            f"{found.record.id} cannot go on: what it was planned with has changed.\n" + "\n".join(problems),
            "Put it back, change the record's page (--edit), or undo the run: "
            f"opsbook rollback {found.record.id}. The page that ran: {found.record.folder / 'runbook.md'}.",
        )
    _check_allowed(Wanted(settings, drafted, planned, found.record.id, manner.emergency, found.events))
    return _again(settings, found, drafted, planned, manner, typed, telling, person, on_start, change)


def rollback(
    settings: Settings, found: Stopped, manner: Manner, typed: Mapping[str, str], person: Person, on_start: OnStart
) -> Finished:
    """Undo what a run did. Raises InputError or Refused, and leaves everything as it was."""
    check_rollback(found)
    check_answers(found.runbook, manner, present=True)
    drafted, planned = _drafted(settings, found, None)
    refusing, telling = _changes(settings, found, planned, drafted)
    manner = replace(manner, wishes=replace(manner.wishes, undo=True))
    return _again(settings, found, drafted, planned, manner, typed, [*refusing, *telling], person, on_start, None)


def check_rollback(found: Stopped) -> None:
    """Raises InputError if there is nothing to roll back, or no way to."""
    run = found.record.id
    if found.past.mode != "live" or found.outcome in (Outcome.ROLLED_BACK, Outcome.REFUSED, Outcome.CHECKED):
        raise InputError(f"{run} is {found.outcome}: there is nothing to roll back.")
    if not found.runbook.undo() or found.runbook.front.rollback == "none":
        raise InputError(f"{found.runbook.name} has no rollback.", "Its page says what to do instead.")
    if not found.past.changed:
        raise InputError(f"{run} changed nothing: there is nothing to roll back.")


def _check_allowed(wanted: Wanted) -> None:
    """Raises Refused while the record is still as it was; what may be allowed later, the run itself waits for."""
    with contextlib.suppress(NotYet):
        allowing(wanted, Mode.LIVE, undo=False)()


def _check_start(runbook: Runbook, start: str) -> None:
    known = [step.id for step in runbook.forward() if step.cells or step.manual]
    if start and start not in known:
        raise InputError(f"There is no step {start}. {nearest(start, known)}", f"Steps: {', '.join(known)}.")


def missing_secrets(found: Stopped) -> list[str]:
    """Secrets that a person typed and has to type again."""
    return [name for name, reference in found.planned.secrets.items() if reference == bind.PROMPT]


def _drafted(settings: Settings, found: Stopped, change: Edit | None) -> tuple[Draft, Plan]:
    """The same request once more: the page of the record, with the parameters of the plan."""
    drafted = planned_draft(settings, change.runbook if change else found.runbook, found.planned)
    return drafted, plan(settings, drafted)


def _changes(settings: Settings, found: Stopped, now: Plan, drafted: Draft) -> tuple[list[str], list[str]]:
    return changes_since(settings, found.planned, now, drafted.environment, relied_on_then(found.record))


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
    _check_secrets(found, held)
    since = [
        *telling,
        *worked_since(settings, found.record.id, found.planned.locks, found.past.last),
    ]
    folder = found.record.folder
    with undisturbed():
        stale = frozenset((folder / "inbox").glob("*.json"))
        hold = taken(folder)
        try:
            # Only now nobody else writes it. What was looked at until now has to be what there is.
            _check_still(found)
            unsealed = _opened(settings, found, planned, wait=manner.wait)
            book = journal.Journal(folder, held.redactor, again=True)
        except BaseException:
            os.close(hold)
            raise
        past = _past(replace(found.record, state="lost"), book.earlier, held)
        wishes = replace(manner.wishes, resumed=found.outcome, since=tuple(since))
        manner = replace(manner, wishes=wishes)
        job = make_job(settings, drafted, planned, manner, folder, hold, past, stale, book.earlier)
        book.listeners.append(on_start(folder.name, planned, drafted.runbook))
        resumed = RunResumed(
            operator=operator(),
            goal="rollback" if wishes.undo else "resume",
            start=wishes.start,
            by_hand=wishes.by_hand,
            cut=book.cut,
            outcome=found.outcome,
            seal=unsealed,
            anew=list(_behind(drafted.runbook, wishes.start)),
            pid=os.getpid(),
        )
        past.take(book.write(resumed, durable=True))
        if change:
            apply(folder, change, book)
        return carry_out(settings, job, book, held, person)


def _check_secrets(found: Stopped, held: Vault) -> None:
    """Every secret that the run has used is there, or what it did with it could not be replayed."""
    marked = set(MARK.findall((found.record.folder / journal.NAME).read_text(encoding="utf-8", errors="replace")))
    asked = {e.data["request"].get("name") for e in found.events if e.data.get("kind") == "secret"}
    gone = sorted(name for name in {*marked, *map(str, asked)} if held.get(name) is None)
    if gone:
        hint = "Name it in environment.yml as it was when the run began, or start a new run."
        raise InputError([f"The run has used the secret {name}, which is not there any more." for name in gone], hint)


def _check_still(found: Stopped) -> None:
    """Somebody else may have gone on with the run, and stopped again, while an editor or a prompt stood open."""
    if len(journal.read(found.record.folder / journal.NAME)) != len(found.events):
        raise Refused(f"{found.record.id} went on meanwhile.", "Look at it, and start again: opsbook status.")


def _opened(settings: Settings, found: Stopped, planned: Plan, *, wait: bool) -> dict[str, Any] | None:
    """Take the locks, then the seal off. Without the locks the record stays as it is. Raises Refused."""
    run, folder = found.record.id, found.record.folder
    had = any(held.run == run for held in lock.holders(settings.state))
    if not wait:
        acquire(settings, run, planned, operator())()
    try:
        return seal.unseal(folder)
    except OSError:
        if not had:
            lock.release(settings.state, run)
        raise


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
