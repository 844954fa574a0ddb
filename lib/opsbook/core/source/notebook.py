"""Read one document: the sections, steps and cells of a page."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.core.model.front import split
from opsbook.core.model.role import Role
from opsbook.core.model.runbook import ROLES, SHELLS, Cell, Runbook, Section, Step
from opsbook.core.model.text import one_line, slug
from opsbook.core.source import bare, front, info, parameters
from opsbook.core.source.markdown import Document, Fence, document
from opsbook.core.source.problem import Problem

_MAGIC = re.compile(r"^%%(\w+).*\n?")
_EXPECTED = re.compile(r"^\**Expected:?\**:?\s*(.*)$")
_BREAKS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""Jupytext and IPython end lines at these characters; Markdown, opsbook and shells do not."""


_LONGEST = 1e9
"""Seconds. A longer timeout is rejected: a run that used one too large for the clock would fail halfway."""


@dataclass
class _Draft:
    """A section or step while its lines are being collected."""

    title: str
    line: int
    prose: list[str] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    steps: list["_Draft"] = field(default_factory=list)


def parse(text: str, shown: str, *, magics: bool = False) -> tuple[Runbook, list[Problem]]:
    """Parse a document's text; `shown` is its path relative to the project.

    `magics`: cells may begin with a magic of IPython (%%time), as in notebooks that were not written for opsbook.
    """
    matter, problems = front.parse(text, shown)
    page = document(text)
    block = split(text)[0]
    cells, more = _cells(page, shown, magics=magics)
    problems += [*more, *_unclosed(page, shown)]
    title, drafts = _outline(page, cells, bare=block is None)
    first = drafts[0].line if drafts else len(page.lines) + 1
    problems += [_homeless(cell, shown) for cell in cells.values() if cell.line < first]
    sections = tuple(_section(draft) for draft in drafts)
    if block is None:
        sections = bare.taken(sections)
    parameter_steps = (step for section in sections if section.role is Role.PARAMETERS for step in section.steps)
    holder = next((cell for step in parameter_steps for cell in step.cells), None)
    found, more = parameters.parse(holder, shown) if holder else ((), [])
    name = Path(shown).stem
    runbook = Runbook(
        name=name,
        path=Path(shown),
        front=matter,
        title=matter.title or title or name,
        source=text,
        sections=sections,
        parameters=found,
        parameters_cell=holder,
        bare=block is None,
    )
    return runbook, problems + more


def _cells(page: Document, shown: str, *, magics: bool) -> tuple[dict[int, Cell], list[Problem]]:
    """The cells by the line of their fence (from 0), and their problems.

    A cell is one for both Markdown and Jupyter: a fence in backticks at the beginning of a line, in a language that
    Jupyter knows.
    """
    found: dict[int, Cell] = {}
    problems = list(_unseen(page, shown))
    for fence in page.fences:
        if fence.depth or fence.indent or fence.mark[0] != "`" or not info.is_cell(fence.info):
            continue
        if fence.line in page.regions:
            continue
        try:
            attributes = info.attributes(fence.info)
        except info.NotRead as error:
            problems.append(Problem(shown, fence.line + 1, 1, "D002", str(error)))
            attributes = {}
        cell = _cell(fence, attributes, magics=magics)
        problems += _cell_problems(attributes, cell, shown, fence.line + 1)
        found[fence.line] = cell
    return found, problems


_JUPYTER = re.compile(r"^```+\s*(.*)$")


def _unseen(page: Document, shown: str) -> Iterator[Problem]:
    """D010: a fence that Jupyter reads as a cell must be one for Markdown too, from the same line on."""
    own = {fence.line for fence in page.fences if not fence.depth and not fence.indent}
    inside = (range(fence.line, fence.end + 1) for fence in page.fences if fence.line in own)
    quiet = page.comments.union(page.regions, *inside)
    for line in range(page.start, len(page.lines)):
        found = _JUPYTER.match(page.lines[line]) if line not in quiet else None
        if found and info.is_cell(found[1]):
            text = "a cell for Jupyter, but not for a reader of Markdown: it is part of what is above it"
            yield Problem(shown, line + 1, 1, "D010", text)


def _unclosed(page: Document, shown: str) -> Iterator[Problem]:
    for fence in page.fences:
        if not fence.closed and not fence.depth:
            text = "this fence is never closed; everything below it is swallowed"
            yield Problem(shown, fence.line + 1, 1, "D001", text)


def _homeless(cell: Cell, shown: str) -> Problem:
    return Problem(shown, cell.line, 1, "S002", "a cell before the first ## heading never runs; move it into a section")


