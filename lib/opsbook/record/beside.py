"""What is said of a record once it is sealed: files beside it, since a sealed record does not change.

Each lies in a folder of the records by what it is, and is named by the run. Who reads one looks at its signature anew.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from opsbook import files

REVIEWS, TRAINING = "reviews", "training"

LARGEST = 1024 * 1024
"""Bytes. Nobody writes more about a run."""

_SUFFIXES = {REVIEWS: (".sig", ".json"), TRAINING: (".json", ".sign-off.sig", ".sign-off")}
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


def take_in(records: Path, staged: Path, run: str) -> None:
    """Move what is said of a run from a staging folder to its place. Raises OSError.

    What is here stays: where it is something else than what comes, nothing of that folder comes in.
    """
    for folder in _SUFFIXES:
        coming = {records / folder / path.name: path for path in _of(staged / folder, run)}
        new = {target: path for target, path in coming.items() if not os.path.lexists(target)}
        if any(target not in new and target.read_bytes() != path.read_bytes() for target, path in coming.items()):
            continue
        for target, path in new.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            files.sync_folder(target.parent)
