"""S: sections and their names; M: who maintains the page."""

import datetime
from collections import Counter

from opsbook.core.model.runbook import Role, Runbook
from opsbook.core.model.text import span_seconds
from opsbook.core.rules.base import Found, Known, at, front_line

_NEEDED = {
    **dict.fromkeys(("maintenance", "capacity", "recovery", "security", "environment"), ("Steps",)),
    "deploy": ("Steps", "Prerequisites", "Validation"),
    "incident": ("Mitigation",),
}
"""The sections that a kind of runbook needs, besides a rollback."""


def _sections(runbook: Runbook, _: Known) -> Found:
    """S001: a section the kind needs is missing."""
    titles = {section.title.lower() for section in runbook.sections}
    front = runbook.front
    rollback = ("Rollback",) if front.rollback in ("automatic", "ask") else ()
    for title in (*_NEEDED.get(front.kind, ()), *rollback):
        if title.lower() not in titles:
            yield at(runbook, 1, "S001", f"a {front.kind} runbook with rollback {front.rollback} needs ## {title}")


def _prose_cells(runbook: Runbook, _: Known) -> Found:
    """S002: a cell where nothing may run."""
    for section in runbook.sections:
        text = f"a cell under {section.title} never runs; move it to a section that runs, or use a console fence"
        for step in section.steps if section.role is Role.PROSE else ():
            yield from (at(runbook, cell.line, "S002", text) for cell in step.cells)


def _parameters_cell(runbook: Runbook, _: Known) -> Found:
    """S003: the Parameters section holds one cell, tagged parameters."""
    for section in runbook.sections:
        if section.role is not Role.PARAMETERS:
            continue
        cells = [cell for step in section.steps for cell in step.cells]
        if len(cells) > 1:
            yield at(runbook, cells[1].line, "S003", "only one cell may stand under Parameters")
        if cells and "parameters" not in cells[0].tags:
            text = 'the parameters cell opens with ```python tags=["parameters"]'
            yield at(runbook, cells[0].line - 1, "S003", text)


def _step_names(runbook: Runbook, _: Known) -> Found:
    """S004: two steps whose titles give the same name."""
    # The journal uses the name `parameters` for the parameters cell.
    count = Counter([*(step.id for step in runbook.steps()), "parameters"])
    for step in runbook.steps():
        if count[step.id] > 1:
            yield at(runbook, step.line, "S004", f"another step is also named {step.id}; change one title")


def _repeated_sections(runbook: Runbook, _: Known) -> Found:
    """S005: two sections with the same title, if the title gives a role."""
    seen: set[str] = set()
    for section in runbook.sections:
        title = section.title.lower()
        if section.role is not Role.PROSE and title in seen:
            yield at(runbook, section.line, "S005", f"there is another ## {section.title}; put their steps together")
        seen.add(title)


def _ownership(runbook: Runbook, _: Known) -> Found:
    """M001, M002: the page has no owner, or was never reviewed."""
    if not runbook.front.owner:
        yield at(runbook, 1, "M001", "no owner: who keeps this page right?", warning=True)
    if not runbook.front.reviewed:
        yield at(runbook, 1, "M002", "no review date: reviewed: YYYY-MM-DD", warning=True)


def _overdue(runbook: Runbook, known: Known) -> Found:
    """M003: the review is overdue."""
    front = runbook.front
    if known.today is None or front.reviewed is None or front.review_every is None:
        return
    late = (known.today - front.reviewed).total_seconds() - span_seconds(front.review_every)
    if late > 0:
        days = datetime.timedelta(seconds=late).days
        text = f"the review of {front.reviewed} counted for {front.review_every}; it is {days} days overdue"
        yield at(runbook, front_line(runbook, "reviewed"), "M003", text, warning=True)


CHECKS = (_sections, _prose_cells, _parameters_cell, _step_names, _repeated_sections, _ownership, _overdue)
