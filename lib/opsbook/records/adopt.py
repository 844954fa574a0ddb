"""Move imported records into the records' folder: each is staged out of sight, verified, then moved as a whole."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opsbook import files
from opsbook.core.record import seal, store
from opsbook.core.trust import adopting
from opsbook.records import manifest
from opsbook.records.manifest import Manifest

STAGING = ".importing"
"""Staging folder of imports. The next import removes what a crash left there."""

_LEVELS = "archive/records"
"""Deep enough that no staged file is mistaken for the journal or seal of a record, which are three folders deep."""


@dataclass(frozen=True)
class Imported:
    """The result for a run: imported, there already, or refused; `why`, also if only its sidecars were not moved."""

    run: str
    result: str
    why: str = ""


@contextlib.contextmanager
def staging(root: Path) -> Iterator[Path]:
    """An empty folder below the records; the caller must lock out other imports. Raises OSError."""
    place = root / STAGING
    if os.path.lexists(place):
        shutil.rmtree(place)
    try:
        (place / _LEVELS).mkdir(parents=True)
        yield place / _LEVELS
    finally:
        shutil.rmtree(place, ignore_errors=True)


def adopt(root: Path, staged: Path, told: Manifest, run: str) -> Imported:
    """Move a staged run to its place, unless it differs from what was exported, or a different record is there."""
    folder = staged / run
    if why := _unlike(folder, told.records.get(run)):
        return Imported(run, "refused", why)
    if present := store.exact(root, run):
        why = _in_the_way(present, told.records[run])
        return Imported(run, "refused", why) if why else Imported(run, "there already")
    try:
        adopting.mark(root, run, told.records[run].seal)
        _move(folder, root / manifest.place(run))
    except OSError as error:
        return Imported(run, "refused", f"its folder cannot be made: {error.strerror}")
    return Imported(run, "imported")


def _unlike(folder: Path, told: manifest.Sealed | None) -> str:
    """Why the staged record is not the exported one; empty if it is."""
    if told is None:
        return f"{manifest.NAME} does not name it"
    if not folder.is_dir():
        return f"{manifest.NAME} names it, but it is not in the archive"
    if flaws := seal.verify(folder):
        return f"it is not as it was sealed: {flaws[0].file}: {flaws[0].message}"
    return "" if manifest.sealed(folder) == told else f"its seal is not the one that {manifest.NAME} names"


def _in_the_way(present: store.Record, told: manifest.Sealed) -> str:
    """Why the existing record blocks the import; empty if both are the same."""
    if present.folder.parent.name == store.QUARANTINE:
        return "it is here, in quarantine"
    if present.state != "sealed":
        return f"it is here, and it is {present.state}"
    same = files.is_plain(present.folder / store.SEAL) and files.sha256(present.folder / store.SEAL) == told.seal
    return "" if same else "it is here with another seal"


def _move(folder: Path, place: Path) -> None:
    for part in store.PARTS:
        with contextlib.suppress(FileExistsError):
            (folder / part).mkdir()
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(place)
    files.sync_folder(place.parent)
