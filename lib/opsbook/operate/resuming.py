"""Resume a stopped run, or roll it back: in a new process, by any user who may write its record (ADR 12)."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile
from typing import Any

from opsbook import files
from opsbook.core.engine.cancel import undisturbed
from opsbook.core.engine.run_context import Earlier, RunContext
from opsbook.core.engine.secrets import Vault
from opsbook.core.locks import lock
from opsbook.core.locks.locking import acquire, worked_since
from opsbook.core.model.attempts import attempts
from opsbook.core.model.effect import Mode, digest
from opsbook.core.model.event import Event
from opsbook.core.model.events import RunResumed, RunStarted, SourceEdited, read
from opsbook.core.model.outcome import RESUMABLE, Ending, Outcome
from opsbook.core.model.past import Past
from opsbook.core.model.plan import Plan
from opsbook.core.model.planned import Planned, RunOptions
from opsbook.core.model.redact import MARK, Redactor
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.planning import drafts
from opsbook.core.planning.build import changes_since
from opsbook.core.planning.context import operator, vault
from opsbook.core.planning.edits import Edit, apply, edited, original
from opsbook.core.record import journal, seal, side, store, streams
from opsbook.core.source import notebook as pages
from opsbook.core.trust import adopting
from opsbook.core.trust.authorization import authorization, check_page
from opsbook.errors import InputError, NotYet, Refused
from opsbook.operate.run_record import Finished, close, run_context, run_start, taken, workspace
from opsbook.operate.running import Audience, carry_out, check_answers
from opsbook.settings import Settings


@dataclass(frozen=True)
class Stopped:
    """A stopped run: its record, its plan, the page as it ran, and what it did."""

    record: store.Record
    plan: Plan
    runbook: Runbook
    events: tuple[Event, ...]
    past: Past
    outcome: str


def stopped(settings: Settings, wanted: str) -> Stopped:
    """A stopped run, read from its record. Raises InputError, or Refused if it still runs."""
    record = _at_rest(settings, wanted)
    if record.folder.parent.name == store.QUARANTINE:
        raise InputError(f"{record.id} is in quarantine: a secret is in its record.", "Start a new run.")
    flaws = _flaws(record)
    if flaws:
        # Another process may go on with it just then, or may have sealed it anew by now: that is no damage.
        record = _at_rest(settings, record.id)
        flaws = _flaws(record)
    if flaws:
        raise InputError(
            f"{record.id} was changed after it was sealed: {flaws[0].file} {flaws[0].message}.",
            f"opsbook records verify {record.id} says more. Start a new run.",
        )
    then = record.plan()
    events = tuple(record.events())
    _check_as_planned(record, then, events)
    runbook, problems = pages.parse(record.text("runbook.md"), then.path)
    if problems:
        raise record.damaged("runbook.md")
    return Stopped(record, then, runbook, events, Past.of(events), str(record.summary()["outcome"]))


def _flaws(record: store.Record) -> list[seal.Flaw]:
    return seal.verify(record.folder) if record.state == "sealed" else []


def _at_rest(settings: Settings, wanted: str) -> store.Record:
    """The record of a run that no process executes. Raises Refused if one does."""
    record = store.find(settings.records, wanted)
    if record.state == "running" and store.let_go(record.folder):
        record = store.find(settings.records, record.id)
    if record.state == "running":
        raise Refused(f"{record.id} still runs.", f"Watch it: opsbook attach {record.id}")
    return record


def _check_as_planned(record: store.Record, then: Plan, events: Sequence[Event]) -> None:
    """Raises InputError if the page or the plan of a record is not the one with which the run began.

    The record of a lost run has no seal that would tell.
    """
    facts = list(map(read, events))
    began = next((fact.plan for fact in facts if isinstance(fact, RunStarted)), "")
    edits = [fact.sha256 for fact in facts if isinstance(fact, SourceEdited)]
    now = files.sha256(record.folder / "runbook.md")
    # Values of secrets are not in a record, so such a plan has another digest there.
    whole = not MARK.search(record.text(store.PLAN))
    same = edits[-1] == now if edits else digest(record.text("runbook.md")) == then.trees.get("runbook")
    if not same or digest(original(record)) != then.trees.get("runbook") or (whole and then.digest != began):
        raise InputError(
            f"{record.id} was changed: its page or its plan is not the one with which it began.",
            f"Put it right by hand, with the page in git; then: opsbook unlock TARGET. Look: {record.folder}",
        )


def resume(
    settings: Settings,
    found: Stopped,
    options: RunOptions,
    typed: Mapping[str, str],
    audience: Audience,
    edit: Callable[[str], str] | None = None,
) -> Finished:
    """Resume a run where it stopped. Raises InputError or Refused, and then changes nothing."""
    if found.outcome not in RESUMABLE or found.past.mode != "live":
        raise InputError(f"{found.record.id} is {found.outcome}: there is nothing to resume.", "Start a new run.")
    adopting.check(settings, found.record.id)
    change = edited(found.runbook, found.past, edit) if edit else None
    runbook = change.runbook if change else found.runbook
    known = [step.id for step in runbook.executed()]
    if options.start and options.start not in known:
        said = f"There is no step {options.start}. {nearest(options.start, known)}"
        raise InputError(said, f"Steps: {', '.join(known)}.")
    check_answers(runbook, options, present=True)
    planned = _planned(settings, found, runbook, typed)
    check_page(runbook, planned.environment, options.emergency)
    refusing, telling = changes_since(found.plan, planned.plan)
    if refusing:
        raise Refused(
            f"{found.record.id} cannot go on: what it was planned with has changed.\n" + "\n".join(refusing),
            f"Put it back, or undo the run: opsbook rollback {found.record.id}.",
        )
    _check_allowed(settings, found, planned, options)
    return _again(settings, _Again(found, planned, tuple(telling), change), options, audience)


def rollback(
    settings: Settings, found: Stopped, options: RunOptions, typed: Mapping[str, str], audience: Audience
) -> Finished:
    """Undo what a run did. Raises InputError or Refused, and then changes nothing."""
    check_rollback(found)
    adopting.check(settings, found.record.id)
    check_answers(found.runbook, options, present=True)
    planned = _planned(settings, found, found.runbook, typed)
    refusing, telling = changes_since(found.plan, planned.plan)
    undo = replace(options, undo=True)
    _check_allowed(settings, found, planned, undo)
    return _again(settings, _Again(found, planned, (*refusing, *telling)), undo, audience)


def close_lost(settings: Settings, found: Stopped) -> Finished:
    """Seal the record of a lost check, notebook or session. Raises InputError if it is not lost, or can be resumed."""
    run = found.record.id
    if found.past.mode == Mode.LIVE or found.outcome != Outcome.LOST:
        raise InputError(f"{run} is {found.outcome}: nothing of it runs.", f"Go on: opsbook resume {run}.")
    hold = taken(found.record.folder)
    try:
        redactor = Redactor()
        book = journal.Journal(found.record.folder, redactor, again=True)
        reason = f"its process was killed, or its machine went down; {operator()} closed it"
        ending = Ending(Outcome.CANCELLED, reason, bool(found.past.unsettled()), seconds=0.0)
        return close(settings, book, found.runbook, ending, redactor)
    finally:
        os.close(hold)


def check_rollback(found: Stopped) -> None:
    """Raises InputError if there is nothing to roll back, or the page has no rollback."""
    run = found.record.id
    if found.past.mode != "live" or found.outcome in (Outcome.ROLLED_BACK, Outcome.REFUSED, Outcome.CHECKED):
        raise InputError(f"{run} is {found.outcome}: there is nothing to roll back.")
    if not found.runbook.undo() or found.runbook.front.rollback == "none":
        raise InputError(f"{found.runbook.name} has no rollback.", "Its page says what to do instead.")
    if not found.past.changed:
        raise InputError(f"{run} changed nothing: there is nothing to roll back.")


def _check_allowed(settings: Settings, found: Stopped, planned: Planned, options: RunOptions) -> None:
    """Raises Refused before the record is changed. NotYet is ignored: the run itself waits for approval or window."""
    start = run_start(settings, planned, found.record.id, options, Earlier(found.events, found.outcome))
    with contextlib.suppress(NotYet):
        authorization(start, Mode.LIVE, undo=options.undo)()


def _planned(settings: Settings, found: Stopped, runbook: Runbook, typed: Mapping[str, str]) -> Planned:
    """Plan the same request again: the record's page with the plan's parameters, on its hosts."""
    drafted = drafts.planned_draft(settings, runbook, found.plan, typed)
    drafted = replace(drafted, environment=drafted.environment.keeping(found.plan.hosts))
    return drafts.plan(settings, drafted)


@dataclass(frozen=True)
class _Again:
    """A stopped run to continue: its new plan, the differences to report, and an edit of its page."""

    found: Stopped
    planned: Planned
    telling: tuple[str, ...]
    change: Edit | None = None


def _again(settings: Settings, again: _Again, options: RunOptions, audience: Audience) -> Finished:
    """Reopen the record and continue the run."""
    found, planned = again.found, again.planned
    if absent := [name for name in found.plan.prompted if name not in planned.typed]:
        raise InputError([f"Secret {name} has to be typed again." for name in absent], "Use a terminal.")
    held = vault(settings, planned.environment, planned.plan.secrets, planned.typed, page=planned.runbook.name)
    _check_secrets(found, held)
    since = (*again.telling, *worked_since(settings, found.record.id, found.plan.locks, found.past.last))
    folder = found.record.folder
    with undisturbed():
        stale = frozenset((folder / "inbox").glob("*.json"))
        hold = taken(folder)
        try:
            unsealed = _opened(settings, found, planned.plan, wait=bool(options.wait))
            book = journal.Journal(folder, held.redactor, again=True)
        except BaseException:
            os.close(hold)
            raise
        record = replace(found.record, state="lost")
        past = Past.of(book.earlier, lambda ended: held.restored(side.result_of(record, ended)))
        for known in past.unsettled():
            if known.status is None and (where := streams.where(record, known.intent, known.effect.kind)):
                past.locate(known.effect.key, where)
        earlier = Earlier(book.earlier, found.outcome, since, stale)
        work = workspace(settings, planned, folder, hold)
        context = run_context(settings, planned, options, work, past, earlier)
        book.listeners.append(audience.on_start(folder.name, planned.plan, planned.runbook))
        resumed = replace(_resumed(context, book, unsealed), saved=drafts.saved_since(settings, planned))
        past.take(book.write(resumed, durable=True))
        if again.change:
            apply(folder, again.change, book)
        return carry_out(settings, context, book, held, audience.person)


def _resumed(context: RunContext, book: journal.Journal, unsealed: dict[str, Any] | None) -> RunResumed:
    options = context.options
    # The step from which it goes on, and those after it.
    anew = dropwhile(lambda step: step.id != options.start, context.planned.runbook.forward())
    return RunResumed(
        operator=context.operator,
        goal="rollback" if options.undo else "resume",
        start=options.start,
        by_hand=options.by_hand,
        cut=book.cut,
        outcome=context.earlier.outcome if context.earlier else "",
        seal=unsealed,
        anew=[step.id for step in anew] if options.start else [],
        pid=os.getpid(),
    )


def _check_secrets(found: Stopped, held: Vault) -> None:
    """Raises InputError if a secret that the run has used is missing: its effects could not be replayed."""
    marked = set(MARK.findall((found.record.folder / journal.NAME).read_text(encoding="utf-8", errors="replace")))
    intents = (attempt.intent for attempt in attempts(found.events))
    asked = {intent.request.get("name") for intent in intents if intent.kind == "secret"}
    gone = sorted(name for name in {*marked, *map(str, asked)} if held.get(name) is None)
    if gone:
        hint = "Name it in environment.yml as it was when the run began, or start a new run."
        raise InputError([f"The run has used the secret {name}, which is not there any more." for name in gone], hint)


def _opened(settings: Settings, found: Stopped, plan: Plan, *, wait: bool) -> dict[str, Any] | None:
    """Take the locks, then remove the seal. Without the locks the record does not change. Raises Refused."""
    run, folder = found.record.id, found.record.folder
    # Only now no other process can write the record: one may have gone on with it while an editor or a prompt was open.
    if len(journal.read(folder / journal.NAME)) != len(found.events):
        raise Refused(f"{run} went on meanwhile.", "Look at it, and start again: opsbook status.")
    had = any(held.run == run for held in lock.holders(settings.state))
    if not wait:
        acquire(settings, run, plan, operator())()
    try:
        return seal.unseal(folder)
    except OSError:
        if not had:
            lock.release(settings.state, run)
        raise
