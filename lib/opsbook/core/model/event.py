"""An event as a line of the journal; `events.py` says what there are."""

from dataclasses import dataclass
from typing import Any

Data = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One line of the journal. `time` is UTC, ISO 8601 with milliseconds."""

    seq: int
    time: str
    type: str
    data: Data
