"""Where an anchor is stored: a file outside the records folder, or a branch of a git repository."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from opsbook import files
from opsbook.errors import InputError
from opsbook.records.anchor import GIT, Make, Unreachable, shown


class AnchorStore(Protocol):
    """Holds the lines of an anchor. Both methods raise Unreachable."""

    name: str

    def read(self) -> bytes | None:
        """All lines; None if nothing was ever anchored there."""

    def append(self, make: Make) -> None:
        """Append what `make` returns for the existing lines, atomically. `make` may be called several times."""


class FilePlace:
    """A file. Appending takes its lock, and adds only whole lines."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def read(self) -> bytes | None:
        try:
            with self._opened(os.O_RDONLY, fcntl.LOCK_SH) as descriptor:
                return _content(descriptor) or None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreachable(error) from error

    def append(self, make: Make) -> None:
        # Do not create a file if there is nothing to append.
        if not os.path.lexists(self._path) and make(None) is None:
            return
        try:
            with self._opened(os.O_RDWR | os.O_CREAT | os.O_APPEND, fcntl.LOCK_EX) as descriptor:
                line = make(_content(descriptor) or None)
                if line is not None:
                    _append(descriptor, line)
            files.sync_folder(self._path.parent)
        except OSError as error:
            raise self._unreachable(error) from error

    @contextlib.contextmanager
    def _opened(self, flags: int, lock: int) -> Iterator[int]:
        # O_NONBLOCK: opening a pipe of that name must not block.
        descriptor = os.open(self._path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreachable(f"The anchor {self._path} is no file.", "Name a file.")
            fcntl.flock(descriptor, lock)
            yield descriptor
        finally:
            os.close(descriptor)

    def _unreachable(self, error: OSError) -> Unreachable:
        said = f"The anchor {self._path} cannot be reached: {error.strerror or error}."
        return Unreachable(said, "Make its folder, or mount it, or name another place.")


def _content(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as source:
        return source.read()


def _append(descriptor: int, line: bytes) -> None:
    """Append the whole line durably; nothing if the disk is full."""
    before = os.fstat(descriptor).st_size
    try:
        left = line
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        # An append-only file cannot be truncated; then the next read reports the incomplete line.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, before)
        raise


def at(text: str, root: Path, records: Path, state: Path, by: str) -> AnchorStore:
    """The place that a setting or an option names. Raises InputError for an invalid place."""
    if text.startswith(GIT):
        from opsbook.records.anchor_git import GitPlace

        remote, _, branch = text.removeprefix(GIT).partition("#")
        _outside(root, records, remote, text)
        return GitPlace(remote, branch or "opsbook-anchor", root, state, by)
    return FilePlace(_outside(root, records, text, text))


def _outside(root: Path, records: Path, path: str, text: str) -> Path:
    """The path. Raises InputError if it is in the records' folder: who can change records could change their anchor."""
    try:
        found = (root / Path(path).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"The anchor {shown(text)} is no place: {error}.", "Name a file, or git:REMOTE.") from error
    if not path or "\0" in text:
        raise InputError(f"The anchor {shown(text)} names no place.", "Name a file, or git:REMOTE.")
    if found.is_relative_to(records):
        raise InputError(
            f"The anchor {found} lies in the records' folder.",
            "Name a place where whoever writes records cannot write.",
        )
    return found
