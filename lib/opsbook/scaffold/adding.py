"""Adding files to a folder that may have files of its own: what is there is left, what is missing is added."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opsbook.errors import InputError
from opsbook.files import replacing

_LISTS = ("requirements.txt", ".gitignore")
"""Files of lines: where one is left as it is, what it lacks can be said."""


@dataclass(frozen=True)
class Added:
    """Files by their path in the folder: those that were written, and those that were there and stay as they are."""

    written: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def add(folder: Path, files: Mapping[str, str]) -> Added:
    """Write the files that are missing. Raises InputError, and leaves nothing behind, where that cannot be done.

    A file that is there stays as it is, also one that appears meanwhile, and a link that leads nowhere.
    """
    made: list[Path] = []
    try:
        _check(folder, files)
        return _added(folder, files, made)
    except OSError as error:
        _remove(made)
        raise InputError(f"{error.filename or folder}: {error.strerror}.", "No file was left behind.") from error
    except BaseException:
        _remove(made)
        raise


def _added(folder: Path, files: Mapping[str, str], made: list[Path]) -> Added:
    found = Added()
    for name, text in files.items():
        path = folder / name
        if os.path.lexists(path):
            found.left.append(name)
            continue
        _make_folders(path.parent, made)
        try:
            # Whole or not at all: half a file would be taken for the author's own by the next init.
            with replacing(path, anew=True) as out:
                out.write(text.encode())
        except FileExistsError:
            found.left.append(name)
        else:
            made.append(path)
            found.written.append(name)
    return found


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Make the folder and those above it, and keep in mind which were not there."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        try:
            place.mkdir()
        except FileExistsError:
            # Somebody else was faster, with a folder or with something else.
            if not place.is_dir():
                raise NotADirectoryError(20, os.strerror(20), str(place)) from None
        else:
            made.append(place)


def _remove(made: list[Path]) -> None:
    """Take back what was made, last things first; a folder that has something of others in it stays."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def _check(folder: Path, files: Mapping[str, str]) -> None:
    if problems := [said for name in files for said in _in_the_way(folder, name)]:
        hint = "Nothing was written. Move it away, or name another folder."
        raise InputError(list(dict.fromkeys(problems)), hint)


def _in_the_way(folder: Path, name: str) -> Iterator[str]:
    """Why this file can neither be added nor be there already."""
    path = folder / name
    if path.is_dir():
        yield f"{path} is a folder, and a file is needed there."
    for place in (folder / parent for parent in Path(name).parents):
        if os.path.lexists(place) and not place.is_dir():
            yield f"{place} is no folder, and one is needed there."
        elif place.exists() and not place.resolve().is_relative_to(folder.resolve()):
            yield f"{place} leads out of {folder}; nothing is written elsewhere."


def lacking(folder: Path, added: Added, files: Mapping[str, str]) -> dict[str, list[str]]:
    """Lines that a list of the author's own lacks, by its name: what is left out there will be missed."""
    found = {}
    for name in set(_LISTS) & set(added.left):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            have = {_key(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()}
            wanted = [line for line in files[name].splitlines() if line and not line.startswith("#")]
            found[name] = [line for line in wanted if _key(line) not in have]
    return {name: lines for name, lines in sorted(found.items()) if lines}


def _key(line: str) -> str:
    """What a line is about: a package, or a pattern without its slashes."""
    return re.split(r"[\s=<>!~;@\[]", line.strip().strip("/"))[0].lower()
