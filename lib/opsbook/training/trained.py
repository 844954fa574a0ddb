"""The training record of a finished drill, its points, and its file: records/training/RUN.json (ADR 19)."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from opsbook import files
from opsbook.core.model.effect import canonical
from opsbook.core.model.text import duration, nearest, number_of
from opsbook.core.record.sidecars import TRAINING
from opsbook.errors import InputError
from opsbook.shapes import from_json

LIMIT = 3
"""A drill fails if it is not mended within this many times its par time."""

HINT, WRONG, UNDIAGNOSED, LATE = 10, 15, 10, 40
"""Deductions from 100 points: for each hint, for each wrong change, for no right diagnosis before it is mended, and at
most for being late: it grows from par time to the limit."""


_Seconds = Annotated[float, Field(ge=0, lt=1e9, allow_inf_nan=False)]


@dataclass(frozen=True)
class Feedback:
    """What the trainee says at the end: one key, 1 (bad) to 5 (good), and a sentence."""

    key: Annotated[int, Field(ge=1, le=5)]
    text: str


@dataclass(frozen=True)
class Drilled:
    """A training record: canonical JSON in records/training/RUN.json. The record of its run proves it.

    `seal` is the SHA-256 of that record's seal; `person` is the trainee. Times are UTC, ISO 8601; durations are
    seconds from the moment the fault showed. `diagnosed` and `mended` are None if that did not happen. `wrong` are
    runs of other runbooks that changed something in the environment.
    """

    kind: Literal["training"]
    run: str
    seal: str
    drill: str
    environment: str
    person: str
    operator: str
    started: str
    ended: str
    par: _Seconds
    diagnosed: _Seconds | None
    mended: _Seconds | None
    hints: Annotated[int, Field(ge=0)]
    wrong: tuple[str, ...]
    feedback: Feedback | None = None

    @property
    def passed(self) -> bool:
        return self.mended is not None

    @property
    def points(self) -> int:
        """0 to 100; a drill that was not mended has none."""
        return max(0, round(100 - sum(points for _, points in self.lost()))) if self.passed else 0

    def lost(self) -> Iterator[tuple[str, float]]:
        """Each deduction with its points; empty for a perfect drill, and for one that was not mended."""
        if self.mended is None:
            return
        if self.hints:
            yield number_of(self.hints, "hint"), HINT * self.hints
        if self.wrong:
            yield number_of(len(self.wrong), "wrong change"), WRONG * len(self.wrong)
        if self.diagnosed is None or self.diagnosed > self.mended:
            yield "no right diagnosis before it was mended", UNDIAGNOSED
        over = self.mended - self.par
        if over > 0:
            yield f"{duration(over)} over par", LATE * min(1.0, over / max(self.par * (LIMIT - 1), 0.001))


# -- as files: records/training/RUN.json


def path(records: Path, run: str) -> Path:
    return records / TRAINING / f"{run}.json"


def find(records: Path, wanted: str) -> Path:
    """The training record of a run, by its id, a prefix of it, or `last`. Raises InputError."""
    known = sorted(path.stem for path in (records / TRAINING).glob("*.json"))
    if wanted == "last" and known:
        return path(records, known[-1])
    matches = [run for run in known if run == wanted] or [run for run in known if run.startswith(wanted)]
    if len(matches) > 1:
        raise InputError(f"{wanted} fits {len(matches)} drills: {', '.join(matches[:5])}.", "Write more of it.")
    if not matches:
        hint = nearest(wanted, known[-50:]) if known else "No drill has left one yet: opsbook drill start NAME."
        raise InputError(f"There is no training record of {wanted}.", hint)
    return path(records, matches[0])


def write(records: Path, drilled: Drilled) -> Path:
    """Write the training record of a drill."""
    target = path(records, drilled.run)
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(target, canonical(asdict(drilled)))
    return target


def read(file: Path) -> Drilled:
    """The training record in a file. Raises InputError, also if it is not in its canonical form."""
    with files.saying(f"{file} cannot be read", "Name a drill that is over."):
        data = files.read(file)
    try:
        found = from_json(Drilled, data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no training record.", "It was changed, or written by something else.") from error
    if data != canonical(asdict(found)) or found.run != file.stem:
        raise InputError(f"{file} is not as it was written.", "It was changed.")
    return found


def every(records: Path) -> Iterator[Drilled]:
    """Every readable training record, oldest first."""
    for file in sorted((records / TRAINING).glob("*.json")):
        with contextlib.suppress(InputError):
            yield read(file)
