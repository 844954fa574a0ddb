"""The trainee's copy of a page: the same text, with an id on every cell for the kernel.

Jupytext keeps attributes of a fence as the cell's metadata, and JupyterLab sends them with the code. So the kernel
knows the cell even if its code was edited.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from opsbook.core.model.parameter import Parameter, Value, literal
from opsbook.core.model.runbook import Cell, Role, Runbook
from opsbook.core.source import info
from opsbook.core.source.ipynb import INJECTED
from opsbook.core.source.markdown import Fence, document
from opsbook.html import render

ATTRIBUTE = "opsbook"
"""The fence attribute with the cell's id."""

KERNEL = "opsbook"
"""The name of the page's kernel."""

SWITCH = "roll_back"
"""The variable that enables the cells of a Rollback."""

_SWITCH = f"""
```python
# Run All Cells passes this section by. To roll back: write True, run this cell, and then those below.
{SWITCH} = False
```
"""

_TICKS = re.compile(r"^`{3,}", re.MULTILINE)


def written(runbook: Runbook, note: str, values: Mapping[str, Value], secrets: Sequence[str]) -> str:
    """The text of the copy, with `note` at its top. `values` and `secrets` (names) were given, or are defaults."""
    page = document(runbook.source)
    lines: list[str | None] = list(page.lines)
    cells = {cell.line - 2: cell for cell in runbook.cells()}
    for fence in page.fences:
        if fence.line in cells:
            last = min(fence.end, len(lines) - 1)
            lines[fence.line : last + 1] = [_fence(fence, cells[fence.line]), *[None] * (last - fence.line)]
        elif _seen(fence) and fence.line not in page.regions:
            # An example: Jupytext would make a cell of it.
            lines[fence.line] = f"{fence.mark}{info.language(fence.info)} .noeval"
    fences = {fence.line for fence in page.fences}
    examples = {example.line - 1 for step in runbook.all_steps() for example in step.examples}
    for line in examples - fences:
        # No fence for Markdown, but one for Jupytext.
        lines[line] = f"{page.lines[line]} .noeval" if lines[line] is not None else None
    undo = (section for section in runbook.sections if section.role is Role.UNDO)
    behind = {section.line - 1: _SWITCH for section in undo if any(step.cells for step in section.steps)}
    if runbook.parameters_cell is not None:
        source = _injected(runbook.parameters, values, secrets)
        behind[runbook.parameters_cell.line - 2] = f'\n```python tags=["{INJECTED}"]\n{source}\n```'
    numbered = [(number, line) for number, line in enumerate(lines) if line is not None]
    text = [
        f"{line}\n{behind[number]}" if number in behind else line for number, line in numbered if number >= page.start
    ]
    return render("lab.md", kernel=KERNEL, note=note, text="\n".join(text))


def _seen(fence: Fence) -> bool:
    """Whether Jupytext takes the fence for a cell: in backticks at the beginning of a line, in a language it knows."""
    return not fence.depth and not fence.indent and fence.mark[0] == "`" and info.is_cell(fence.info)


def _fence(fence: Fence, cell: Cell) -> str:
    """The cell as Jupytext reads one, wherever its fence is in the page, with its id."""
    known = cell.language in ("python", "bash", "sh")
    ticks = "`" * max([3, *(len(found) + 1 for found in _TICKS.findall(cell.body))])
    opening = f"{ticks}{cell.language if known else 'python'} {_attributes(fence, cell)}"
    apart = "\n" if fence.depth else ""
    return f'{apart}{opening} {ATTRIBUTE}="{cell.id}"\n{cell.body if known else cell.source}\n{ticks}{apart}'


def _attributes(fence: Fence, cell: Cell) -> str:
    """What the author wrote behind the language, or the tags alone where that is for another tool."""
    written = fence.info[len(info.language(fence.info)) :].strip()
    try:
        info.attributes(fence.info)
    except info.NotRead:
        written = "{"
    return f"tags={json.dumps(list(cell.tags))}" if written.startswith("{") else written


def places(runbook: Runbook) -> dict[str, dict[str, Any]]:
    """What the kernel is told about each cell, by its id."""
    kept = runbook.front.shell == "step"
    return {
        cell.id: {
            "cell": cell.id,
            "step": step.id,
            "role": str(step.role),
            "reads": cell.reads,
            "shell": cell.id if kept else "",
        }
        for step in runbook.all_steps()
        for cell in step.cells
    }


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
