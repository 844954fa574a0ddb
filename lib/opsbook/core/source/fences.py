"""Which fences of a page run, and which are examples: every fence, wherever CommonMark or the site puts it (ADR 25).

A shell or Python fence is a cell. An example is a command that a reader sees and no run executes: a session with its
prompts, a language that cannot run here, one of several tabs. What is no command (yaml, json, text) is neither.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsbook.core.model.runbook import SHELLS, Cell, Example
from opsbook.core.model.text import one_line
from opsbook.core.source import info
from opsbook.core.source.markdown import Document, Fence
from opsbook.core.source.problem import Problem

_MAGIC = re.compile(r"^%%(\w+).*\n?")
_JUPYTER = re.compile(r"^(```+)\s*(.*)$")
_BREAKS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""Jupytext and IPython end lines at these characters; Markdown, opsbook and shells do not."""

_LONGEST = 1e9
"""Seconds. A longer timeout is rejected: a run that used one too large for the clock would fail halfway."""

_PROMPT = re.compile(r"(?:\$|\[?[\w.-]+@[\w.-]+[^\n$#>]*[$#>])[ \t]+\S")
"""The first line of a session that was copied from a terminal."""


@dataclass(frozen=True)
class Fences:
    """The cells and the examples of a page by the line of their fence (from 0), and problems of fences."""

    cells: dict[int, Cell] = field(default_factory=dict)
    examples: dict[int, Example] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def found(page: Document, shown: str, *, bare: bool, magics: bool) -> Fences:
    """What each fence of a page is. `bare`: it was not written for opsbook; `magics` as in notebook.parse()."""
    text = "this fence is never closed; everything below it is swallowed"
    unclosed = [fence.line + 1 for fence in page.fences if not fence.closed]
    fences = Fences(problems=[Problem(shown, line, 1, "D001", text) for line in unclosed])
    for line, language, problem in _unseen(page, shown):
        fences.problems.append(problem)
        fences.examples[line] = Example(line + 1, language, "it is part of what is above it")
    for fence in page.fences:
        language = info.language(fence.info)
        # In a notebook, a cell in another language begins with IPython's magic for it.
        runs = language if language == "python" else info.SHELLS.get(language.lower(), "")
        runs = runs or (language if magics and info.is_cell(fence.info) else "")
        why = _why_not(page, fence) if runs else _other(fence, language)
        if why:
            fences.examples[fence.line] = Example(fence.line + 1, language, why)
            fences.problems.extend(_left_out(fence, language, why, shown))
        elif runs:
            cell, problems = _read(fence, runs, shown, bare=bare, magics=magics)
            fences.cells[fence.line] = cell
            fences.problems.extend(problems)
    return fences


PROMPT, TABS = "it begins with a prompt", "it is one of several tabs"
OTHER = "its language cannot run here"
"""Why a fence is an example that its author may have meant to run; a finding says so."""


def _why_not(page: Document, fence: Fence) -> str:
    """Why a fence in a language that runs is an example all the same; empty if it is a cell."""
    if fence.line in page.regions or info.TEXT.search(fence.info):
        return "it is marked as text"
    if fence.alternative:
        return TABS
    lines = (line.strip() for line in fence.code.split("\n"))
    first = next((line for line in lines if line and not line.startswith("#")), "")
    shell = info.language(fence.info) != "python"
    return PROMPT if shell and _PROMPT.match(first) else ""


def _other(fence: Fence, language: str) -> str:
    """Why a fence in another language is an example; empty if it is no command."""
    if not language:
        return "it names no language"
    if language.lower() in info.SESSIONS:
        return "it shows a session"
    return OTHER if info.is_cell(fence.info) or language.lower() in info.OTHER_SHELLS else ""


def _left_out(fence: Fence, language: str, why: str, shown: str) -> Iterator[Problem]:
    """Findings about examples that their author may have meant to run."""
    line = fence.line + 1
    if why == TABS:
        text = "tabs are alternatives, and a run cannot choose; give each a step of its own, or use console fences"
        yield Problem(shown, line, 1, "D011", text)
    elif why == PROMPT:
        text = "this fence begins with a prompt, so it does not run; remove the prompts, or call it console"
        yield Problem(shown, line, 1, "C009", text, warning=True)
    elif why == OTHER:
        yield _other_language(language, shown, line)


def _other_language(language: str, shown: str, line: int) -> Problem:
    text = f"a {language} cell cannot run here; use bash, sh, zsh or python, or a console fence"
    return Problem(shown, line, 1, "D004", text)


def _read(fence: Fence, language: str, shown: str, *, bare: bool, magics: bool) -> tuple[Cell, list[Problem]]:
    """The cell of a fence, and what is wrong with its attributes and its code."""
    problems = []
    attributes: Mapping[str, Any] = {}
    try:
        attributes = info.attributes(fence.info)
    except info.NotRead as error:
        # In a page that was not written for opsbook, they are another tool's.
        problems += [] if bare else [Problem(shown, fence.line + 1, 1, "D002", str(error))]
    cell = _cell(fence, language, attributes, magics=magics)
    return cell, [*problems, *_cell_problems(attributes, cell, shown, fence.line + 1)]


def _cell(fence: Fence, language: str, attributes: Mapping[str, Any], *, magics: bool) -> Cell:
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
        problems.append(_other_language(cell.language, shown, line))
    return [*problems, *_hidden_ends(cell, shown)]


def _hidden_ends(cell: Cell, shown: str) -> Iterator[Problem]:
    """D009: IPython would run the rest of such a line as a separate line, where readers see part of a comment."""
    for number, line in enumerate(cell.source.split("\n"), cell.line - (cell.language != "python")):
        for column, sign in enumerate(line, 1):
            if sign in _BREAKS:
                text = f"code holds U+{ord(sign):04X}, which some programs take for the end of a line; remove it"
                yield Problem(shown, number, column, "D009", text)
                break


def _unseen(page: Document, shown: str) -> Iterator[tuple[int, str, Problem]]:
    """D010: a line that looks like the beginning of a cell, and is inside of something else; with its language."""
    around = {line: fence for fence in page.fences for line in range(fence.line + 1, fence.end)}
    opening = {fence.line for fence in page.fences}
    quiet = page.comments.union(page.regions, opening)
    for line in range(page.start, len(page.lines)):
        opens = _JUPYTER.match(page.lines[line]) if line not in quiet else None
        if opens is None or not info.is_cell(opens[2]):
            continue
        fence = around.get(line)
        if fence is None:
            text = "no fence for a reader of Markdown: it is part of the HTML above it; put an empty line before it"
        elif fence.mark[0] == "`" and len(fence.mark) <= len(opens[1]):
            text = f"this line is inside the fence of line {fence.line + 1}; close that one, or give it more backticks"
        else:
            continue
        yield line, info.language(opens[2]), Problem(shown, line + 1, 1, "D010", text)
