"""A drill that is over, and what it was worth. Rules alone: no clock, no IO (ADR 19)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from opsbook.core.model.text import duration, number_of

LIMIT = 3
"""A drill fails when it is not mended within so many times its par time."""

HINT, WRONG, UNDIAGNOSED, LATE = 10, 15, 10, 40
"""Points of a hundred that are lost: for each hint, for each wrong change, without a right diagnosis before it is
mended, and, growing from par time to the end, for being late."""


_Seconds = Annotated[float, Field(ge=0, lt=1e9, allow_inf_nan=False)]


@dataclass(frozen=True)
class Feedback:
    """What the trainee says at the end: one key, 1 (bad) to 5 (good), and a sentence."""

    key: Annotated[int, Field(ge=1, le=5)]
    text: str


@dataclass(frozen=True)
class Drilled:
    """A training record: records/training/RUN.json, canonical JSON, beside the record that proves it.

    `seal` is the SHA-256 of that record's seal; `person` is the trainee. Times are UTC, ISO 8601; durations are
    seconds from the moment the fault showed. `diagnosed` and `mended` are None where that did not happen. `wrong` are
    runs that changed something in the environment and are not what mends it.
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
        """What took points of the hundred, and how many; nothing for a drill without a mistake, or not mended."""
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
