"""See what goes on: the events of a run as they come, and a glance at all runs that are not done with."""

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opsbook.core.locks import lock
from opsbook.core.model.event import Ending, Event, Outcome
from opsbook.core.model.person import Question
from opsbook.core.model.status import Asks, Ended, Now
from opsbook.core.record import journal, store
from opsbook.core.record.tail import Tail
from opsbook.errors import InputError, OpsbookError
from opsbook.operate.resuming import stopped
from opsbook.operate.running import Finished
from opsbook.settings import Settings

EVERY = 0.1
"""Seconds between two looks at a journal."""

_LATEST = 200
"""Finished runs among which those that wait for somebody are looked for."""

_ENDS = frozenset({"cell-finished", "step-finished", "run-finished", "run-resumed"})
"""Events behind which no earlier question stands any more."""


@dataclass(frozen=True)
class Standing:
    """A question that stands, with the number and the time of its event."""

    number: int
    since: str
    question: Question


class _Following:
    """What the events of a run say of this moment: its step, its questions, whether its terminal is there."""

    def __init__(self) -> None:
        self.doing = ""
        self.detached = False
        self._open: dict[int, Standing] = {}

    @property
    def first(self) -> Standing | None:
        """The question that is asked: of several, a terminal puts one after the other."""
        return next(iter(self._open.values()), None)

    def take(self, event: Event) -> None:
        data = event.data
        match event.type:
            case "step-started":
                self.doing = f"{data.get('section')}, {data.get('title')}"
            case "rollback-started":
                self.doing = "rolling back"
            case "waiting-for-lock" | "waiting-for-approval":
                self.doing = str(data.get("why"))
            case "locked":
                self.doing = ""
            case "detached":
                self.detached = True
            case "question-asked":
                self._open[event.seq] = Standing(event.seq, event.time, _question(event))
            case "question-answered":
                self._open.pop(data.get("asked", 0), None)
        if event.type in _ENDS:
            self._open.clear()
        if event.type == "run-resumed":
            self.doing, self.detached = "", False


def _question(event: Event) -> Question:
    data = event.data
    choices, remarks = tuple(data["choices"]), tuple(data.get("remarks") or ())
    return Question(data["name"], data["kind"], data["text"], choices, data.get("detail") or "", remarks)


class Watched:
    """One run, as its journal shows it."""

    def __init__(self, settings: Settings, record: store.Record) -> None:
        self.record = record
        self.end: Event | None = None
        self._settings = settings
        self._tail = Tail(record.folder)
        self._following = _Following()
        self._seen = 0

    @property
    def question(self) -> Standing | None:
        """The question that stands."""
        return self._following.first

    def events(self) -> list[Event]:
        """What is new. Raises InputError for a journal that cannot be read."""
        try:
            found = self._new()
            for event in found:
                self._note(event)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise self.record.damaged(journal.NAME) from error
        return found

    def _new(self) -> list[Event]:
        try:
            found = self._tail.new()
        except FileNotFoundError:
            # A record in which a secret was found is moved away while somebody watches.
            self.record = self._found()
            self._tail = Tail(self.record.folder)
            found = self._tail.new()[self._seen :]
        self._seen += len(found)
        return found

    def _note(self, event: Event) -> None:
        self._following.take(event)
        if event.type in ("run-finished", "run-resumed"):
            self.end = event if event.type == "run-finished" else None

    def _found(self) -> store.Record:
        record = store.exact(self._settings.records, self.record.id)
        if record is None:
            why = "It was removed, or is in quarantine, where only its owner can read it."
            raise InputError(f"The record of {self.record.id} is not there any more.", why)
        return record

    def state(self) -> str:
        """sealed, running or lost, as it is now. Raises InputError if the record is gone."""
        return self._found().state

    def finished(self) -> Finished:
        """How the run ended; lost if it did not."""
        # After its seal its locks are given back, and a record with a secret in it is moved away.
        store.let_go(self._found().folder)
        record = self._found()
        told = record.glance()
        if self.end is None:
            return Finished(record.id, record.folder, self._lost(told), sealed=False, told=told)
        data = self.end.data
        # The ending knows its exit code by whether there was anything to undo.
        undoable = not (data["outcome"] == Outcome.FAILED and data["changed"] and data["exit_code"] == 1)
        outcome, wanted = Outcome(data["outcome"]), data["exit_code"] == 0
        ending = Ending(outcome, data["reason"], data["changed"], data["seconds"], undoable, wanted)
        found = tuple(map(str, told.get("quarantined") or ()))
        return Finished(record.id, record.folder, ending, found, record.state == "sealed", told)

    def _lost(self, told: dict[str, object]) -> Ending:
        """What is left to do about a run whose process is gone: all of it, where its record cannot say."""
        changed, undoable, seconds = True, True, 0.0
        try:
            found = stopped(self._settings, self.record.id)
            changed = found.past.changed
            undoable = bool(found.runbook.undo()) and found.runbook.front.rollback != "none"
            seconds = _seconds(str(told["started"]), found.past.last)
        except (OpsbookError, ValueError):
            pass
        return Ending(Outcome.LOST, "its process was killed, or its machine went down", changed, seconds, undoable)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def watch(settings: Settings, run: str) -> Watched:
    """A run to follow. Raises InputError if there is none of this name."""
    return Watched(settings, store.find(settings.records, run))


def under_way(settings: Settings) -> list[Now]:
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


def ended_since(settings: Settings, since: datetime) -> list[Ended]:
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


def _ended(record: store.Record, told: dict[str, Any]) -> Ended:
    title, environment = str(told["title"] or store.runbook_of(record.id)), str(told["environment"] or "")
    operator = str((told.get("operators") or [told["operator"]])[-1])
    return Ended(record.id, title, environment, operator, str(told["outcome"]), str(told["ended"]), str(told["reason"]))


def _now(record: store.Record, holding: set[str]) -> Now | None:
    told = record.glance()
    sealed, outcome = record.state == "sealed", str(told["outcome"])
    if sealed and outcome != Outcome.WAITING and record.id not in holding:
        return None
    following = _Following() if sealed else _followed(record)
    # What a run that is gone asked, nobody can answer any more.
    asked = following.first if record.state == "running" else None
    question = asked.question if asked else None
    return Now(
        run=record.id,
        title=str(told["title"] or store.runbook_of(record.id)),
        environment=str(told["environment"] or ""),
        operator=str((told.get("operators") or [told["operator"] or "nobody knows whose"])[-1]),
        state=outcome,
        since=str(told["started"] or ""),
        doing=following.doing,
        asks=Asks(question.name, question.text, question.choices, asked.since) if asked and question else None,
        detached=following.detached and record.state == "running",
        reason=str(told["reason"]) if sealed else "",
    )


def _followed(record: store.Record) -> _Following:
    following = _Following()
    try:
        for event in record.events():
            following.take(event)
    except (InputError, ValueError, LookupError, TypeError, AttributeError):
        # A journal that cannot be read says nothing more; the list must show the other runs all the same.
        return _Following()
    return following
