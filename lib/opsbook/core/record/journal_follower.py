"""Read a journal that another process is writing."""

import json
from pathlib import Path

from opsbook import files
from opsbook.core.model.event import Event
from opsbook.core.record import journal


class JournalFollower:
    """Yields the events of a journal as they arrive. It does not check the chain; `verify` does."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / journal.NAME
        self._at = 0

    def new(self) -> list[Event]:
        """The events since the last call. Raises InputError or OSError for a journal that cannot be read."""
        with files.opened(self._path) as source:
            source.seek(self._at)
            data = source.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        return [_event(line) for line in whole.split(b"\n") if line]


def _event(line: bytes) -> Event:
    raw = json.loads(line)
    return Event(raw["seq"], raw["time"], raw["type"], raw["data"])
