"""Sinks besides the record: one in memory, for runs and sessions without a record, and one that copies."""

from collections.abc import Callable

from opsbook.core.model.event import Data, Event
from opsbook.core.model.events import Fact
from opsbook.core.model.sink import Sink, Stream


class NullSink:
    """Keeps events in memory if `keep` is set. Sessions keep none: they may last for days."""

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
        """Do nothing."""

    def blob(self, folder: str, name: str, data: bytes) -> Data:
        return {"path": f"{folder}/{name}", "bytes": len(data)}

    def stream(self, folder: str, name: str) -> Stream:
        return _DiscardStream()


class _DiscardStream:
    """A stream that discards its text."""

    def append(self, text: str) -> None:
        """Do nothing."""

    def close(self) -> Data:
        return {}


class TeeSink:
    """Wraps a sink; `takers` get each event after it is written."""

    def __init__(self, sink: Sink, *takers: Callable[[Event], None]) -> None:
        self._sink = sink
        self._takers = takers

    def write(self, fact: Fact, *, durable: bool = False) -> Event:
        event = self._sink.write(fact, durable=durable)
        for take in self._takers:
            take(event)
        return event

    def reserve(self, results: int) -> None:
        self._sink.reserve(results)

    def blob(self, folder: str, name: str, data: bytes) -> Data:
        return self._sink.blob(folder, name, data)

    def stream(self, folder: str, name: str) -> Stream:
        return self._sink.stream(folder, name)
