"""Add missing files to a folder, and leave existing ones as they are."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opsbook.errors import InputError
from opsbook.files import replacing

_LISTS = ("requirements.txt", ".gitignore")
"""Files of independent lines: for an existing one, init can list the missing lines."""


@dataclass(frozen=True)
class Added:
    """Files by their path in the folder: written ones, and existing ones that were left as they are."""

    written: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def add(folder: Path, files: Mapping[str, str]) -> Added:
    """Write the files that are missing. If that fails, raises InputError and leaves nothing behind.

    Never replaces an existing file, a file that appears in the meantime, or a dangling link.
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
            # Atomic: the next init would take half a file for the author's own.
            with replacing(path, anew=True) as out:
                out.write(text.encode())
        except FileExistsError:
            found.left.append(name)
        else:
            made.append(path)
            found.written.append(name)
    return found


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Make the folder and its missing parents, and add the new ones to `made`."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        try:
            place.mkdir()
        except FileExistsError:
            # Another process created it first, as a folder or as something else.
            if not place.is_dir():
                raise NotADirectoryError(20, os.strerror(20), str(place)) from None
        else:
            made.append(place)


def _remove(made: list[Path]) -> None:
    """Remove what was made, newest first; a folder with other files in it stays."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def _check(folder: Path, files: Mapping[str, str]) -> None:
    if problems := [said for name in files for said in _in_the_way(folder, name)]:
        hint = "Nothing was written. Move it away, or name another folder."
        raise InputError(list(dict.fromkeys(problems)), hint)


def _in_the_way(folder: Path, name: str) -> Iterator[str]:
    """Why this file cannot exist in the folder."""
    path = folder / name
    if path.is_dir():
        yield f"{path} is a folder, and a file is needed there."
    for place in (folder / parent for parent in Path(name).parents):
        if os.path.lexists(place) and not place.is_dir():
            yield f"{place} is no folder, and one is needed there."
        elif place.exists() and not place.resolve().is_relative_to(folder.resolve()):
            yield f"{place} leads out of {folder}; nothing is written elsewhere."


def lacking(folder: Path, added: Added, files: Mapping[str, str]) -> dict[str, list[str]]:
    """The lines that existing list files lack, by the file's name."""
    found = {}
    for name in set(_LISTS) & set(added.left):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            have = {_key(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()}
            wanted = [line for line in files[name].splitlines() if line and not line.startswith("#")]
            found[name] = [line for line in wanted if _key(line) not in have]
    return {name: lines for name, lines in sorted(found.items()) if lines}


def _key(line: str) -> str:
    """The key of a line: a package's name, or a pattern without its slashes."""
    return re.split(r"[\s=<>!~;@\[]", line.strip().strip("/"))[0].lower()
