"""Read one document. Jupytext decides what is a cell; the lines decide where everything stands."""

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.core.model.front import split
from opsbook.core.model.runbook import IN_PYTHON, ROLES, SHELLS, Cell, Role, Runbook, Section, Step
from opsbook.core.model.text import one_line, slug
from opsbook.core.source import bare, front, parameters
from opsbook.core.source.fences import fenced, fences, hides, language, without_comments
from opsbook.core.source.problem import Problem

_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_MAGIC = re.compile(r"^%%(\w+).*\n?")
_EXPECTED = re.compile(r"^\**Expected:?\**:?\s*(.*)$")
_MYST = re.compile(r"\{(?:code|raw)")
_BREAKS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""Jupytext and IPython take these for ends of lines; readers of Markdown, opsbook and shells do not."""


_LONGEST = 1e9
"""Seconds. A longer time limit is none, and one that no clock can wait for is a fault in the middle of a run."""


@dataclass
class _Draft:
    """A section or step while its lines are being collected."""

    title: str
    line: int
    prose: list[str] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    steps: list["_Draft"] = field(default_factory=list)


def parse(text: str, shown: str, *, magics: bool = False) -> tuple[Runbook, list[Problem]]:
    """The document whose text this is; `shown` is its path relative to the project.

    `magics`: IPython's own (%%time) may begin a cell, as they do in notebooks that were not written for opsbook.
    """
    matter, problems = front.parse(text, shown)
    block, start = split(text)
    # What stands in a comment is neither a cell nor a heading, whatever Jupytext makes of it.
    lines = without_comments(text.split("\n"), start)
    cells, order, more = _cells(text, lines, shown, magics=magics)
    problems += more + _unclosed(lines, shown)
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
        order=tuple(_ids(order, sections)),
        bare=block is None,
    )
    return runbook, problems + more


def _ids(order: list[int], sections: tuple[Section, ...]) -> Iterator[str]:
    """The id of each cell in the order of the text, from its line; empty for one that never runs."""
    by_line = {cell.line: cell.id for section in sections for step in section.steps for cell in step.cells}
    for line in order:
        yield by_line.get(line, "")


Cells = dict[int, tuple[int, Cell]]
"""Cells by the index of their fence line, each with the index after its closing fence."""


def _cells(text: str, lines: list[str], shown: str, *, magics: bool) -> tuple[Cells, list[int], list[Problem]]:
    """The code cells, the line of every cell that Jupytext sees (0 for one that no reader does), and problems."""
    found: Cells = {}
    order: list[int] = []
    problems: list[Problem] = []
    at = split(text)[1]
    written = text.split("\n")
    left = deque(fences(lines, at))
    # Without the front matter: Jupytext gives up on a broken one, and its problems are found elsewhere.
    try:
        nodes = _nodes(written[at:])
    except (RecursionError, MemoryError):
        raise
    except Exception as error:
        # Attributes of a cell that Jupytext or nbformat did not expect can raise anything there.
        return {}, [], [_unread(written, at, error, shown)]
    visible = fenced(written, at)
    for node in nodes:
        if node.cell_type != "code":
            continue
        place = _locate(node.source, written, lines, left)
        if place is None:
            order.append(0)
            continue
        opening, after = place
        cell = _cell(node, opening + 2, magics=magics)
        if visible.get(opening) not in (_stripped(cell.source), _stripped(cell.body)):
            problems.append(_unseen(opening, shown))
            order.append(0)
            continue
        order.append(cell.line)
        problems += _cell_problems(node, cell, shown, opening + 1)
        found[opening] = (after, cell)
    return found, order, problems


def _unseen(opening: int, shown: str) -> Problem:
    """What Jupyter would run is code for a reader of Markdown too, from the same line on."""
    text = "a cell for Jupyter, but not for a reader of Markdown: it is part of something else, or of what is above it"
    return Problem(shown, opening + 1, 1, "D010", text)


def _nodes(lines: Sequence[str]) -> list[Any]:
    """What Jupytext makes of these lines. Raises whatever it does."""
    import jupytext

    text = "\n".join(lines)
    # Jupytext would end a line where no reader sees an end, and so find cells that nobody else finds.
    unused = (sign for sign in map(chr, range(0xF0000, 0xFFFFE)) if sign not in text)
    hidden = {ord(sign): stand_in for sign, stand_in in zip(_BREAKS, unused, strict=False)}
    shown = {ord(stand_in): chr(sign) for sign, stand_in in hidden.items()}
    # Jupytext looks for MyST's cells by parsing the whole page, which takes as long as reading it.
    form = "md" if _MYST.search(text) else "md:markdown"
    nodes: list[Any] = jupytext.reads(IN_PYTHON + text.translate(hidden), fmt=form).cells
    for node in nodes:
        node.source = node.source.translate(shown)
    return nodes


def _unread(lines: list[str], at: int, error: Exception, shown: str) -> Problem:
    """The problem of the first line with which Jupytext cannot read the page."""

    def fails(end: int) -> bool:
        try:
            _nodes(lines[at:end])
        except Exception:
            return True
        return False

    line = bisect_left(range(len(lines) + 1), True, lo=at + 1, hi=len(lines), key=fails)
    text = f"Jupytext cannot read the attributes of a cell: {one_line(str(error).partition(chr(10))[0])}"
    return Problem(shown, line, 1, "D002", text)


def _locate(
    source: str, written: list[str], lines: list[str], left: "deque[tuple[int, int]]"
) -> tuple[int, int] | None:
    """Where the fence of this cell opens, and the line after it closes: takes it, and those before it, from `left`.

    None for a cell that only Jupytext sees: in a comment, or in a fence of tildes.
    """
    magic = _MAGIC.match(source)
    body = _stripped(source)
    wanted = {"python": body} | ({magic[1]: _stripped(source[magic.end() :])} if magic else {})
    exact = (i for i, place in enumerate(left) if _inner(lines, place) == wanted.get(language(lines[place[0]])))
    found = next(exact, None)
    if found is None:
        seen = [place for place in fences(lines, 0) if language(lines[place[0]]) in wanted]
        if any(hides(text, written, seen) for text in wanted.values()):
            return None
        found = 0
    for _ in range(found):
        left.popleft()
    opening, closing = left.popleft() if left else (len(lines) - 1, len(lines) - 1)
    return opening, closing + 1


def _stripped(source: str) -> list[str]:
    return [line.strip() for line in source.strip("\n").split("\n")]


def _inner(lines: list[str], place: tuple[int, int]) -> list[str]:
    """What stands in a fence."""
    return _stripped("\n".join(lines[place[0] + 1 : place[1]]))


def _unclosed(lines: list[str], shown: str) -> list[Problem]:
    return [
        Problem(shown, opening + 1, 1, "D001", "this fence is never closed; everything below it is swallowed")
        for opening, closing in fences(lines, 0)
        if closing == len(lines)
    ]


def _homeless(cell: Cell, shown: str) -> Problem:
    return Problem(shown, cell.line, 1, "S002", "a cell before the first ## heading never runs; move it into a section")


def _cell(node: Any, line: int, *, magics: bool) -> Cell:
    magic = _MAGIC.match(node.source)
    if magic and magics and magic[1] not in SHELLS:
        magic = None
    return Cell(
        id="",
        source=node.source,
        line=line,
        tags=tuple(node.metadata.get("tags", ())),
        timeout=_seconds(node.metadata.get("timeout")),
        language=magic[1] if magic else "python",
    )


def _seconds(value: object) -> float | None:
    """A number as one that a clock can have; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LONGEST:
        return None
    return float(value)


