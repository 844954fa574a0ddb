"""A drill that is over, and what it was worth. Rules alone: no clock, no IO (ADR 19)."""

from dataclasses import dataclass
from typing import Literal

LIMIT = 3
"""A drill fails when it is not mended within so many times its par time."""

HINT, WRONG, UNDIAGNOSED, LATE = 10, 15, 10, 40
"""Points of a hundred that are lost: for each hint, for each wrong change, without a right diagnosis before it is
mended, and, growing from par time to the end, for being late."""


@dataclass(frozen=True)
class Feedback:
    """What the trainee says at the end: one key, 1 (bad) to 5 (good), and a sentence."""

    key: int
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
    par: float
    diagnosed: float | None
    mended: float | None
    hints: int
    wrong: tuple[str, ...]
    feedback: Feedback | None = None

    @property
    def passed(self) -> bool:
        return self.mended is not None

    @property
    def points(self) -> int:
        """0 to 100; a drill that was not mended has none."""
        if self.mended is None:
            return 0
        late = max(0.0, self.mended - self.par) / max(self.par * (LIMIT - 1), 0.001)
        named = self.diagnosed is not None and self.diagnosed <= self.mended
        lost = HINT * self.hints + WRONG * len(self.wrong) + (0 if named else UNDIAGNOSED) + LATE * min(1.0, late)
        return max(0, round(100 - lost))