def _cell(fence: Fence, attributes: Mapping[str, Any], *, magics: bool) -> Cell:
    language = info.language(fence.info)
    code = fence.code.removesuffix("\n")
    source = code if language == "python" else f"%%{language}\n{code}"
    magic = _MAGIC.match(source)
    if magic and magics and magic[1] not in SHELLS:
        magic = None
    return Cell(
        id="",
        source=source,
        line=fence.line + 2,
        tags=tuple(attributes.get("tags", ())),
        timeout=_seconds(attributes.get("timeout")),
        language=magic[1] if magic else "python",
    )


def _seconds(value: object) -> float | None:
    """The value as seconds, if it is a number below the limit; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LONGEST:
        return None
    return float(value)


def _cell_problems(attributes: Mapping[str, Any], cell: Cell, shown: str, line: int) -> list[Problem]:
    problems = []
    timeout = attributes.get("timeout")
    if timeout is not None and (cell.timeout is None or cell.timeout <= 0):
        text = f"timeout={one_line(repr(timeout), 40)} is not a number of seconds"
        problems.append(Problem(shown, line, 1, "D003", text))
    if cell.language not in ("python", *SHELLS):
        text = f"a {cell.language} cell cannot run here; use bash or python, or a console fence"
        problems.append(Problem(shown, line, 1, "D004", text))
    return [*problems, *_hidden_ends(cell, shown)]


def _hidden_ends(cell: Cell, shown: str) -> Iterator[Problem]:
    """D009: IPython would run the rest of such a line as a separate line, where readers see part of a comment."""
    for number, line in enumerate(cell.source.split("\n"), cell.line - (cell.language != "python")):
        for column, sign in enumerate(line, 1):
            if sign in _BREAKS:
                text = f"code holds U+{ord(sign):04X}, which some programs take for the end of a line; remove it"
                yield Problem(shown, number, column, "D009", text)
                break


def _outline(page: Document, cells: Mapping[int, Cell], *, bare: bool) -> tuple[str, list[_Draft]]:
    """The H1's text and a draft for each H2, with its prose, cells and H3s.

    In a bare page, the text before the first H2 is a section too.
    """
    headings = {heading.line: heading for heading in page.headings if not heading.depth}
    fences = {fence.line: fence for fence in page.fences if not fence.depth}
    title, sections = "", []
    current = beginning = _Draft("Steps", 1)
    if bare:
        sections.append(beginning)
    at = page.start
    while at < len(page.lines):
        heading, fence = headings.get(at), fences.get(at)
        level = heading.level if heading else 0
        if at in cells and cells[at].language in ("python", *SHELLS):
            current.cells.append(cells[at])
        elif heading and level == 1 and not (bare and title):
            title = title or heading.title
        elif heading and level <= 2:
            current = _Draft(heading.title, at + 1)
            sections.append(current)
        elif heading and level == 3 and sections:
            current = _Draft(heading.title, at + 1)
            sections[-1].steps.append(current)
        elif at not in page.comments:
            current.prose += page.lines[at : fence.end + 1] if fence else [page.lines[at]]
        at = max(fence.end + 1 if fence else 0, heading.end if heading else 0, at + 1)
    if bare and len(sections) > 1 and not beginning.cells and not beginning.steps:
        sections.remove(beginning)
    return title, sections


def _section(draft: _Draft) -> Section:
    role = ROLES.get(draft.title.lower(), Role.PROSE)
    steps = draft.steps if not draft.cells and draft.steps else [draft, *draft.steps]
    return Section(draft.title, role, draft.line, tuple(_step(step, draft.title, role) for step in steps))


def _step(draft: _Draft, section: str, role: Role) -> Step:
    name = slug(draft.title)
    cells = tuple(
        Cell(f"{name}/{n}", c.source, c.line, c.tags, c.timeout, c.language) for n, c in enumerate(draft.cells, 1)
    )
    expected, prose = _expected(draft.prose)
    return Step(name, draft.title, section, role, prose, draft.line, expected, cells)


def _expected(lines: list[str]) -> tuple[str, str]:
    """The text of the `Expected:` paragraph, and the prose without it."""
    for index, line in enumerate(lines):
        match = _EXPECTED.match(line)
        if match:
            end = next((i for i in range(index, len(lines)) if not lines[i].strip()), len(lines))
            text = " ".join([match[1], *(more.strip() for more in lines[index + 1 : end])]).strip()
            return text, "\n".join(lines[:index] + lines[end:]).strip()
    return "", "\n".join(lines).strip()
