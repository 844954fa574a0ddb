"""What is said of a record once it is sealed: files beside it, since a sealed record does not change.

Each lies in a folder of the records by what it is, and is named by the run. Who reads one looks at its signature anew.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from opsbook import files
from opsbook.core.model.effect import canonical
from opsbook.core.record import store

REVIEWS = "reviews"
TRAINING = "training"
"""Folders below the records."""

LARGEST = 1024 * 1024
"""Bytes. Nobody writes more about a run."""

_SAID = ".json"
_SUFFIXES = {REVIEWS: (".sig", _SAID), TRAINING: (_SAID, ".sign-off.sig", ".sign-off")}
"""Of each folder, in the order in which they are written: a signature before what it signs."""


def run_of(parts: Sequence[str]) -> str:
    """The run that a file below the records says something of, by its path; empty if it is no such file."""
    suffixes = _SUFFIXES.get(parts[0], ()) if len(parts) == 2 else ()
    return next((parts[1].removesuffix(suffix) for suffix in suffixes if parts[1].endswith(suffix)), "")


def there(records: Path, run: str) -> list[Path]:
    """The files that say something of a run, folder by folder."""
    return [path for folder in _SUFFIXES for path in _of(records / folder, run)]


def _of(folder: Path, run: str) -> list[Path]:
    paths = [folder / f"{run}{suffix}" for suffix in _SUFFIXES[folder.name]]
    return [path for path in paths if files.is_plain(path) and path.stat().st_size <= LARGEST]


def take_in(records: Path, staged: Path, record: store.Record) -> str:
    """Move what is said of a record from a staging folder to its place; why not all of it, empty if it is.

    What is here stays: where it is something else than what comes, nothing of that folder comes in.
    """
    return "; ".join(filter(None, (_folder(records / name, staged / name, record) for name in _SUFFIXES)))


def _folder(here: Path, staged: Path, record: store.Record) -> str:
    """One kind of what is said."""
    coming = _of(staged, record.id)
    try:
        return _moved(here, staged, record, coming) if coming else ""
    except OSError as error:
        return f"{here.name}/ cannot take anything in: {error.strerror or error}"


def _moved(here: Path, staged: Path, record: store.Record, coming: list[Path]) -> str:
    """Raises OSError."""
    run, seal = record.id, files.sha256(record.folder / store.SEAL)
    if not _is_of(staged / f"{run}{_SAID}", run, seal):
        return f"{here.name}/{run}{_SAID} says nothing of this record"
    here.mkdir(exist_ok=True)
    present = [path for path in coming if os.path.lexists(here / path.name)]
    if any(not _same(path, here / path.name) for path in present):
        return f"{here.name}/{run}{_SAID} is here already, and is another one"
    for path in coming:
        if path not in present:
            files.name_anew(path, here / path.name)
    files.sync_folder(here)
    return ""


def _same(first: Path, second: Path) -> bool:
    return files.is_plain(second) and files.sha256(first) == files.sha256(second)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _is_of(path: Path, run: str, seal: str) -> bool:
    """Whether a file says something of this run, as it is sealed now."""
    try:
        data = path.read_bytes()
        told = json.loads(data, parse_constant=_no_number)
        if not isinstance(told, dict) or (told.get("run"), told.get("seal")) != (run, seal):
            return False
        # What opsbook wrote, and nobody since.
        return path.parent.name != TRAINING or data == canonical(told)
    except (OSError, TypeError, ValueError, RecursionError):
        return False
