"""The interface through which a run writes its events and files."""

from typing import Protocol

from opsbook.core.model.event import Data, Event
from opsbook.core.model.events import Fact


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


class Stream(Protocol):
    """A growing file of the record."""

    def append(self, text: str) -> None:
        """Add text that is already redacted."""
        ...

    def close(self) -> Data:
        """Make it durable; returns {"path", "sha256", "bytes"}."""
        ...
