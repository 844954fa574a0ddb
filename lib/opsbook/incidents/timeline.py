"""The timeline of an incident: a sentence for each event, and how long each phase took."""

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from opsbook.core.model.event import Event
from opsbook.core.model.events import RunFinished, RunResumed, RunStarted, StepFinished, StepStarted, read
from opsbook.core.model.text import duration, one_line, quoted, seconds_between
from opsbook.incidents import facts
from opsbook.incidents.incident import Incident, State


@dataclass(frozen=True)
class Entry:
    """A line of the timeline: when (UTC, ISO 8601), who, and what, on one line. `kind` is the type of the event."""

    time: str
    who: str
    text: str
    kind: str


def entries(found: Incident) -> Iterator[Entry]:
    """Every event that this version knows, in the order of their times."""
    yield from sorted((entry for event in found.events if (entry := entry_of(event))), key=lambda each: each.time)


def entry_of(event: Event) -> Entry | None:
    """The line of one event; None for one that this version does not know."""
    fact: Any = read(event, lenient=True)
    say = _SENTENCES.get(type(fact))
    if say is None:
        return None
    return Entry(getattr(fact, "at", "") or event.time, getattr(fact, "by", ""), one_line(say(fact), 2000), event.type)


def of_run(runbook: str, events: Iterable[Event]) -> Iterator[Entry]:
    """What a run of this page did: its steps as they ended, and its own end; of a check only that."""
    titles: dict[str, str] = {}
    who, mode = "", ""
    for event in events:
        match read(event, lenient=True):
            case RunStarted() as fact:
                who, mode = fact.operator, fact.mode
            case RunResumed() as fact:
                who = fact.operator
            case StepStarted() as fact:
                titles[fact.step] = fact.title
            case StepFinished(replay=False) as fact if mode != "check":
                why = f": {fact.why}" if fact.why else ""
                said = f"{runbook}: {titles.get(fact.step, fact.step)} {fact.status}{why}"
                yield Entry(event.time, who, one_line(said, 2000), event.type)
            case RunFinished() as fact:
                said = f"{runbook} {'as a check ' if mode == 'check' else ''}{fact.outcome}: {fact.reason}"
                yield Entry(event.time, who, one_line(said, 2000), event.type)


def phases(found: Incident) -> dict[str, float | None]:
    """Seconds from the first sign to each state; None where it was not reached.

    The first sign is the earliest of its alerts, or else its opening.
    """
    opened = found.reached[State.OPEN]
    first = min([opened, *(each.started for each in found.alerts.values())], key=lambda time: _span(opened, time))
    names = {"opened": State.OPEN, "acknowledged": State.ACKNOWLEDGED, "mitigated": State.MITIGATED}
    names |= {"resolved": State.RESOLVED}
    return {
        name: _span(first, found.reached[state]) if state in found.reached else None for name, state in names.items()
    }


def _span(begin: str, end: str) -> float:
    """Seconds between two times: those of others may be written in any zone, or be none."""
    try:
        return seconds_between(begin, end)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _fired(fact: facts.AlertFired) -> str:
    summary = fact.annotations.get("summary") or ", ".join(
        f"{name}={quoted(value)}" for name, value in fact.labels.items() if name != "alertname"
    )
    return f"{fact.name} fires: {summary}"


def _called(fact: facts.MessageSent | facts.IncidentEscalated) -> str:
    who = fact.on_call if fact.reached else f"{fact.on_call}, not reached"
    return f"{fact.said}; on call: {who} ({fact.rota})" if fact.on_call else fact.said


def _escalated(fact: facts.IncidentEscalated) -> str:
    asked = f"asked for help: {fact.why}" if fact.by else f"nobody works on it after {duration(fact.waited)}"
    return f"{asked}: message {_called(fact)}"


_SENTENCES: dict[type, Callable[[Any], str]] = {
    facts.IncidentOpened: lambda fact: (
        f"opened as {fact.severity}{f' in {fact.environment}' if fact.environment else ''}: {fact.title}"
    ),
    facts.AlertFired: _fired,
    facts.AlertCleared: lambda fact: f"{fact.name} does not fire any more",
    facts.IncidentAcknowledged: lambda _: "acknowledged",
    facts.IncidentEscalated: _escalated,
    facts.UpdateDue: lambda fact: f"no update for {duration(fact.waited)}: message {fact.said}",
    facts.SeverityChanged: lambda fact: f"is {fact.severity} now{f': {fact.why}' if fact.why else ''}",
    facts.RoleTaken: lambda fact: f"{fact.who} is {fact.role}",
    facts.NoteAdded: lambda fact: fact.text,
    facts.RunAttached: lambda fact: (
        f"{'check' if fact.mode == 'check' else 'run'} of {fact.runbook} begins: {fact.run}"
    ),
    facts.CommandStarted: lambda fact: f"command {fact.number}: {shlex.join(fact.argv)}",
    facts.CommandEnded: lambda fact: f"command {fact.number} ended with {fact.exit} after {duration(fact.seconds)}",
    facts.NotMitigated: lambda fact: f"{fact.runbook} was not run by itself: {fact.why}",
    facts.NotDiagnosed: lambda fact: (
        f"{f'{fact.runbook} was not checked by itself' if fact.runbook else 'nothing was checked'}: {fact.why}"
    ),
    facts.MessageSent: lambda fact: f"message {_called(fact)}",
    facts.IncidentPublished: lambda fact: (
        f"on the public status page: {fact.title}" if fact.title else "off the public status page"
    ),
    facts.UpdateWritten: lambda fact: f"told {fact.audience}: {fact.text}",
    facts.IncidentMitigated: lambda fact: f"mitigated: {fact.how}",
    facts.IncidentResolved: lambda fact: (
        f"resolved (still firing: {', '.join(fact.firing)}): {fact.how}" if fact.firing else f"resolved: {fact.how}"
    ),
    facts.ActionAdded: lambda fact: f"action {fact.number} for {fact.owner} until {fact.due}: {fact.text}",
    facts.ActionClosed: lambda fact: f"action {fact.number} closed: {fact.how}",
    facts.IncidentReviewed: lambda fact: f"review closed: {fact.path}",
}
