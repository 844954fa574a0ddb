"""See what goes on: the events of a run as they come, and a glance at all runs that are not done with."""

from dataclasses import dataclass

from opsbook.errors import InputError
from opsbook.flow.running import Finished
from opsbook.model.event import Ending, Event, Outcome
from opsbook.model.person import Question
from opsbook.policy import lock
from opsbook.record import store
from opsbook.record.tail import Tail
from opsbook.settings import Settings

EVERY = 0.1
"""Seconds between two looks at a journal."""

_LATEST = 200
"""Finished runs among which those that wait for somebody are looked for."""


@dataclass(frozen=True)
class Now:
    """A run that is not done with. `doing` says at what it is; `asks` is the question that stands."""

    run: str
    title: str
    environment: str
    operator: str
    state: str
    since: str
    doing: str
    asks: str = ""
    reason: str = ""


class Watched:
    """One run, as its journal shows it. `question` is the one that stands, with the number of its event."""

    def __init__(self, settings: Settings, record: store.Record) -> None:
        self.record = record
        self.question: tuple[int, Question] | None = None
        self.end: Event | None = None
        self._settings = settings
        self._tail = Tail(record.folder)

    def events(self) -> list[Event]:
        """What is new."""
        found = self._tail.new()
        for event in found:
            self._note(event)
        return found

    def _note(self, event: Event) -> None:
        data = event.data
        if event.type == "question-asked":
            choices, remarks = tuple(data["choices"]), tuple(data.get("remarks") or ())
            question = Question(data["name"], data["kind"], data["text"], choices, data.get("detail") or "", remarks)
            self.question = event.seq, question
        elif event.type in ("question-answered", "cell-finished", "step-finished", "cancel-requested", "run-resumed"):
            self.question = None
        self.end = event if event.type == "run-finished" else None if event.type == "run-resumed" else self.end

    def state(self) -> str:
        """sealed, running or lost, as it is now."""
        found = store.exact(self._settings.records, self.record.id)
        return found.state if found else "lost"

    def finished(self) -> Finished:
        """How the run ended; lost if it did not."""
        record = store.exact(self._settings.records, self.record.id) or self.record
        if self.end is None:
            ending = Ending(Outcome.LOST, "its process was killed", changed=True, seconds=0.0)
            return Finished(record.id, record.folder, ending, sealed=False, told=record.glance())
        data = self.end.data
        # The ending knows its exit code by whether there was anything to undo.
        undoable = not (data["outcome"] == Outcome.FAILED and data["changed"] and data["exit_code"] == 1)
        ending = Ending(Outcome(data["outcome"]), data["reason"], data["changed"], data["seconds"], undoable)
        told = record.glance()
        found = tuple(map(str, told.get("quarantined") or ()))
        return Finished(record.id, record.folder, ending, found, record.state == "sealed", told)


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


def _now(record: store.Record, holding: set[str]) -> Now | None:
    told = record.glance()
    outcome = str(told["outcome"])
    if record.state == "sealed" and outcome != Outcome.WAITING and record.id not in holding:
        return None
    doing, asks = _doing(record) if record.state != "sealed" else ("", "")
    return Now(
        run=record.id,
        title=str(told["title"]),
        environment=str(told["environment"]),
        operator=str((told.get("operators") or [told["operator"]])[-1]),
        state=outcome,
        since=str(told["started"] or ""),
        doing=doing,
        asks=asks,
        reason=str(told["reason"]) if record.state == "sealed" else "",
    )


def _doing(record: store.Record) -> tuple[str, str]:
    """The step at which a run is, and the question that it asks."""
    doing, asks = "", ""
    try:
        events = record.events()
    except InputError:
        return "", ""
    for event in events:
        data = event.data
        match event.type:
            case "step-started":
                doing = f"{data.get('section')}, {data.get('title')}"
            case "waiting-for-lock":
                doing = str(data.get("why"))
            case "locked":
                doing = ""
            case "question-asked":
                asks = f"{data.get('name')}: {data.get('text')}"
            case "question-answered" | "step-finished" | "run-resumed":
                asks = ""
    return doing, asks
