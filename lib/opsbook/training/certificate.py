"""The content of a certificate for a passed drill. No IO."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from opsbook.core.model.text import duration
from opsbook.training.sign_off import SignOffVerdict
from opsbook.training.training import Drilled


@dataclass(frozen=True)
class Counts:
    """For one role: the date until which the drill counts, or why it does not count."""

    role: str
    until: datetime | None
    why: str = ""

    def __str__(self) -> str:
        told = f"counts until {self.until:%Y-%m-%d}" if self.until else f"does not count: {self.why}"
        return f"{self.role}: {told}"


@dataclass(frozen=True)
class Certificate:
    """A passed drill, who signed it off, and what it counts for.

    `title` is that of the drill's page. `record` says what is wrong with the drill's record; empty if it is intact, or
    was pruned (`gone`): a sign-off still counts then.
    """

    drilled: Drilled
    title: str
    verdict: SignOffVerdict
    counts: tuple[Counts, ...]
    record: str
    gone: bool = False

    @property
    def good(self) -> bool:
        """Whether it counts: signed off, and its record intact or pruned."""
        return self.verdict.good and not self.record

    def times(self) -> Iterator[tuple[str, str]]:
        """Durations since the fault showed, and the par time."""
        yield "par time", duration(self.drilled.par)
        yield "diagnosed after", _took(self.drilled.diagnosed)
        yield "mended after", _took(self.drilled.mended)

    def points(self) -> Iterator[tuple[str, str]]:
        """The points: what was earned, and each deduction."""
        yield "mended", "100"
        for what, points in self.drilled.lost():
            yield what, f"-{points:.0f}" if points == round(points) else f"-{points:.1f}"
        yield "points", f"{self.drilled.points}"

    def told(self) -> dict[str, Any]:
        """The certificate as JSON."""
        drilled = asdict(self.drilled)
        counts = [{**asdict(each), "until": each.until.isoformat() if each.until else None} for each in self.counts]
        return {
            **drilled,
            "kind": "certificate",
            "title": self.title,
            "points": self.drilled.points,
            "lost": [{"what": what, "points": points} for what, points in self.drilled.lost()],
            "signed_off": asdict(self.verdict) | {"good": self.verdict.good},
            "record": "gone" if self.gone else self.record or "as it was sealed",
            "counts": counts,
        }


def _took(seconds: float | None) -> str:
    return "not at all" if seconds is None else duration(seconds)
