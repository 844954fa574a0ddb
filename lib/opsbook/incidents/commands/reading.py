"""Incidents: list them, show one, and compare them with their seals."""

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import duration, number_of
from opsbook.incidents import reviewing, store, timeline
from opsbook.incidents.incident import Incident
from opsbook.settings import Settings


def listing(options: argparse.Namespace) -> int:
    """Incidents, newest first: those that are not over, or all of them."""
    settings = common.project(options)
    found = [each for each in map(store.shown, store.every(settings.records)) if options.all or not each.over]
    columns = ("INCIDENT", "SEVERITY", "STATE", "ENVIRONMENT", "OPENED", "WHAT")
    rows = [
        (each.id, each.severity, each.state, each.environment or "—", common.local(each.opened), _what(each))
        for each in found
    ]
    none = "No incident was opened yet." if options.all else "No incident is open."
    return common.tell_rows(options, list(map(told, found)), columns, rows, none)


def show(options: argparse.Namespace) -> int:
    """One incident: state, people, alerts, runs with their outcomes, and the timeline."""
    settings = common.project(options)
    found = store.load(store.find(settings, options.incident))
    if options.json:
        runs = [each | {"outcome": reviewing.outcome(settings, each["run"])} for each in told(found)["runs"]]
        return common.tell(options, told(found) | {"runs": runs})
    for line in _head(settings, found):
        say(line)
    say()
    rows = [(common.local(each.time), each.who or "—", each.text) for each in timeline.entries(found)]
    common.table(("WHEN", "WHO", "WHAT"), rows)
    return 0


def verify(options: argparse.Namespace) -> int:
    """Compare incidents that are over with their seals and signatures, and the journals of all with themselves."""
    # Whoever only reads incidents need not load what verifies.
    from opsbook.core.trust import signing

    settings = common.project(options)
    chosen = [store.find(settings, options.incident)] if options.incident else list(store.every(settings.records))
    found = [store.verified(settings, path) for path in chosen]
    bad = [each for each in found if each.flaws]
    lines = [f"{each.run}: {flaw}" for each in bad for flaw in each.flaws]
    said = f"{number_of(len(found) - len(bad), 'incident')} as written, {len(bad)} not"
    signed = (f"  {line}" for line in signing.signers(found))
    told = {each.run: asdict(each) for each in found}
    return common.tell(options, told, *lines, said, *signed, code=1 if bad else 0)


def _what(found: Incident) -> str:
    firing = f" ({number_of(len(found.firing), 'alert')} firing)" if found.firing else ""
    return f"{found.title}{firing}"


def told(found: Incident) -> dict[str, Any]:
    """An incident as JSON."""
    return {
        "incident": found.id,
        "title": found.title,
        "severity": found.severity,
        "state": found.state,
        "environment": found.environment,
        "opened_by": found.by,
        "reached": dict(found.reached),
        "runbook": found.runbook,
        "parameters": dict(found.parameters),
        "on_call": [asdict(each) for each in found.on_call],
        "roles": found.roles,
        "alerts": [asdict(each) for each in found.alerts.values()],
        "runs": [asdict(each) for each in found.runs.values()],
        "commands": [asdict(each) for each in found.commands],
        "actions": [asdict(each) for each in found.actions],
        "timeline": [asdict(each) for each in timeline.entries(found)],
        "seconds": timeline.phases(found) if found.reached else {},
    }


_MOST = 20
"""Alerts that are shown."""


def _head(settings: Settings, found: Incident) -> Iterator[str]:
    yield f"{found.id}: {found.title}"
    yield f"  {found.severity}, {found.state}{f', in {found.environment}' if found.environment else ''}"
    yield from (f"  {line}" for line in found.outlook())
    for name, seconds in timeline.phases(found).items():
        if seconds:
            yield f"  {name} {duration(seconds)} after the first sign"
    for each in found.on_call:
        yield f"  paged {common.local(each.time)}: {each.who}, on call in {each.rota}"
    yield from (f"  {role}: {who}" for role, who in found.roles.items())
    alerts = sorted(found.alerts.values(), key=lambda each: bool(each.ended))
    for alert in alerts[:_MOST]:
        state = "cleared" if alert.ended else "FIRES"
        since = common.local(alert.ended or alert.started)
        yield f"  {alert.name} {state} since {since}: {alert.annotations.get('summary') or 'no summary'}"
    if len(alerts) > _MOST:
        yield f"  and {number_of(len(alerts) - _MOST, 'more alert')}, {len(found.firing)} firing in all"
    for run, fact in found.runs.items():
        yield f"  {fact.mode} of {fact.runbook}: {reviewing.outcome(settings, run)}, opsbook records show {run}"
    for command in found.commands:
        end = "nobody knows how it ended" if command.exit is None else f"exit {command.exit}"
        yield f"  command {command.number} ({end}): {shlex.join(command.argv)}"
    for action in found.actions:
        state = f"closed: {action.closed}" if action.closed else f"open, {action.owner} until {action.due}"
        yield f"  action {action.number} ({state}): {action.text}"
