"""A sink that keeps events for as long as it lives, and no file: for what leaves no record."""

from opsbook.core.model.event import Data, Event
from opsbook.core.model.events import Fact
from opsbook.core.model.sink import Stream


class NullSink:
    """Collects events in memory. Sessions keep none: they may last for days."""

    def __init__(self, *, keep: bool = False) -> None:
        self.events: list[Event] = []
        self._keep = keep
        self._seq = 0

    def write(self, fact: Fact, *, durable: bool = False) -> Event:
        self._seq += 1
        event = Event(self._seq, "", fact.type, fact.data())
        if self._keep:
            self.events.append(event)
        return event

    def reserve(self, results: int) -> None:
        """Nothing is kept."""

    def blob(self, folder: str, name: str, data: bytes) -> Data:
        return {"path": f"{folder}/{name}", "bytes": len(data)}

    def stream(self, folder: str, name: str) -> Stream:
        return _ForgetStream()


class _ForgetStream:
    """A growing file that keeps nothing."""

    def append(self, text: str) -> None:
        """Nothing is kept."""

    def close(self) -> Data:
        return {}
