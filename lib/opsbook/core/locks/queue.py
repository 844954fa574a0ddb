"""Which targets exclude each other, and the queue of runs that wait for one, in order of arrival.

A place in the queue is a file that its run keeps locked: the lock ends with the process, however that ends.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from opsbook import files
from opsbook.files import guarded, holding, write_atomic

FOLDER = "waiting"


def conflict(one: str, other: str) -> bool:
    """Whether two targets exclude each other: they are equal, or one contains the other."""
    a, b = one.split("/"), other.split("/")
    shared = min(len(a), len(b))
    return a[:shared] == b[:shared]


@contextlib.contextmanager
def place(state: Path, run: str, targets: Sequence[str]) -> Iterator[None]:
    """Hold a place at the end of the queue while the block runs. Without targets there is no queue."""
    if not targets:
        yield
        return
    with contextlib.ExitStack() as stack:
        with guarded(state / "locks" / ".guard"):
            folder = state / "locks" / FOLDER
            number = 1 + max((_number(path) for path in folder.glob("*.json")), default=0)
            path = folder / f"{number:08d}-{run}.json"
            write_atomic(path, json.dumps({"run": run, "targets": list(targets)}).encode())
            stack.enter_context(holding(path))
            stack.callback(path.unlink, missing_ok=True)
        yield


def before(state: Path, run: str, targets: Sequence[str]) -> str | None:
    """The first run ahead of this one that waits for one of the targets; None if it is this run's turn."""
    for path in sorted((state / "locks" / FOLDER).glob("*.json")):
        try:
            waits = json.loads(files.read(path))
            other, wanted = str(waits["run"]), [str(target) for target in waits["targets"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if other == run:
            return None
        if any(conflict(one, another) for one in wanted for another in targets) and _alive(path):
            return other
    return None


def _number(path: Path) -> int:
    digits = path.name.partition("-")[0]
    return int(digits) if digits.isdigit() else 0


def _alive(path: Path) -> bool:
    """Whether the waiting run is alive; the place of a dead one is removed."""
    with contextlib.suppress(OSError), holding(path) as dead:
        if dead:
            path.unlink(missing_ok=True)
        return not dead
    return False
