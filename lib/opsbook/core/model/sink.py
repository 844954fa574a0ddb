"""The interface through which a run writes its events and files, and a sink that keeps nothing."""

from collections.abc import Callable
from typing import Protocol

from opsbook.core.model.event import Data, Event
from opsbook.core.model.events import Fact

Listener = Callable[[Event], None]


class Sink(Protocol):
    """Where a run writes what happens. The record implements it; the run knows only this interface."""

    def write(self, fact: Fact, *, durable: bool = False) -> Event:
        """Append an event. With `durable`, it is on disk when this returns. Text is redacted here."""
        ...

    def reserve(self, results: int) -> None:
        """Reserve room for this many results of effects. Raises NoRoom if there is none."""
        ...

    def blob(self, folder: str, name: str, data: bytes) -> Data:
        """Store a file of the record durably; returns {"path", "sha256", "bytes"} to put in an event."""
        ...

    def stream(self, folder: str, name: str) -> "Stream":
        """Open a file of the record that grows during the run."""
        ...


class RunSink(Sink, Protocol):
    """The sink of a whole run. `listeners` get each event after it is written."""

    listeners: list[Listener]


class Stream(Protocol):
    """A growing file of the record."""

    def append(self, text: str) -> None:
        """Add text that is already redacted."""
        ...

    def close(self) -> Data:
        """Make it durable; returns {"path", "sha256", "bytes"}."""
        ...


class NullSink:
    """For runs and sessions without a record: only its listeners see the events."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self._seq = 0

    def write(self, fact: Fact, *, durable: bool = False) -> Event:
        self._seq += 1
        event = Event(self._seq, "", fact.type, fact.data())
        for listener in self.listeners:
            listener(event)
        return event

    def reserve(self, results: int) -> None:
        """Do nothing."""

    def blob(self, folder: str, name: str, data: bytes) -> Data:
        return {"path": f"{folder}/{name}", "bytes": len(data)}

    def stream(self, folder: str, name: str) -> Stream:
        return _DiscardStream()


class _DiscardStream:
    def append(self, text: str) -> None:
        """Do nothing."""

    def close(self) -> Data:
        return {}
