"""runbook.ipynb: the page that ran, with its outputs and honest statuses, derived from the events.

The metadata follow papermill's conventions, so that tools that read papermill's notebooks read ours.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from opsbook.core.model.event import Event
from opsbook.core.model.front import split
from opsbook.core.model.runbook import IN_PYTHON, Runbook

INJECTED = "injected-parameters"
"""Id in the journal of the cell that holds the parameters' values."""

_NOT_RUN = "This cell did not run."


@dataclass
class _Ran:
    """What the journal says of one cell."""

    status: str = "pending"
    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    count: int | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)
    displays: dict[str, dict[str, Any]] = field(default_factory=dict)


def build(runbook: Runbook, events: list[Event], summary: dict[str, Any]) -> bytes:
    """The notebook's JSON (nbformat 4.5)."""
    import jupytext
    import nbformat

    ran = _replay(events)
    lines = runbook.source.split("\n")
    start = split(runbook.source)[1]
    book = jupytext.reads(IN_PYTHON + "\n".join(lines[start:]), fmt="md")
    if start:
        book.cells.insert(0, nbformat.v4.new_raw_cell("\n".join(lines[:start])))
    order = iter(runbook.order)
    injected = _values(events)
    out: list[Any] = []
    for node in book.cells:
        if node.cell_type != "code":
            out.append(node)
            continue
        cell = next(order, "")
        out.append(_fill(node, ran.get(cell, _Ran())))
        if runbook.parameters_cell is not None and cell == runbook.parameters_cell.id and injected is not None:
            out.append(_fill(_injected(injected), ran.get(INJECTED, _Ran())))
    book.cells = out
    book.metadata["papermill"] = _metadata(summary)
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book.nbformat, book.nbformat_minor = 4, 5
    nbformat.validate(book)
    return (json.dumps(book, indent=1, ensure_ascii=False) + "\n").encode()


def replaying(executed: str, runbook: Runbook, recording: str) -> bytes:
    """An executed notebook that can be run again: its first cell has every effect answered from a recording.

    Cells that did not run are left out; one that failed is expected to. nbval compares what they print.
    """
    import nbformat

    book = nbformat.reads(executed, as_version=4)
    cells = {cell.id: cell for step in runbook.steps() for cell in step.cells}
    order, kept = iter(runbook.order), []
    for node in book.cells:
        if node.cell_type == "code":
            injected = INJECTED in node.metadata.get("tags", [])
            cell = None if injected else cells.get(next(order, ""))
            status = node.metadata.get("papermill", {}).get("status")
            if status not in ("completed", "failed"):
                continue
            node.source = node.source if cell is None else runbook.code(cell)
            node.metadata = {"tags": ["raises-exception"]} if status == "failed" else {}
        kept.append(node)
    first = f"from opsbook import replay\n\nreplay({recording!r})"
    book.cells = [nbformat.v4.new_code_cell(first, id="replay"), *kept]
    nbformat.validate(book)
    return (json.dumps(book, indent=1, ensure_ascii=False) + "\n").encode()


def fill(cells: dict[str, Any], events: list[Event]) -> None:
    """Give code cells (nbformat nodes by their ids in the journal) their outputs and statuses."""
    ran, values = _replay(events), _values(events)
    for name, node in cells.items():
        if name == INJECTED and values is not None:
            node.source = values
        _fill(node, ran.get(name, _Ran()))


def _values(events: list[Event]) -> str | None:
    """The source of the cell with the parameters' values."""
    return next((e.data["source"] for e in events if e.type == "parameters-injected"), None)


def _injected(source: str) -> Any:
    import nbformat.v4

    return nbformat.v4.new_code_cell(source, metadata={"tags": [INJECTED]})


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


def _fill(node: Any, ran: _Ran) -> Any:
    import nbformat

    node.execution_count = ran.count
    outputs = ran.outputs or ([_stream("stderr", _NOT_RUN + "\n")] if ran.status == "pending" else [])
    node.outputs = [nbformat.from_dict(output) for output in outputs]
    node.metadata["papermill"] = {
        "status": ran.status,
        "exception": ran.status == "failed",
        "start_time": ran.started,
        "end_time": ran.ended,
        "duration": ran.seconds,
        "tags": node.metadata.get("tags", []),
    }
    return node


def _replay(events: list[Event]) -> dict[str, _Ran]:
    cells: dict[str, _Ran] = {}
    for event in events:
        data = event.data
        match event.type:
            case "cell-started":
                cells[data["cell"]] = _Ran(status="running", started=event.time)
            case "output" if data.get("cell") in cells:
                _add(cells[data["cell"]], data["output"])
            case "cell-finished" if data["cell"] in cells:
                cell = cells[data["cell"]]
                cell.status, cell.ended = _STATUS.get(data["status"], "failed"), event.time
                cell.seconds, cell.count = data["seconds"], data.get("count")
                if data.get("tail"):
                    _add(cell, _stream("stdout", data["tail"]))
    for cell in cells.values():
        if cell.status == "running":
            cell.status = "failed"
            _add(cell, _stream("stderr", "The run ended while this cell ran; what it did last is unknown.\n"))
    return cells


_STATUS = {"succeeded": "completed"}


def _add(cell: _Ran, output: dict[str, Any]) -> None:
    kind = output["output_type"]
    last = cell.outputs[-1] if cell.outputs else None
    if kind == "clear_output":
        cell.outputs.clear()
    elif kind == "update_display_data":
        cell.displays.get(output["display_id"], {}).update(data=output["data"], metadata=output["metadata"])
    elif kind == "stream" and last and last["output_type"] == "stream" and last["name"] == output["name"]:
        last["text"] += output["text"]
    else:
        shown = {key: value for key, value in output.items() if key != "display_id"}
        cell.outputs.append(shown)
        if output.get("display_id"):
            cell.displays[output["display_id"]] = shown


def _stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}
