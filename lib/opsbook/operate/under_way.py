"""A glance at all runs that are not done with, and at those that ended lately; nothing is run or replayed for it."""

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opsbook.core.locks import lock
from opsbook.core.model import events as kinds
from opsbook.core.model.event import Event, Outcome
from opsbook.core.model.person import Question
from opsbook.core.model.run_status import AskedQuestion, EndedRun, RunStatus
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.settings import Settings

_LATEST = 200
"""Finished runs among which those that wait for somebody are looked for."""

_ENDS = (kinds.CellFinished, kinds.StepFinished, kinds.RunFinished, kinds.RunResumed)
"""Events behind which no earlier question stands any more."""


@dataclass(frozen=True)
class StandingQuestion:
    """A question that stands, with the number and the time of its event."""

    number: int
    since: str
    question: Question


class Following:
    """What the events of a run say of this moment: its step, its questions, whether its terminal is there."""

    def __init__(self) -> None:
        self.doing = ""
        self.detached = False
        self._open: dict[int, StandingQuestion] = {}

    @property
    def first(self) -> StandingQuestion | None:
        """The question that is asked: of several, a terminal puts one after the other."""
        return next(iter(self._open.values()), None)

    def take(self, event: Event) -> None:
        fact = kinds.read(event)
        match fact:
            case kinds.StepStarted(section=section, title=title):
                self.doing = f"{section}, {title}"
            case kinds.RollbackStarted():
                self.doing = "rolling back"
            case kinds.WaitingForLock(why=why) | kinds.WaitingForApproval(why=why):
                self.doing = why
            case kinds.Locked():
                self.doing = ""
            case kinds.Detached():
                self.detached = True
            case kinds.QuestionAsked():
                self._open[event.seq] = StandingQuestion(event.seq, event.time, _question(fact))
            case kinds.QuestionAnswered(asked=asked):
                self._open.pop(asked, None)
            case kinds.RunResumed():
                self.doing, self.detached = "", False
        if isinstance(fact, _ENDS):
            self._open.clear()


def _question(asked: kinds.QuestionAsked) -> Question:
    kind: Any = asked.kind
    return Question(asked.name, kind, asked.text, tuple(asked.choices), asked.detail, tuple(asked.remarks))


def under_way(settings: Settings) -> list[RunStatus]:
    """Runs that go on, that were lost, or that stopped and wait for somebody; newest first."""
    holding = {held.run for held in lock.holders(settings.state)}
    records = store.records(settings.records)
    found = []
    for number, record in enumerate(records):
        if record.state == "sealed" and number >= _LATEST and record.id not in holding:
            continue
        now = _now(record, holding)
        if now is not None:
            found.append(now)
    return found


def ended_since(settings: Settings, since: datetime) -> list[EndedRun]:
    """Runs that ended since then, however, the last to end first. One that was refused never began, and is left out."""
    holding = {held.run for held in lock.holders(settings.state)}
    found = []
    for record in itertools.islice(store.records(settings.records), _LATEST):
        if record.state == "sealed" and record.id not in holding and _sealed(record) >= since.timestamp():
            told = record.glance()
            if told["ended"] and told["outcome"] not in (Outcome.WAITING, Outcome.REFUSED):
                found.append(_ended(record, told))
    return sorted(found, key=lambda each: each.ended, reverse=True)


def _sealed(record: store.Record) -> float:
    """When its seal was written, as seconds since the epoch; long ago where that cannot be seen."""
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


def _now(record: store.Record, holding: set[str]) -> RunStatus | None:
    told = record.glance()
    sealed, outcome = record.state == "sealed", str(told["outcome"])
    if sealed and outcome != Outcome.WAITING and record.id not in holding:
        return None
    following = Following() if sealed else _followed(record)
    # What a run that is gone asked, nobody can answer any more.
    asked = following.first if record.state == "running" else None
    question = asked.question if asked else None
    return RunStatus(
        run=record.id,
        title=str(told["title"] or store.runbook_of(record.id)),
        environment=str(told["environment"] or ""),
        operator=str((told.get("operators") or [told["operator"] or "nobody knows whose"])[-1]),
        state=outcome,
        since=str(told["started"] or ""),
        doing=following.doing,
        asks=AskedQuestion(question.name, question.text, question.choices, asked.since) if asked and question else None,
        detached=following.detached and record.state == "running",
        reason=str(told["reason"]) if sealed else "",
    )


def _followed(record: store.Record) -> Following:
    following = Following()
    try:
        for event in record.events():
            following.take(event)
    except (InputError, ValueError, LookupError, TypeError, AttributeError):
        # A journal that cannot be read says nothing more; the list must show the other runs all the same.
        return Following()
    return following
