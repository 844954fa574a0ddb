"""A sink that copies: every event goes to the record, and to what the run remembers."""

from collections.abc import Callable

from opsbook.core.model.event import Data, Event
from opsbook.core.model.events import Fact
from opsbook.core.model.sink import Sink, Stream


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
