"""Statements about a sealed record, in files beside it: a sealed record does not change.

Each is in a folder by its kind, and named after the run. Readers verify its signature each time.
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
"""Bytes. A larger file is not a statement about a run."""

MALFORMED = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What the reader of a file raises that is not there, or not as opsbook wrote it."""

_SAID = ".json"
_SUFFIXES = {REVIEWS: (".sig", _SAID), TRAINING: (_SAID, ".sign-off.sig", ".sign-off")}
"""Suffixes in each folder, in the order of writing: a signature before what it signs."""


def run_of(parts: Sequence[str]) -> str:
    """The run that a sidecar belongs to, by its path below the records; empty if the file is no sidecar."""
    suffixes = _SUFFIXES.get(parts[0], ()) if len(parts) == 2 else ()
    return next((parts[1].removesuffix(suffix) for suffix in suffixes if parts[1].endswith(suffix)), "")


def there(records: Path, run: str) -> list[Path]:
    """The sidecars of a run, folder by folder."""
    return [path for folder in _SUFFIXES for path in _of(records / folder, run)]


def _of(folder: Path, run: str) -> list[Path]:
    paths = [folder / f"{run}{suffix}" for suffix in _SUFFIXES[folder.name]]
    return [path for path in paths if files.is_plain(path) and path.stat().st_size <= LARGEST]


def take_in(records: Path, staged: Path, record: store.Record) -> str:
    """Move a record's sidecars from a staging folder to their place. Returns why some were not moved; empty if none.

    Existing files stay: if one differs from the incoming file, nothing of that folder is moved.
    """
    why = []
    for name in _SUFFIXES:
        try:
            why.append(_folder(records / name, staged / name, record))
        except OSError as error:
            why.append(f"{name}/ cannot take anything in: {error.strerror or error}")
    return "; ".join(filter(None, why))


def _folder(here: Path, staged: Path, record: store.Record) -> str:
    """Move the sidecars of one folder. Returns why not, or nothing. Raises OSError."""
    run, coming = record.id, _of(staged, record.id)
    if not coming:
        return ""
    if not _is_of(staged / f"{run}{_SAID}", run, files.sha256(record.folder / store.SEAL)):
        return f"{here.name}/{run}{_SAID} says nothing of this record"
    here.mkdir(exist_ok=True)
    present = [path for path in coming if os.path.lexists(here / path.name)]
    same = (files.is_plain(here / p.name) and files.sha256(p) == files.sha256(here / p.name) for p in present)
    if not all(same):
        return f"{here.name}/{run}{_SAID} is here already, and is another one"
    for path in coming:
        if path not in present:
            files.name_anew(path, here / path.name)
    files.sync_folder(here)
    return ""


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _is_of(path: Path, run: str, seal: str) -> bool:
    """Whether a sidecar belongs to this run and its current seal."""
    try:
        data = files.read(path)
        told = json.loads(data, parse_constant=_no_number)
        if not isinstance(told, dict) or (told.get("run"), told.get("seal")) != (run, seal):
            return False
        # Unchanged since opsbook wrote it.
        return path.parent.name != TRAINING or data == canonical(told)
    except (OSError, TypeError, ValueError, RecursionError):
        return False


def signed_file(place: Path) -> tuple[bytes, str]:
    """A signed file, and the signature beside it. Raises OSError, also for what is no plain or small file."""
    both = (place, place.with_suffix(".sig"))
    for each in both:
        if not files.is_plain(each) or each.stat().st_size > LARGEST:
            raise OSError(f"{each.name} is missing")
    return files.read(both[0]), files.read_text(both[1])
