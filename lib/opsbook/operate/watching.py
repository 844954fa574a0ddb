"""Watch a run: its events as they arrive, its open question, its end."""

import time
from collections.abc import Iterator

from opsbook.core.model.event import Event
from opsbook.core.model.events import RunFinished, RunResumed, read
from opsbook.core.model.outcome import Ending, Outcome
from opsbook.core.model.text import seconds_between
from opsbook.core.record import journal, store
from opsbook.errors import InputError, OpsbookError
from opsbook.operate.following import Following
from opsbook.operate.resuming import stopped
from opsbook.operate.run_record import Finished
from opsbook.settings import Settings

EVERY = 0.1
"""Seconds between two reads of a journal."""


class Watched:
    """One run, as its journal shows it."""

    def __init__(self, settings: Settings, record: store.Record) -> None:
        self.record = record
        self.end: RunFinished | None = None
        self._settings = settings
        self._tail = journal.JournalFollower(record.folder)
        self.following = Following()
        self._seen = 0

    def events(self) -> list[Event]:
        """New events. Raises InputError for a journal that cannot be read."""
        try:
            found = self._new()
            for event in found:
                self.following.take(event)
                match read(event):
                    case RunFinished() as end:
                        self.end = end
                    case RunResumed():
                        self.end = None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise self.record.damaged(journal.NAME) from error
        return found

    def until_over(self) -> Iterator[Event]:
        """Every event, as it comes, until the run is over. Raises InputError as `events` does."""
        while True:
            # State before events: once the run is over, its journal is complete.
            state = self.state()
            yield from self.events()
            if state != "running":
                return
            time.sleep(EVERY)

    def _new(self) -> list[Event]:
        try:
            found = self._tail.new()
        except FileNotFoundError:
            # A record in which a secret was found moves to quarantine, also while it is watched.
            self.record = self._found()
            self._tail = journal.JournalFollower(self.record.folder)
            found = self._tail.new()[self._seen :]
        self._seen += len(found)
        return found

    def _found(self) -> store.Record:
        record = store.exact(self._settings.records, self.record.id)
        if record is None:
            why = "It was removed, or is in quarantine, where only its owner can read it."
            raise InputError(f"The record of {self.record.id} is not there any more.", why)
        return record

    def state(self) -> str:
        """The current state: sealed, running or lost. Raises InputError if the record is gone."""
        return self._found().state

    def finished(self) -> Finished:
        """How the run ended; lost if it did not."""
        # After sealing, the run releases its locks and may move its record to quarantine: wait for that.
        store.let_go(self._found().folder)
        record = self._found()
        told = record.glance()
        if self.end is None:
            return Finished(record.id, record.folder, self._lost(told), sealed=False, told=told)
        end, outcome = self.end, Outcome(self.end.outcome)
        # Ending derives its exit code from whether there was anything to undo.
        undoable = not (outcome is Outcome.FAILED and end.changed and end.exit_code == 1)
        ending = Ending(outcome, end.reason, end.changed, end.seconds, undoable, wanted=end.exit_code == 0)
        found = tuple(map(str, told.get("quarantined") or ()))
        return Finished(record.id, record.folder, ending, found, record.state == "sealed", told)

    def _lost(self, told: dict[str, object]) -> Ending:
        """The ending of a run whose process is gone. If its record is unusable, it counts as changed and undoable."""
        changed, undoable, seconds = True, True, 0.0
        try:
            found = stopped(self._settings, self.record.id)
            changed = found.past.changed
            undoable = bool(found.runbook.undo()) and found.runbook.front.rollback != "none"
            seconds = seconds_between(str(told["started"]), found.past.last)
        except (OpsbookError, ValueError):
            pass
        return Ending(Outcome.LOST, "its process was killed, or its machine went down", changed, seconds, undoable)
