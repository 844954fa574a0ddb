"""The trainee's copy of a page: the same text, with an id on every cell for the kernel.

Jupytext keeps attributes of a fence as the cell's metadata, and JupyterLab sends them with the code. So the kernel
knows the cell even if its code was edited.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opsbook.core.model.front import split
from opsbook.core.model.parameter import Parameter, Value, literal
from opsbook.core.model.role import Role
from opsbook.core.model.runbook import Cell, Runbook, Section, Step
from opsbook.core.source.ipynb import INJECTED
from opsbook.core.source.markdown import document

ATTRIBUTE = "opsbook"
"""The fence attribute with the cell's id."""

KERNEL = "opsbook"
"""The name of the page's kernel."""

SWITCH = "roll_back"
"""The variable that enables the cells of a Rollback."""

_FRONT = f"""\
---
jupyter:
  jupytext:
    main_language: python
    split_at_heading: true
  kernelspec:
    display_name: opsbook
    language: python
    name: {KERNEL}
---
"""

_SWITCH = f"""
```python
# Run All Cells passes this section by. To roll back: write True, run this cell, and then those below.
{SWITCH} = False
```
"""

_OPENS = re.compile(r"^`{3,}\s*\w+\b")


def written(runbook: Runbook, note: str, values: Mapping[str, Value], secrets: Sequence[str]) -> str:
    """The text of the copy, with `note` at its top. `values` and `secrets` (names) were given, or are defaults."""
    lines = runbook.source.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    closing = {fence.line: fence.end for fence in document(runbook.source).fences}
    behind: dict[int, str] = {}
    for cell in _cells(runbook):
        opening = cell.line - 2
        if _OPENS.match(lines[opening]):
            lines[opening] = f'{lines[opening].rstrip()} {ATTRIBUTE}="{cell.id}"'
    for section in _undoing(runbook):
        behind[section.line - 1] = _SWITCH
    if runbook.parameters_cell is not None:
        source = _injected(runbook.parameters, values, secrets)
        behind[closing[runbook.parameters_cell.line - 2]] = f'\n```python tags=["{INJECTED}"]\n{source}\n```'
    text = [f"{line}\n{behind[n]}" if n in behind else line for n, line in enumerate(lines)]
    return f"{_FRONT}\n{note}\n\n" + "\n".join(text[split(runbook.source)[1] :])


def places(runbook: Runbook) -> dict[str, dict[str, Any]]:
    """What the kernel is told about each cell, by its id."""
    found = [(step, cell) for step in _steps(runbook) for cell in step.cells]
    return {cell.id: _place(step, cell) for step, cell in found}


def _place(step: Step, cell: Cell) -> dict[str, Any]:
    return {"cell": cell.id, "step": step.id, "role": str(step.role), "reads": cell.reads}


def _steps(runbook: Runbook) -> Iterator[Step]:
    return (step for section in runbook.sections for step in section.steps)


def _cells(runbook: Runbook) -> Iterator[Cell]:
    return (cell for step in _steps(runbook) for cell in step.cells)


def _undoing(runbook: Runbook) -> Iterator[Section]:
    """Rollback sections that have cells."""
    undo = (section for section in runbook.sections if section.role is Role.UNDO)
    return (section for section in undo if any(step.cells for step in section.steps))


def _injected(parameters: Sequence[Parameter], values: Mapping[str, Value], secrets: Sequence[str]) -> str:
    """The cell after the parameters: each given value, and a line to fill in for each missing one."""
    lines = ["# Parameters"]
    for parameter in parameters:
        if parameter.name in values or parameter.name in secrets:
            lines.append(f"{parameter.name} = {literal(parameter, values.get(parameter.name))}")
        else:
            about = " ".join(f"{parameter.kind}: {parameter.description}".split()).rstrip(": ")
            lines.append(f"# {parameter.name} = …   (yours to write: {about})")
    return "\n".join(lines)
