"""The certificate of a drill, for the terminal and as a page (ADR 19)."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.catalog import catalog
from opsbook.core.model.text import duration
from opsbook.core.trust.signing import known_signers
from opsbook.errors import InputError
from opsbook.html import render
from opsbook.settings import Settings
from opsbook.training import plan_file, trained
from opsbook.training.plan_file import TrainingPlan
from opsbook.training.qualification import holds, moment
from opsbook.training.qualifications import drilled as passes_of
from opsbook.training.sign_offs import GONE, SignOffVerdict, record_problem, verdict
from opsbook.training.trained import Drilled

_LONGEST = 280
"""Characters of a note or of feedback, so that the page fits one sheet."""


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
        return {
            **asdict(self.drilled),
            "kind": "certificate",
            "title": self.title,
            "points": self.drilled.points,
            "lost": [{"what": what, "points": points} for what, points in self.drilled.lost()],
            "signed_off": asdict(self.verdict) | {"good": self.verdict.good},
            "record": "gone" if self.gone else self.record or "as it was sealed",
            "counts": [asdict(each) for each in self.counts],
        }


def _took(seconds: float | None) -> str:
    return "not at all" if seconds is None else duration(seconds)


def certificate(settings: Settings, wanted: str) -> Certificate:
    """The certificate of a drill, passed or not. Raises InputError if there is no training record."""
    file = trained.find(settings.records, wanted)
    drilled = trained.read(file)
    entries = {entry.name: entry for entry in catalog.entries(settings)}
    title = entries[drilled.drill].title if drilled.drill in entries else drilled.drill
    found = verdict(settings, file, drilled, known_signers(settings))
    plan = plan_file.load(settings, entries.values())
    counts = tuple(_counts(settings, plan, drilled)) if plan else ()
    problem = record_problem(settings, drilled)
    gone = problem == GONE
    return Certificate(drilled, title, found, counts, "" if gone else problem, gone)


def _counts(settings: Settings, plan: TrainingPlan, drilled: Drilled) -> Iterator[Counts]:
    """What the drill counts for in each role that the trainee has."""
    needed = plan.needs(drilled.person) if drilled.person in plan.people else ()
    asked = [needs for needs in needed if (needs.kind, needs.name) == ("drill", drilled.drill)]
    mine = (drilled.person, drilled.drill)
    every = [each for each in trained.every(settings.records) if (each.person, each.drill) == mine and each.passed]
    passes = passes_of(settings, every) if asked else []
    for needs in asked:
        until = holds(drilled.run, needs, passes)
        few = f"{drilled.points} points; it needs {needs.points}" if drilled.points < needs.points else ""
        yield Counts(plan.title(needs.role), until, "" if until else few or "it is not signed off")


def page(found: Certificate) -> str:
    """The certificate as an HTML document for one sheet of paper."""
    counts = [(c.role, f"until {c.until:%Y-%m-%d}" if c.until else f"does not count: {c.why}") for c in found.counts]
    return render("certificate.html", found=found, counts=counts, moment_of=moment, longest=_LONGEST)


def write_certificate(found: Certificate, target: Path) -> None:
    """Write it as a self-contained page. Raises InputError."""
    if target.is_dir():
        raise InputError(f"{target} is a folder.", "Name a file, such as certificate.html.")
    with files.saying(f"{target} cannot be written", "Name another file."):
        files.write_atomic(target, page(found).encode())
