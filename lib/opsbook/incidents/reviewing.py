"""The review of an incident: a Markdown page that its journal begins and people finish."""

import contextlib
from collections.abc import Iterator
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
        entries=sorted([*timeline.entries(found), *_of_runs(settings, found)], key=lambda each: each.time),
        phases=timeline.phases(found),
        impact=impact.measured(settings, found, page.with_suffix("")),
        runs=[(fact, outcomes[run], _who(settings, run) or fact.by) for run, fact in found.runs.items()],
        proposed=proposing.write(settings, found, outcomes, page.with_suffix("")),
    )
    files.write_atomic(page, text.encode())
    return page, True


def _of_runs(settings: Settings, found: Incident) -> Iterator[timeline.Entry]:
    """What the attached runs did; a record that is gone or damaged says nothing."""
    for run, fact in found.runs.items():
        with contextlib.suppress(InputError):
            if record := records.exact(settings.records, run):
                yield from timeline.of_run(fact.runbook, record.events())


def _who(settings: Settings, run: str) -> str:
    """Who ran it, all of them; empty if its record is gone."""
    record = records.exact(settings.records, run)
    told = record.glance() if record else {}
    return ", then ".join(told.get("operators") or filter(None, [told.get("operator")]))


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
