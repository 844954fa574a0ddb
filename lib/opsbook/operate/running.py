"""Run a runbook to its end."""

import asyncio
import os
import threading
from collections.abc import Callable
from typing import NamedTuple

from opsbook.core.engine import runner, secrets
from opsbook.core.engine.cancel import undisturbed
from opsbook.core.engine.cell_context import AGAIN, LOOK_FIRST, MARKED, UNKNOWN
from opsbook.core.engine.engine import ACCEPT
from opsbook.core.engine.failure_choice import FailureChoice
from opsbook.core.engine.process import spare
from opsbook.core.engine.run_context import RunContext
from opsbook.core.model.effect import Mode
from opsbook.core.model.event import Event
from opsbook.core.model.outcome import Ending, Outcome
from opsbook.core.model.person import MANUAL_CHOICES, Person
from opsbook.core.model.plan import Plan
from opsbook.core.model.planned import Planned, RunOptions
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.planning import drafts
from opsbook.core.planning.context import vault
from opsbook.core.record import journal, page
from opsbook.core.source import names
from opsbook.core.trust.authorization import check_start
from opsbook.errors import InputError, NoRoom, OpsbookError
from opsbook.operate.run_record import Finished, begun, close, started
from opsbook.settings import Settings

DECISIONS = {
    "failed": tuple(FailureChoice),
    "roll-back": ("yes", "no"),
    ACCEPT: ("yes", "no"),
    UNKNOWN: (LOOK_FIRST, AGAIN, MARKED),
}
"""Questions of opsbook itself, with their answers."""


OnStart = Callable[[str, Plan, Runbook], Callable[[Event], None]]
"""Takes run id, plan and runbook, and returns a listener for events."""


class Audience(NamedTuple):
    """Who answers questions, and who is told once the run has an id."""

    person: Person
    on_start: OnStart


def run(settings: Settings, planned: Planned, options: RunOptions, audience: Audience) -> Finished:
    """Run a plan to its end. Raises InputError, and leaves no record, if it cannot begin."""
    held = vault(settings, planned.environment, planned.plan.secrets, planned.typed, page=planned.runbook.name)
    check_answers(planned.runbook, options, audience.person.present)
    return recorded(settings, planned, options, audience, held)


def check_answers(runbook: Runbook, options: RunOptions, present: bool) -> None:
    """Raises InputError for unusable answers, and for known questions that nobody can answer, except in a check."""
    undo = runbook.undo() if runbook.front.rollback in ("automatic", "ask") else ()
    known = {question.name: question for question in names.questions((*runbook.forward(), *undo))}
    known |= {name: names.PageQuestion(name, "", "decide", name, choices) for name, choices in DECISIONS.items()}
    for step in runbook.steps() if options.by_hand else ():
        known[step.id] = names.PageQuestion(step.id, step.id, "manual", step.title, MANUAL_CHOICES)
    problems = [f"There is no question {name}. {nearest(name, known)}" for name in options.answers if name not in known]
    for name, question in known.items():
        allowed = question.choices
        if name in options.answers and allowed and options.answers[name] not in allowed:
            problems.append(f"{options.answers[name]!r} does not answer {name}: it takes {', '.join(allowed)}.")
        elif name not in (*options.answers, *DECISIONS) and not present and options.mode is Mode.LIVE:
            example = allowed[0] if allowed else "…"
            problems.append(f"Nobody is there to answer {name} ({question.text}); give --answer {name}={example}.")
    if problems:
        raise InputError(problems, "Nothing ran, and nothing was changed.")


def recorded(
    settings: Settings, planned: Planned, options: RunOptions, audience: Audience, held: secrets.Vault
) -> Finished:
    """Run a plan, from the first file of its record to the seal. Raises InputError, and then leaves no record."""
    check_start(planned, options)
    if options.mode is Mode.LIVE:
        # Nothing else is ever resumed.
        drafts.keep(settings, planned)
    with undisturbed():
        context, book = begun(settings, planned, options, held.redactor, spare.new_run(planned.plan.runbook))
        book.listeners.append(audience.on_start(context.run, planned.plan, planned.runbook))
        book.write(started(context, settings.root), durable=True)
        return carry_out(settings, context, book, held, audience.person)


def carry_out(
    settings: Settings, context: RunContext, book: journal.Journal, held: secrets.Vault, person: Person
) -> Finished:
    """Run to the end, seal the record, and release the locks that the run does not keep."""
    # The run waits for its kernel now; at its end it would wait for this.
    threading.Thread(target=page.prepare, daemon=True).start()
    ending = _ran(context, book, held, person)
    planned = context.planned
    checked = planned if context.options.mode is Mode.CHECK else None
    finished = close(settings, book, planned.runbook, ending, held.redactor, checked)
    os.close(context.workspace.hold)
    return finished


def _ran(context: RunContext, book: journal.Journal, held: secrets.Vault, person: Person) -> Ending:
    past = context.past
    try:
        return asyncio.run(runner.run(context, book, held, person))
    except NoRoom as error:
        return Ending(Outcome.WAITING, error.whole, changed=past.changed, seconds=0.0)
    except OpsbookError as error:
        return Ending(Outcome.FAILED, error.whole, changed=past.changed, seconds=0.0)
    except Exception as error:
        # What the run did is unknown: close the record anyway, and keep the lock.
        why = f"a fault in opsbook itself: {type(error).__name__}: {error}"
        return Ending(Outcome.FAILED, why, changed=bool(past.steps), seconds=0.0)
