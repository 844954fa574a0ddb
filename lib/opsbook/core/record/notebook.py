"""runbook.ipynb: the page that ran, with its outputs and real statuses, derived from the events.

The metadata follow papermill's conventions: tools that read papermill's notebooks read these too.
"""

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opsbook.core.model.event import Event
from opsbook.core.model.events import CellFinished, CellStarted, Output, ParametersInjected, read
from opsbook.core.model.lines import overwritten
from opsbook.core.model.outcome import NOT_REACHED
from opsbook.core.model.runbook import Cell, Runbook
from opsbook.core.model.text import duration, one_line
from opsbook.core.record.page import span
from opsbook.core.source.ipynb import INJECTED, injected
from opsbook.core.source.markdown import Document, document

Node = dict[str, Any]
"""A cell of a notebook."""

_NOT_RUN = {
    "output_type": "display_data",
    "data": {"text/plain": "This cell did not run.", "text/markdown": "*This cell did not run.*"},
    "metadata": {},
}

_LONGEST = 1000
"""Characters of the reason of the outcome in the first cell."""


@dataclass
class _Ran:
    """What the journal says about one cell."""

    status: str = "pending"
    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    count: int | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)


def build(runbook: Runbook, events: Sequence[Event], summary: dict[str, Any]) -> bytes:
    """The notebook's JSON (nbformat 4.5)."""
    ran, injected = _replay(events), _values(events)
    page = document(runbook.source)
    cells = [_node("markdown", _head(summary))]
    cells += [_node("raw", "\n".join(page.lines[: page.start]))] if page.start else []
    for cell, text in _parts(page, runbook):
        if cell is None:
            cells.append(_node("markdown", text))
            continue
        cells.append(_fill(_code(cell.source, cell.tags), ran.get(cell.id, _Ran())))
        if runbook.parameters_cell is not None and cell.id == runbook.parameters_cell.id and injected is not None:
            cells.append(_fill(_code(injected, (INJECTED,)), ran.get(INJECTED, _Ran())))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return _written(cells, {"papermill": _metadata(summary), "kernelspec": kernel})


def _head(told: dict[str, Any]) -> str:
    """What became of the run: the first thing a reader wants to know. Text of people is shown as it is."""
    by = ", then ".join(told["operators"])
    took = f" ({duration(told['seconds'])})" if told["seconds"] is not None else ""
    lines = [
        f"**{told['outcome']}**: {_escaped(told['reason'])}",
        f"{_escaped(told['run'])} in {_escaped(told['environment'])} by {_escaped(by)}",
        f"{span(told['started'], told['ended'])}{took}",
    ]
    lines += [f"From commit {told['commit']}"] if told["commit"] else []
    if left := [_escaped(step["title"]) for step in told["steps"] if step["status"] == NOT_REACHED]:
        lines.append(f"Not reached: {', '.join(left)}")
    return "  \n".join(lines)


def _escaped(text: object) -> str:
    return re.sub(r"([\\`*_\[\]<>&$#|~])", r"\\\1", one_line(str(text or "—"), _LONGEST))


def _node(kind: str, source: str) -> Node:
    return {"cell_type": kind, "metadata": {}, "source": source}


def _code(source: str, tags: Sequence[str] = ()) -> Node:
    node = _node("code", source) | {"execution_count": None, "outputs": []}
    return node | {"metadata": {"tags": list(tags)} if tags else {}}


def _written(cells: list[Node], metadata: Node) -> bytes:
    """A notebook as JSON. A cell's id is its position, so the same record always gives the same notebook."""
    numbered = [cell if "id" in cell else {"id": f"cell-{number}", **cell} for number, cell in enumerate(cells, 1)]
    book = {"cells": numbered, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(book, indent=1, ensure_ascii=False) + "\n").encode()


def _parts(page: Document, runbook: Runbook) -> Iterator[tuple[Cell | None, str]]:
    """The page after its front matter: its cells, and the text between them."""
    ends = {fence.line + 2: fence.end + 1 for fence in page.fences}
    at = page.start
    for cell in _by_line(runbook):
        yield from _text(page, at, cell.line - 2)
        yield cell, ""
        at = ends[cell.line]
    yield from _text(page, at, len(page.lines))


def _text(page: Document, start: int, end: int) -> Iterator[tuple[None, str]]:
    if text := "\n".join(page.lines[start:end]).strip("\n"):
        yield None, text


def _by_line(runbook: Runbook) -> list[Cell]:
    """Every cell in the order of the text."""
    return sorted(runbook.cells(), key=lambda cell: cell.line)