def _cell_problems(node: Any, cell: Cell, shown: str, line: int) -> list[Problem]:
    problems = []
    if "incorrectly_encoded_metadata" in node.metadata:
        text = 'the tags in braces are lost; write ```python tags=["parameters"]'
        problems.append(Problem(shown, line, 1, "D002", text))
    timeout = node.metadata.get("timeout")
    if timeout is not None and (cell.timeout is None or cell.timeout <= 0):
        text = f"timeout={one_line(repr(timeout), 40)} is not a number of seconds"
        problems.append(Problem(shown, line, 1, "D003", text))
    if cell.language not in ("python", *SHELLS):
        text = f"a {cell.language} cell cannot run here; use bash or python, or a console fence"
        problems.append(Problem(shown, line, 1, "D004", text))
    return [*problems, *_hidden_ends(cell, shown)]


def _hidden_ends(cell: Cell, shown: str) -> Iterator[Problem]:
    """D009: IPython would run as a line of its own what a reader sees as part of a comment."""
    for number, line in enumerate(cell.source.split("\n"), cell.line - (cell.language != "python")):
        for column, sign in enumerate(line, 1):
            if sign in _BREAKS:
                text = f"code holds U+{ord(sign):04X}, which some programs take for the end of a line; remove it"
                yield Problem(shown, number, column, "D009", text)
                break


def _outline(lines: list[str], at: int, cells: dict[int, tuple[int, Cell]], *, bare: bool) -> tuple[str, list[_Draft]]:
    """The H1's text and a draft for each H2, with its prose, cells and H3s.

    In a bare page, what stands before the first H2 is a section too.
    """
    title, sections = "", []
    current = beginning = _Draft("Steps", 1)
    if bare:
        sections.append(beginning)
    plain = {opening: closing for opening, closing in fences(lines, at) if opening not in cells}
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
