"""The review of an incident: a Markdown page that its journal begins and people finish."""

from pathlib import Path

from opsbook import files, html
from opsbook.core.record import store as records
from opsbook.errors import InputError
from opsbook.incidents import impact, proposing, timeline
from opsbook.incidents.incident import Incident
from opsbook.settings import Settings

FOLDER = "reviews"

_OPEN = "TODO"
"""Begins what people fill in."""


def page_of(settings: Settings, found: Incident) -> Path:
    return settings.root / FOLDER / f"{found.id}.md"


def write(settings: Settings, found: Incident) -> tuple[Path, bool]:
    """Write the page, unless it is there: what people wrote stays. Returns it, and whether it is new."""
    page = page_of(settings, found)
    if page.exists():
        return page, False
    outcomes = {run: outcome(settings, run) for run in found.runs}
    text = html.render(
        "review.md",
        found=found,
        entries=list(timeline.entries(found)),
        phases=timeline.phases(found),
        impact=impact.measured(settings, found, page.with_suffix("")),
        runs=[(fact, outcomes[run]) for run, fact in found.runs.items()],
        proposed=proposing.write(settings, found, outcomes, page.with_suffix("")),
    )
    files.write_atomic(page, text.encode())
    return page, True


def left(text: str) -> int:
    """How many places of a review are not filled in."""
    return sum(line.startswith(_OPEN) for line in text.splitlines())


def outcome(settings: Settings, run: str) -> str:
    """How an attached run ended, or that it still runs; `gone` if its record was pruned."""
    try:
        record = records.exact(settings.records, run)
    except InputError:
        return records.DAMAGED
    return str(record.glance()["outcome"]) if record else "gone"