def ids(nodes: Iterable[Node], runbook: Runbook) -> Iterator[str]:
    """For each code cell of a notebook, the id of the matching cell of the page; empty if the page has none."""
    left = deque(_by_line(runbook))
    for node in nodes:
        wanted = node["source"].strip()
        passed = next((at for at, cell in enumerate(left) if cell.source.strip() == wanted), None)
        for _ in range(passed or 0):
            left.popleft()
        yield "" if passed is None else left.popleft().id


def replaying(executed: str, runbook: Runbook, recording: str) -> bytes:
    """An executed notebook made repeatable: its first cell replays every effect from a recording.

    Cells that did not run are left out; a failed cell is expected to fail again. nbval compares their output.
    """
    book = json.loads(executed)
    cells = {cell.id: cell for step in runbook.steps() for cell in step.cells}
    own = [node for node in book["cells"] if node["cell_type"] == "code" and not injected(node)]
    named = {node["id"]: name for node, name in zip(own, ids(own, runbook), strict=True)}
    kept = [_code(f"from opsbook import replay\n\nreplay({recording!r})") | {"id": "replay"}]
    for node in book["cells"]:
        if node["cell_type"] == "code":
            status = node["metadata"].get("papermill", {}).get("status")
            if status not in ("completed", "failed"):
                continue
            if cell := cells.get(named.get(node["id"], "")):
                node["source"] = runbook.code(cell)
            node["metadata"] = {"tags": ["raises-exception"]} if status == "failed" else {}
        kept.append(node)
    return _written(kept, book["metadata"])


def fill(cells: Iterable[tuple[str, Node]], events: Sequence[Event]) -> None:
    """Give code cells (nbformat nodes after their ids in the journal) their outputs and statuses."""
    ran, values = _replay(events), _values(events)
    for name, node in cells:
        if name == INJECTED and values is not None:
            node["source"] = values
        _fill(node, ran.get(name, _Ran()))


def _values(events: Sequence[Event]) -> str | None:
    """The source of the cell with the parameters' values."""
    facts = map(read, events)
    return next((fact.source for fact in facts if isinstance(fact, ParametersInjected)), None)


def _metadata(summary: dict[str, Any]) -> dict[str, Any]:
    return {
        "start_time": summary["started"],
        "end_time": summary["ended"],
        "duration": summary["seconds"],
        "exception": summary["outcome"] != "succeeded",
        "outcome": summary["outcome"],
        "parameters": summary["parameters"] or {},
        "environment_variables": {},
        "input_path": f"{summary['runbook']}.md",
        "output_path": "runbook.ipynb",
        "version": "opsbook",
    }


def _fill(node: Node, ran: _Ran) -> Node:
    node["execution_count"] = ran.count
    node["outputs"] = ran.outputs or ([_NOT_RUN] if ran.status == "pending" else [])
    node["metadata"]["papermill"] = {
        "status": ran.status,
        "exception": ran.status == "failed",
        "start_time": ran.started,
        "end_time": ran.ended,
        "duration": ran.seconds,
        "tags": node["metadata"].get("tags", []),
    }
    return node


def _replay(events: Sequence[Event]) -> dict[str, _Ran]:
    cells: dict[str, _Ran] = {}
    displays: _Displays = {}
    for event in events:
        match read(event):
            case CellStarted(cell=name):
                cells[name] = _Ran(status="running", started=event.time)
            case Output(cell=name, output=output) if name in cells:
                _add(cells[name], dict(output), displays)
            case CellFinished(cell=name) as end if name in cells:
                cell = cells[name]
                cell.status, cell.ended = "completed" if end.status == "succeeded" else "failed", event.time
                cell.seconds, cell.count = end.seconds, end.count
                if end.tail:
                    _add(cell, _stream("stdout", end.tail), displays)
    for cell in cells.values():
        if cell.status == "running":
            cell.status = "failed"
            unknown = "The run ended while this cell ran; what it did last is unknown.\n"
            _add(cell, _stream("stderr", unknown), displays)
        for output in cell.outputs:
            if output["output_type"] == "stream":
                output["text"] = overwritten(output["text"])
    return cells


_Displays = dict[str, list[dict[str, Any]]]
"""By display id, the outputs of all cells that show it."""


def _add(cell: _Ran, output: dict[str, Any], displays: _Displays) -> None:
    kind, shows = output["output_type"], output.pop("display_id", None)
    for shown in displays.get(shows, []):
        shown.update(data=output["data"], metadata=output["metadata"])
    last = cell.outputs[-1] if cell.outputs else None
    if kind == "clear_output":
        cell.outputs.clear()
    elif kind == "stream" and last and last["output_type"] == "stream" and last["name"] == output["name"]:
        last["text"] += output["text"]
    elif kind != "update_display_data":
        cell.outputs.append(output)
        if shows:
            displays.setdefault(shows, []).append(output)


def _stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}
