"""Where records lie, and how one is made, found and read."""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from opsbook.errors import InputError
from opsbook.model.event import Event, Outcome
from opsbook.model.text import nearest
from opsbook.record import journal, summary

SEAL = "seal.json"
QUARANTINE = "quarantine"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Record:
    """A record folder. `state` is sealed, running or lost."""

    id: str
    folder: Path
    state: str

    def events(self) -> list[Event]:
        return journal.read(self.folder / journal.NAME)

    def summary(self) -> dict[str, Any]:
        """record.json, or for a run without an end what its journal says up to now."""
        path = self.folder / "record.json"
        if self.state == "sealed" and path.is_file():
            return dict(json.loads(path.read_text(encoding="utf-8")))
        found = summary.of(self.events())
        found["outcome"] = "running" if self.state == "running" else str(Outcome.LOST)
        return found


def create(records: Path, runbook: str, when: datetime) -> Path:
    """A new record folder; its name is the run's id."""
    name = f"{when:%Y%m%dT%H%M%SZ}-{runbook}-{''.join(secrets.choice(_LETTERS) for _ in range(4))}"
    folder = records / f"{when:%Y}" / f"{when:%m}" / name
    folder.mkdir(parents=True)
    for part in ("effects", "outputs", "inbox"):
        (folder / part).mkdir()
    return folder


def records(root: Path) -> Iterator[Record]:
    """Every record, newest first; quarantined ones too."""
    folders = [path.parent for path in root.glob(f"*/*/*/{journal.NAME}")]
    folders += [path.parent for path in root.glob(f"{QUARANTINE}/*/{journal.NAME}")]
    for folder in sorted(folders, key=lambda f: f.name, reverse=True):
        yield Record(folder.name, folder, _state(folder))


def find(root: Path, wanted: str) -> Record:
    """The record with this id, unique prefix, or `last`. Raises InputError."""
    known = list(records(root))
    if wanted == "last" and known:
        return known[0]
    matches = [r for r in known if r.id == wanted] or [r for r in known if r.id.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(
            f"{wanted} fits {len(matches)} runs: {', '.join(m.id for m in matches[:5])}.", "Write more of it."
        )
    hint = nearest(wanted, [r.id for r in known[:50]]) if known else "No run has left a record yet."
    raise InputError(f"There is no run {wanted}.", hint)


def _state(folder: Path) -> str:
    if (folder / SEAL).is_file():
        return "sealed"
    return "running" if _alive(folder / journal.NAME) else "lost"


def _alive(path: Path) -> bool:
    """Does a process of the run still hold its journal?"""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
