"""S: sections and their names; M: who looks after the page."""

import datetime
from collections import Counter

from opsbook.core.model.role import Role
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import span_seconds
from opsbook.core.rules.base import Found, Known, Rule, at, front_line

_CHANGING = frozenset({"deploy", "maintenance", "capacity", "recovery", "security", "environment"})

_STEPS = "## Steps\n\n### Restart it\nRestart the cache.\n"
_PARAMETERS = '## Parameters\n\n```python tags=["parameters"]\ncount: int = 3   # How many\n```\n'
_FRONT = "---\ntitle: Restart\nkind: maintenance\nowner: platform\nreviewed: 2026-11-20\n---\n\n# Restart\n\n"
_OLD = _FRONT.replace("2026-11-20", "2025-01-10\nreview_every: 90d")

RULES = (
    Rule(
        code="S001",
        name="section-missing",
        text="A section is missing that a page of this kind, or with this rollback, needs.",
        why="A deployment that nobody validates, or an automatic rollback that is not written down, is half a page.",
        bad=_FRONT.replace("owner:", "rollback: ask\nowner:") + _STEPS,
        good=_FRONT.replace("owner:", "rollback: ask\nowner:") + _STEPS + "\n## Rollback\nStart the old cache again.\n",
        soft=True,
    ),
    Rule(
        code="S002",
        name="cell-never-runs",
        text="A cell stands where nothing runs: under a title without a role, or before the first section.",
        why=(
            "It looks as if it did something. Cells run under Prerequisites, Diagnosis, Steps, Mitigation, Validation "
            "and Rollback."
        ),
        bad="## Overview\n\n```python\nprint(1)\n```\n\n" + _STEPS,
        good="## Diagnosis\n\n### Look\n```python\nprint(1)\n```\n\n" + _STEPS,
        soft=True,
    ),
    Rule(
        code="S003",
        name="parameters-cell",
        text="The section Parameters holds one cell, tagged `parameters`, and nothing else that runs.",
        why="By that tag Jupyter, papermill and opsbook all know where values go in.",
        bad=_PARAMETERS.replace(' tags=["parameters"]', "") + "\n" + _STEPS,
        good=_PARAMETERS + "\n" + _STEPS,
        soft=True,
        fix='`tags=["parameters"]` is added to the first cell, if its fence says nothing but `python`.',
    ),
    Rule(
        code="S004",
        name="step-name-taken",
        text="Two steps have titles that give the same name.",
        why="Results, answers and the rollback's `done(…)` go by a step's name.",
        bad=_STEPS + "\n### Restart it!\nOnce more.\n",
        good=_STEPS + "\n### Restart it again\nOnce more.\n",
        soft=True,
    ),
    Rule(
        code="S005",
        name="section-twice",
        text="A section with a role is there twice.",
        why="A reader looks for one place where the steps are; so does a rollback.",
        bad=_STEPS + "\n## steps\n\n### Look\nLook at it.\n",
        good=_STEPS + "\n### Look\nLook at it.\n",
        soft=True,
    ),
    Rule(
        code="M001",
        name="no-owner",
        text="The front matter names no `owner`.",
        why="A page that nobody looks after is wrong sooner or later.",
        bad=_FRONT.replace("owner: platform\n", "") + _STEPS,
        good=_FRONT + _STEPS,
        warning=True,
    ),
    Rule(
        code="M002",
        name="never-reviewed",
        text="The front matter has no date on which somebody last `reviewed` the page.",
        why="At 3 a.m. it matters whether a page was right last month or four years ago.",
        bad=_FRONT.replace("reviewed: 2026-11-20\n", "") + _STEPS,
        good=_FRONT + _STEPS,
        warning=True,
    ),
    Rule(
        code="M003",
        name="review-overdue",
        text="The last review is longer ago than `review_every` allows.",
        why="The page itself says how long it can be trusted.",
        bad=_OLD + _STEPS,
        good=_OLD.replace("2025-01-10", "2026-11-20") + _STEPS,
        warning=True,
    ),
)


def _sections(runbook: Runbook, _: Known) -> Found:
    """S001: a section the kind needs is missing."""
    titles = {section.title.lower() for section in runbook.sections}
    front = runbook.front
    wanted = []
    if front.kind in _CHANGING:
        wanted.append("Steps")
    if front.kind == "incident":
        wanted.append("Mitigation")
    if front.kind == "deploy":
        wanted += ["Prerequisites", "Validation"]
    if front.rollback in ("automatic", "ask"):
        wanted.append("Rollback")
    for title in wanted:
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
    # The parameters cell has this name in the journal.
    count = Counter([*(step.id for step in runbook.steps()), "parameters"])
    for step in runbook.steps():
        if count[step.id] > 1:
            yield at(runbook, step.line, "S004", f"another step is also named {step.id}; change one title")


def _repeated_sections(runbook: Runbook, _: Known) -> Found:
    """S005: two sections with the same role's title."""
    seen: set[str] = set()
    for section in runbook.sections:
        title = section.title.lower()
        if section.role is not Role.PROSE and title in seen:
            yield at(runbook, section.line, "S005", f"there is another ## {section.title}; put their steps together")
        seen.add(title)


def _ownership(runbook: Runbook, _: Known) -> Found:
    """M001, M002: nobody owns the page, or nobody ever reviewed it."""
    if not runbook.front.owner:
        yield at(runbook, 1, "M001", "no owner: who keeps this page right?", warning=True)
    if not runbook.front.reviewed:
        yield at(runbook, 1, "M002", "no review date: reviewed: YYYY-MM-DD", warning=True)


def _overdue(runbook: Runbook, known: Known) -> Found:
    """M003: the review is over."""
    front = runbook.front
    if known.today is None or front.reviewed is None or front.review_every is None:
        return
    late = (known.today - front.reviewed).total_seconds() - span_seconds(front.review_every)
    if late > 0:
        days = datetime.timedelta(seconds=late).days
        text = f"the review of {front.reviewed} counted for {front.review_every}; it is {days} days overdue"
        yield at(runbook, front_line(runbook, "reviewed"), "M003", text, warning=True)


CHECKS = (_sections, _prose_cells, _parameters_cell, _step_names, _repeated_sections, _ownership, _overdue)
