"""The training record of a finished drill, and its points. Rules only: no clock, no IO (ADR 19)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from opsbook.core.model.text import duration, number_of

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
