"""The status of unfinished runs and of those that ended recently, read from their records only."""

import itertools
from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opsbook.core.locks import lock
from opsbook.core.model.outcome import Outcome
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.operate.following import Following


@dataclass(frozen=True)
class AskedQuestion:
    """An open question of a run, and since when: enough to answer it with `opsbook answer`."""

    name: str
    text: str
    choices: tuple[str, ...]
    since: str


@dataclass(frozen=True)
class RunStatus:
    """An unfinished run. `doing` is its current step or activity; `asks` is its open question.

    `detached`: the terminal of the question is gone, so perhaps nobody saw it. `mode` is live, check, session, …
    """

    run: str
    title: str
    environment: str
    operator: str
    state: str
    since: str
    doing: str
    asks: AskedQuestion | None = None
    detached: bool = False
    reason: str = ""
    mode: str = ""


@dataclass(frozen=True)
class EndedRun:
    """An ended run: its outcome, when it ended (UTC, ISO 8601), and why."""

    run: str
    title: str
    environment: str
    operator: str
    outcome: str
    ended: str
    reason: str


_LATEST = 200
"""The newest records that are searched for finished runs."""


def under_way(settings: Settings) -> list[RunStatus]:
    """Runs that are running, were lost, or stopped and need somebody; newest first."""
    holding = {held.run for held in lock.holders(settings.state)}
    records = store.records(settings.records)
    found = []
    for number, record in enumerate(records):
        if record.state == "sealed" and number >= _LATEST and record.id not in holding:
            continue
        if (status := now(record, holding)) is not None:
            found.append(status)
    # Ids have whole seconds; those that do not say when they started come first.
    return sorted(found, key=lambda each: each.since or "9", reverse=True)


def ended_since(settings: Settings, since: datetime) -> list[EndedRun]:
    """Runs that ended since then with any outcome, latest end first. Refused runs never began, and are left out."""
    holding = {held.run for held in lock.holders(settings.state)}
    found = []
    for record in itertools.islice(store.records(settings.records), _LATEST):
        if record.state == "sealed" and record.id not in holding and _sealed(record) >= since.timestamp():
            told = record.glance()
            if told["ended"] and told["outcome"] not in (Outcome.WAITING, Outcome.REFUSED):
                found.append(_ended(record, told))
    return sorted(found, key=lambda each: each.ended, reverse=True)


def _sealed(record: store.Record) -> float:
    """When the seal was written, in seconds since the epoch; 0 if unknown."""
    try:
        return (record.folder / store.SEAL).stat().st_mtime
    except OSError:
        return 0.0


def _ended(record: store.Record, told: dict[str, Any]) -> EndedRun:
    title, environment = str(told["title"] or store.runbook_of(record.id)), str(told["environment"] or "")
    operator = str((told.get("operators") or [told["operator"]])[-1])
    return EndedRun(
        record.id, title, environment, operator, str(told["outcome"]), str(told["ended"]), str(told["reason"])
    )


def now(record: store.Record, holding: Container[str] = ()) -> RunStatus | None:
    """Where a run is at this moment; None if it has ended, and is not among those that are `holding` a lock."""
    told = record.glance()
    sealed, outcome = record.state == "sealed", str(told["outcome"])
    if sealed and outcome != Outcome.WAITING and record.id not in holding:
        return None
    following = None if sealed else _followed(record)
    # What a run that is gone asked, nobody can answer any more.
    asked = following.first if following and record.state == "running" else None
    question = asked.question if asked else None
    return RunStatus(
        run=record.id,
        title=str(told["title"] or store.runbook_of(record.id)),
        environment=str(told["environment"] or ""),
        operator=str((told.get("operators") or [told["operator"] or "unknown operator"])[-1]),
        state=outcome,
        since=str(told["started"] or ""),
        doing=following.doing if following else "",
        asks=AskedQuestion(question.name, question.text, question.choices, asked.since) if asked and question else None,
        detached=bool(following and following.detached) and record.state == "running",
        reason=str(told["reason"]) if sealed else "",
        mode=str(told.get("mode") or ""),
    )


def _followed(record: store.Record) -> "Following":
    # A glance at runs that have ended reads no events, and starts without them.
    from opsbook.operate.following import Following

    following = Following()
    try:
        for event in record.events():
            following.take(event)
    except (InputError, ValueError, LookupError, TypeError, AttributeError):
        # An unreadable journal gives no details; the list must still show the other runs.
        return Following()
    return following
