"""Read one document. Jupytext decides what is a cell; the lines decide where everything stands."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.model.front import split
from opsbook.model.runbook import IN_PYTHON, ROLES, SHELLS, Cell, Role, Runbook, Section, Step
from opsbook.model.text import slug
from opsbook.source import bare, front, parameters
from opsbook.source.problem import Problem

_FENCE = re.compile(r"^(`{3,}(?=[^`]*$)|~{3,})\s*([\w+#-]*)(.*)$")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_MAGIC = re.compile(r"^%%(\w+).*\n?")
_EXPECTED = re.compile(r"^\**Expected:?\**:?\s*(.*)$")


@dataclass
class _Draft:
    """A section or step while its lines are being collected."""

    title: str
    line: int
    prose: list[str] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    steps: list["_Draft"] = field(default_factory=list)


def parse(text: str, shown: str) -> tuple[Runbook, list[Problem]]:
    """The document whose text this is; `shown` is its path relative to the project."""
    matter, problems = front.parse(text, shown)
    lines = text.split("\n")
    cells, more = _cells(text, lines, shown)
    problems += more + _unclosed(lines, shown)
    block, start = split(text)
    title, drafts = _outline(lines, start, cells, bare=block is None)
    first = drafts[0].line if drafts else len(lines) + 1
    problems += [_homeless(cell, shown) for _, cell in cells.values() if cell.line < first]
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
        order=tuple(_ids(cells, sections)),
        bare=block is None,
    )
    return runbook, problems + more


def _ids(cells: dict[int, tuple[int, Cell]], sections: tuple[Section, ...]) -> Iterator[str]:
    """The id of each cell in the order of the text; empty for one outside of every section."""
    by_line = {cell.line: cell.id for section in sections for step in section.steps for cell in step.cells}
    for _, (_, cell) in sorted(cells.items()):
        yield by_line.get(cell.line, "")


def _cells(text: str, lines: list[str], shown: str) -> tuple[dict[int, tuple[int, Cell]], list[Problem]]:
    """Code cells by the index of their fence line, each with the index after its closing fence."""
    import jupytext

    found: dict[int, tuple[int, Cell]] = {}
    problems: list[Problem] = []
    at = split(text)[1]
    fences = deque(_fences(lines, at))
    # Without the front matter: Jupytext gives up on a broken one, and its problems are found elsewhere.
    for node in jupytext.reads(IN_PYTHON + "\n".join(lines[at:]), fmt="md").cells:
        if node.cell_type != "code":
            continue
        opening, after = _locate(node.source, lines, fences)
        cell = _cell(node, opening + 2)
        problems += _cell_problems(node, cell, shown, opening + 1)
        found[opening] = (after, cell)
    return found, problems


def _locate(source: str, lines: list[str], fences: "deque[tuple[int, int]]") -> tuple[int, int]:
    """Where the fence of this cell opens, and the line after it closes. Takes it and those before it from `fences`."""
    body = [line.strip() for line in _MAGIC.sub("", source, count=1).strip("\n").split("\n")]
    magic = _MAGIC.match(source)
    language = magic[1] if magic else "python"
    first = None
    for index, (opening, closing) in enumerate(fences):
        if _language(lines[opening]) != language:
            continue
        first = index if first is None else first
        inner = "\n".join(lines[opening + 1 : closing]).strip("\n").split("\n")
        if [line.strip() for line in inner] == body:
            first = index
            break
    for _ in range(first or 0):
        fences.popleft()
    opening, closing = fences.popleft() if fences else (len(lines) - 1, len(lines) - 1)
    return opening, closing + 1


def _language(fence: str) -> str:
    match = _FENCE.match(fence)
    return match[2] if match else ""


def _fences(lines: list[str], at: int) -> "list[tuple[int, int]]":
    """Opening and closing line indices of every fence at column 0 from `at` on."""
    found = []
    while at < len(lines):
        match = _FENCE.match(lines[at])
        if match is None:
            at += 1
            continue
        closing = _closing(lines, at, match[1])
        found.append((at, closing))
        at = closing + 1
    return found


def _closing(lines: list[str], opening: int, ticks: str) -> int:
    for index in range(opening + 1, len(lines)):
        line = lines[index].rstrip()
        if len(line) >= len(ticks) and line == ticks[0] * len(line):
            return index
    return len(lines)


def _unclosed(lines: list[str], shown: str) -> list[Problem]:
    return [
        Problem(shown, opening + 1, 1, "D001", "this fence is never closed; everything below it is swallowed")
        for opening, closing in _fences(lines, 0)
        if closing == len(lines)
    ]


def _homeless(cell: Cell, shown: str) -> Problem:
    return Problem(shown, cell.line, 1, "S002", "a cell before the first ## heading never runs; move it into a section")


def _cell(node: Any, line: int) -> Cell:
    magic = _MAGIC.match(node.source)
    timeout = node.metadata.get("timeout")
    return Cell(
        id="",
        source=node.source,
        line=line,
        tags=tuple(node.metadata.get("tags", ())),
        timeout=float(timeout) if isinstance(timeout, int | float) and not isinstance(timeout, bool) else None,
        language=magic[1] if magic else "python",
    )


def _cell_problems(node: Any, cell: Cell, shown: str, line: int) -> list[Problem]:
    problems = []
    if "incorrectly_encoded_metadata" in node.metadata:
        text = 'the tags in braces are lost; write ```python tags=["parameters"]'
        problems.append(Problem(shown, line, 1, "D002", text))
    timeout = node.metadata.get("timeout")
    if timeout is not None and (cell.timeout is None or cell.timeout <= 0):
        problems.append(Problem(shown, line, 1, "D003", f"timeout={timeout!r} is not a number of seconds"))
    if cell.language not in ("python", *SHELLS):
        text = f"a {cell.language} cell cannot run here; use bash or python, or a console fence"
        problems.append(Problem(shown, line, 1, "D004", text))
    return problems


def _outline(lines: list[str], at: int, cells: dict[int, tuple[int, Cell]], *, bare: bool) -> tuple[str, list[_Draft]]:
    """The H1's text and a draft for each H2, with its prose, cells and H3s.

    In a bare page, what stands before the first H2 is a section too.
    """
    title, sections = "", []
    current = beginning = _Draft("Steps", 1)
    if bare:
        sections.append(beginning)
    plain = {opening: closing for opening, closing in _fences(lines, at) if opening not in cells}
    while at < len(lines):
        if at in cells:
            after, cell = cells[at]
            if cell.language in ("python", *SHELLS):
                current.cells.append(cell)
            else:
                current.prose += lines[at:after]
            at = after
            continue
        if at in plain:
            current.prose += lines[at : plain[at] + 1]
            at = plain[at] + 1
            continue
        heading = _HEADING.match(lines[at])
        level = len(heading[1]) if heading else 0
        if heading and level == 1 and not (bare and title):
            title = title or heading[2]
        elif heading and level <= 2:
            current = _Draft(heading[2], at + 1)
            sections.append(current)
        elif heading and level == 3 and sections:
            current = _Draft(heading[2], at + 1)
            sections[-1].steps.append(current)
        else:
            current.prose.append(lines[at])
        at += 1
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
