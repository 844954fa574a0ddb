"""What the last run found that compared an environment with its files: a page attaches it to its record."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from opsbook.core.record import seal, store
from opsbook.shapes import from_json

NAME = "drift.json"
"""Says how many differences of each kind there are: numbers by the name of the kind."""


@dataclass(frozen=True)
class Drift:
    """How many differences of each kind were there when a run ended (in UTC, as text), and whose run it was."""

    run: str
    ended: str
    by: str
    differences: Mapping[str, int]

    def in_words(self) -> str:
        found = [f"{kind} {count}" for kind, count in self.differences.items() if count]
        return ", ".join(found) or "none"


def last_seen(records: Path) -> dict[str, Drift]:
    """The newest sealed record of each environment that says what differs. A damaged one says nothing."""
    found: dict[str, Drift] = {}
    for folder in store.newest(records):
        for place, drift in _of(records, folder):
            found.setdefault(place, drift)
    return found


def _of(records: Path, folder: Path) -> Iterator[tuple[str, Drift]]:
    # A run that repaired something attaches what is left then: the last one counts.
    for path in sorted(folder.glob(f"effects/[0-9]*-{NAME}"), reverse=True)[:1]:
        with contextlib.suppress(OSError, ValueError):
            differences = from_json(dict[str, int], path.read_bytes())
            record = store.exact(records, folder.name)
            told = record.glance() if record and not seal.verify(folder) else {}
            if told.get("ended"):
                place, ended, by = (str(told.get(name) or "") for name in ("environment", "ended", "operator"))
                yield place, Drift(folder.name, ended, by, differences)
