"""Types and helpers that every rule uses."""

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from opsbook.core.model.runbook import Cell, Runbook, Step
from opsbook.core.source import names
from opsbook.core.source.problem import Problem
from opsbook.core.source.prompts import Prompt


@dataclass(frozen=True)
class Alert:
    """An alert of a Prometheus rule file. `url` is its runbook_url, on `line` of `path`."""

    name: str
    path: str
    line: int
    url: str | None = None


@dataclass(frozen=True)
class Known:
    """What exists besides the document, as far as it was collected.

    `documents` are names; `alerts` is None without alert rules, or if some cannot be read; `exists` tells whether a
    path below the project exists, and is None if links are not checked; `anchors` returns those of a page, by its path;
    `prompts` returns those of a playbook, by name.
    """

    playbooks: frozenset[str]
    documents: frozenset[str] = frozenset()
    alerts: frozenset[str] | None = None
    exists: Callable[[str], bool] | None = None
    today: datetime.date | None = None
    prompts: Callable[[str], tuple[Prompt, ...]] | None = None
    anchors: Callable[[str], Mapping[str, str] | None] | None = None


Found = Iterator[Problem]
Check = Callable[[Runbook, Known], Found]


def at(runbook: Runbook, line: int, code: str, text: str, *, column: int = 1, warning: bool = False) -> Problem:
    """A problem of this document."""
    return Problem(str(runbook.path), line, column, code, text, warning)


def cells(runbook: Runbook) -> Iterator[tuple[Step, Cell]]:
    """Every cell with its step, in document order."""
    return ((step, cell) for step in runbook.all_steps() for cell in step.cells)


def calls(runbook: Runbook) -> Iterator[tuple[Step, names.Call]]:
    """Every call of a Python cell with its step."""
    for step, cell in cells(runbook):
        yield from ((step, call) for call in names.calls(cell))


def front_line(runbook: Runbook, key: str) -> int:
    """The line of this key of the front matter; 1 if it is not there."""
    lines = enumerate(runbook.source.split("\n"), 1)
    return next((number for number, text in lines if text.startswith(f"{key}:")), 1)
