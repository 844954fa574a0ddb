"""Whether a page may run by itself for an alert: only if page and environment both say so, within limits.

The limits are counted from the records of such runs, which have the label `auto`: so they hold over restarts, and who
looks at them sees what was counted.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from opsbook.core.catalog import catalog
from opsbook.core.locks import lock
from opsbook.core.model.environment import AutoRun, Environment
from opsbook.core.model.outcome import Outcome
from opsbook.core.model.runbook import Runbook
from opsbook.core.planning import environment
from opsbook.core.record import store as records
from opsbook.errors import OpsbookError
from opsbook.incidents.facts import NotMitigated
from opsbook.incidents.incident import Incident, State
from opsbook.settings import Settings

LABEL = "auto"
"""Label of a run that an alert started, with the incident as its value."""

OFF = "no-automation"
"""A file of this name in the state folder keeps everything from running by itself."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

_FAILURES = 2
"""Failures in a row after which the page runs by itself no more, until a person has run it well."""


@dataclass(frozen=True)
class Ran:
    """A run of the page in the environment: what is counted."""

    started: datetime
    outcome: str
    auto: bool
    parameters: Mapping[str, Any]


def wanted(settings: Settings, found: Incident) -> bool:
    """Whether somebody wants this page to run by itself here. Otherwise there is nothing to decide."""
    if not found.environment:
        return False
    try:
        return found.runbook in environment.load_as_written(settings, found.environment).on_alert.run
    except OpsbookError:
        return False


def refusal(settings: Settings, found: Incident, now: datetime) -> NotMitigated | None:
    """Why the page of an incident may not run by itself now; None if it may."""
    try:
        why = _why(settings, found, now)
    except OpsbookError as error:
        why = error.message
    return NotMitigated(runbook=found.runbook, why=why) if why else None


def stopped(settings: Settings, found: Incident, now: datetime) -> bool:
    """Whether the last runs by themselves failed: then a person has to look."""
    return _failures(_runs(settings, found, now)) >= _FAILURES


def _why(settings: Settings, found: Incident, now: datetime) -> str:
    place = environment.load(settings, found.environment)
    limits, page = place.policy.on_alert.run[found.runbook], catalog.load(settings, found.runbook)
    if os.path.lexists(settings.state / OFF):
        return f"{settings.state / OFF} is there: nothing runs by itself"
    return (
        _not_allowed(found, page)
        or _in_the_way(settings, place)
        or _spent(_runs(settings, found, now), limits, found, place, now)
    )


def _not_allowed(found: Incident, page: Runbook) -> str:
    if not page.front.auto:
        return "the page does not say auto: true"
    if found.state is not State.OPEN:
        return f"the incident is {found.state}: a person works on it"
    # What is left out could mean everything.
    said = {name for name, value in found.parameters.items() if value}
    missing = [each.name for each in page.parameters if (each.required or each.choice_of) and each.name not in said]
    return f"the alert does not say {', '.join(missing)}" if missing else ""


def _in_the_way(settings: Settings, place: Environment) -> str:
    for held in lock.holders(settings.state):
        if held.target.partition("/")[0] == place.name:
            return f"{held.target} is locked by {held.operator}, {held.run}"
    return ""


def _spent(ran: list[Ran], limits: AutoRun, found: Incident, place: Environment, now: datetime) -> str:
    """Which limit is reached; empty if none is."""
    if _failures(ran) >= _FAILURES:
        return f"it failed {_FAILURES} times by itself; it does so again after a person has run it well"
    auto = [each for each in ran if each.auto]
    hour = [each for each in auto if now - each.started < _HOUR]
    day = [each for each in auto if now - each.started < _DAY]
    if len(hour) >= limits.an_hour:
        return f"it ran {len(hour)} times by itself in the last hour, and {limits.an_hour} is the limit"
    if len(day) >= limits.a_day:
        return f"it ran {len(day)} times by itself in the last day, and {limits.a_day} is the limit"
    # By what alerts say: a run also has the defaults of its page.
    target, others = _target(found, found.parameters), {_target(found, each.parameters) for each in hour}
    if target in others:
        return "it ran by itself for the same in the last hour, and that did not last"
    targets = others | {target}
    most = max(1, int(limits.share * len(place.hosts)))
    if len(targets) > most:
        return f"it would be the {len(targets)}. of {len(place.hosts)} hosts within an hour, and {most} is the limit"
    return ""


def _target(found: Incident, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(parameters.get(name)) for name in sorted(found.parameters))


def _failures(ran: list[Ran]) -> int:
    """How often it failed by itself, one after the other, since it last went well."""
    ended = [each for each in ran if each.outcome not in ("running", Outcome.REFUSED)]
    return sum(each.auto for each in takewhile(lambda each: each.outcome != Outcome.SUCCEEDED, ended))


def _runs(settings: Settings, found: Incident, now: datetime) -> list[Ran]:
    """Real runs of the page in the environment, newest first: those of a day, and back to the last that went well."""
    made: list[Ran] = []
    for record in records.recent(settings.records, found.runbook):
        began = records.began(record.id)
        if began is None or (now - began > _DAY and any(each.outcome == Outcome.SUCCEEDED for each in made)):
            break
        told = record.glance()
        if told.get("environment") == found.environment and told.get("mode") == "live":
            auto = LABEL in (told.get("labels") or {})
            outcome, parameters = str(told["outcome"]), told.get("parameters") or {}
            made.append(Ran(began.astimezone(UTC), outcome, auto, parameters))
    return made
