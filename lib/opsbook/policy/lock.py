"""Locks: the exclusive right to change a target, across all runbooks that share a state folder.

A lock conflicts with itself, its prefixes and its extensions: `dev` and `dev/arcade` exclude each other.
It belongs to a run, not to a process: a run that was lost or left things half-way keeps it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from opsbook.errors import InputError, Refused
from opsbook.files import guarded, write_atomic


@dataclass(frozen=True)
class Lock:
    """Who holds a target, why, and since when (UTC, ISO 8601)."""

    target: str
    run: str
    operator: str
    reason: str
    since: str


def acquire(state: Path, locks: list[Lock]) -> None:
    """Take all of them, or none. Raises Refused with who holds what."""
    with guarded(state / "locks" / ".guard"):
        held = holders(state)
        clashes = [h for lock in locks for h in held if h.run != lock.run and _conflict(h.target, lock.target)]
        if clashes:
            raise Refused("\n".join(map(_sentence, dict.fromkeys(clashes))), _way_out(clashes[0]))
        for lock in locks:
            write_atomic(_file(state, lock.target), json.dumps(asdict(lock), indent=2).encode())


def release(state: Path, run: str) -> None:
    """Give back every lock of a run."""
    with guarded(state / "locks" / ".guard"):
        for lock in holders(state):
            if lock.run == run:
                _file(state, lock.target).unlink(missing_ok=True)


def unlock(state: Path, target: str) -> Lock:
    """Take a lock away from the run that holds it. Raises InputError if nobody holds it."""
    with guarded(state / "locks" / ".guard"):
        for lock in holders(state):
            if lock.target == target:
                _file(state, target).unlink()
                return lock
    raise InputError(f"Nobody holds {target}.", "opsbook locks shows what is held.")


def holders(state: Path) -> list[Lock]:
    """Every lock that is held, by target."""
    files = (state / "locks").glob("*.json")
    found = [Lock(**json.loads(path.read_text(encoding="utf-8"))) for path in files]
    return sorted(found, key=lambda lock: lock.target)


def _file(state: Path, target: str) -> Path:
    return state / "locks" / (target.replace("/", "+") + ".json")


def _conflict(one: str, other: str) -> bool:
    a, b = one.split("/"), other.split("/")
    shared = min(len(a), len(b))
    return a[:shared] == b[:shared]


def _sentence(lock: Lock) -> str:
    return f"{lock.target} is locked by {lock.run} ({lock.operator}) since {lock.since}: {lock.reason}."


def _way_out(lock: Lock) -> str:
    return (
        f"Wait for that run, or look at it with opsbook records show {lock.run}; "
        f"if it will never finish: opsbook unlock {lock.target} --reason WHY."
    )
