"""The certificate of a drill, for the terminal and as a page (ADR 19)."""

from collections.abc import Iterator
from pathlib import Path

from opsbook import files
from opsbook.core.catalog import catalog
from opsbook.core.trust.signing import known_signers
from opsbook.errors import InputError
from opsbook.html import render
from opsbook.settings import Settings
from opsbook.training import plan_file, trained
from opsbook.training.certificate import Certificate, Counts
from opsbook.training.qualification import holds, moment
from opsbook.training.qualifications import drilled as passes_of
from opsbook.training.sign_offs import GONE, record_problem, verdict
from opsbook.training.training import Drilled
from opsbook.training.training_plan import Requirement, TrainingPlan

_LONGEST = 280
"""Characters of a note or of feedback, so that the page fits one sheet."""


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
        yield Counts(plan.title(needs.role), until, "" if until else _why_not(needs, drilled))


def _why_not(needs: Requirement, drilled: Drilled) -> str:
    few = f"{drilled.points} points; it needs {needs.points}"
    return few if drilled.points < needs.points else "it is not signed off"


def page(found: Certificate) -> str:
    """The certificate as an HTML document for one sheet of paper."""
    counts = [(c.role, f"until {c.until:%Y-%m-%d}" if c.until else f"does not count: {c.why}") for c in found.counts]
    return render("certificate.html", found=found, counts=counts, moment_of=moment, longest=_LONGEST)


def write_certificate(found: Certificate, target: Path) -> None:
    """Write it as a self-contained page. Raises InputError."""
    if target.is_dir():
        raise InputError(f"{target} is a folder.", "Name a file, such as certificate.html.")
    try:
        files.write_atomic(target, page(found).encode())
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{target} cannot be written: {why}.", "Name another file.") from error
