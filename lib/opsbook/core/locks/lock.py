"""Locks: the exclusive right to change a target, across all runbooks that share a state folder.

A lock conflicts with itself, its prefixes and its extensions: `dev` and `dev/arcade` exclude each other.
It belongs to a run, not to a process: a lost or unfinished run keeps it. An unreadable lock file is still a
lock: its owner is unknown, so no run may take its target.
"""

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from opsbook import files
from opsbook.core.locks import queue
from opsbook.core.locks.queue import conflict
from opsbook.errors import InputError, NotYet, Refused
from opsbook.files import guarded, saying, write_atomic
from opsbook.shapes import from_json

UNKNOWN = "unknown"
"""Run and operator of a lock with a damaged file."""

_READABLE = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_LONGEST = 120


@dataclass(frozen=True)
class Lock:
    """Who holds a target, why, and since when (UTC, ISO 8601)."""

    target: str
    run: str
    operator: str
    reason: str
    since: str


class Held(NotYet):
    """Other runs hold the requested targets; `locks` lists their locks."""

    def __init__(self, locks: tuple[Lock, ...], hint: str = "") -> None:
        held = (f"{h.target} is locked by {h.run} ({h.operator}) since {h.since}: {h.reason}." for h in locks)
        super().__init__("\n".join(held), hint)
        self.locks = locks


def acquire(state: Path, locks: list[Lock]) -> None:
    """Take all of the locks, or none. Raises Refused, which names the holders, also if no lock can be written.

    Runs that queue for one of the targets come first.
    """
    if not locks:
        return
    try:
        with guarded(state / "locks" / ".guard"):
            _take(state, locks)
    except OSError as error:
        place = state / "locks"
        raise Refused(
            f"No lock can be taken in {place}: {error.strerror}.", "Correct that folder, or state in opsbook.toml."
        ) from error


def _take(state: Path, locks: list[Lock]) -> None:
    held = _held(state)
    clashes = [h for lock in locks for path, h in held if h.run != lock.run and _clash(state, path, h, lock)]
    if clashes:
        raise Held(tuple(dict.fromkeys(clashes)))
    run, mine = locks[0].run, {h.target for _, h in held if h.run == locks[0].run}
    wanted = [lock.target for lock in locks if lock.target not in mine]
    if first := queue.before(state, run, wanted):
        raise NotYet(f"{first} waits for {', '.join(wanted)} already.", "Wait too: --wait. opsbook status shows both.")
    for lock in locks:
        write_atomic(_file(state, lock.target), json.dumps(asdict(lock), indent=2).encode())


def release(state: Path, run: str) -> None:
    """Release every lock of a run."""
    if all(lock.run != run for lock in holders(state)):
        return
    with guarded(state / "locks" / ".guard"):
        for path, lock in _held(state):
            if lock.run == run:
                path.unlink(missing_ok=True)


def unlock(state: Path, target: str, allow: Callable[[Lock], None]) -> Lock:
    """Remove a lock from the run that holds it. Raises InputError if nobody holds it, and whatever `allow` raises.

    A resuming run holds its journal before it takes its locks. So what `allow` sees stays true until the lock is gone.
    """
    try:
        with guarded(state / "locks" / ".guard"):
            for path, lock in _held(state):
                if lock.target == target:
                    allow(lock)
                    with saying(f"{path} cannot be removed", "Remove it by hand."):
                        path.unlink()
                    return lock
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be written: {error.strerror}.", "The lock was not taken away."
        ) from error
    raise InputError(f"Nobody holds {target}.", "opsbook locks shows what is held.")


def holders(state: Path) -> list[Lock]:
    """Every lock that is held, sorted by target."""
    return [lock for _, lock in _held(state)]


def _held(state: Path) -> list[tuple[Path, Lock]]:
    found = [(path, _read(path)) for path in (state / "locks").glob("*.json")]
    return sorted(found, key=lambda pair: pair[1].target)


def _read(path: Path) -> Lock:
    with suppress(OSError, ValueError):
        return from_json(Lock, files.read(path), strict=True)
    return Lock(path.stem.replace("+", "/"), UNKNOWN, UNKNOWN, f"the lock file {path.name} is damaged", _written(path))


def _written(path: Path) -> str:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC).isoformat(timespec="seconds")
    except (OSError, ValueError, OverflowError):
        return ""


def _file(state: Path, target: str) -> Path:
    """The file of a lock. A long target, or one with unusual characters, gets its digest in the name."""
    name = target.replace("/", "+")
    if len(name) > _LONGEST or not _READABLE.fullmatch(target):
        shown = re.sub(r"[^A-Za-z0-9_.+-]", "_", name)[:_LONGEST]
        name = f"{shown}~{hashlib.sha256(target.encode('utf-8', errors='surrogateescape')).hexdigest()}"
    return state / "locks" / f"{name}.json"


def _clash(state: Path, path: Path, held: Lock, wanted: Lock) -> bool:
    """Whether two locks conflict: by target, or by file, since a damaged file may not name its whole target."""
    return conflict(held.target, wanted.target) or path == _file(state, wanted.target)
