"""One side of a comparison of two records: its plan, its effects and its output."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opsbook.core.model.attempts import Attempt, attempts
from opsbook.core.model.event import Event
from opsbook.core.model.events import CellFinished, CellStarted, EffectResult, Output
from opsbook.core.model.events import read as usable
from opsbook.core.model.lines import overwritten
from opsbook.core.record.store import Record

_WHOLE, _TAIL = 4 * 1024 * 1024, 100
"""Bytes of a cell's output that are compared whole; of longer output, this many of its last lines."""


@dataclass(frozen=True)
class Did:
    """One effect: its request, status and result."""

    key: str
    step: str
    summary: str
    request: dict[str, Any]
    status: str = "unknown"
    result: Any = None
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiffInput:
    """The compared parts of a record.

    `plan` has the fields of its plan by name; `outputs` maps steps to the output of their cells.
    """

    run: str
    summary: dict[str, Any]
    plan: dict[str, Any]
    source: str
    outputs: dict[str, str] = field(default_factory=dict)
    effects: dict[str, Did] = field(default_factory=dict)


def read(record: Record) -> DiffInput:
    """Read the compared parts of a record. Raises InputError if one cannot be read."""
    events = record.events()
    return DiffInput(
        record.id,
        record.summary(),
        vars(record.plan()),
        record.text("runbook.md"),
        outputs(record, events),
        {each.intent.key: _did(record, each) for each in attempts(events, lenient=True)},
    )


def outputs(record: Record, events: Sequence[Event]) -> dict[str, str]:
    """The output of each step. A cell that ran twice appears twice."""
    steps: dict[str, str] = {}
    cells: dict[str, list[dict[str, Any]]] = defaultdict(list)
    found: dict[str, str] = defaultdict(str)
    for event in events:
        match usable(event, lenient=True):
            case CellStarted(cell=cell, step=step):
                steps[cell] = step
            case Output(cell=cell, output=output):
                cells[cell].append(dict(output))
            case CellFinished(cell=cell) as end:
                found[steps.get(cell, cell)] += overwritten(_printed(record, cells.pop(cell, []), end))
    for cell, outputs in cells.items():
        found[steps.get(cell, cell)] += overwritten(_printed(record, outputs, None))
    return dict(found)


def _printed(record: Record, outputs: list[dict[str, Any]], end: CellFinished | None) -> str:
    """A cell's output, in order; output too long for the journal continues from its file."""
    file = end.file if end else None
    if end is None or not isinstance(file, dict):
        return "".join(map(_text, outputs))
    printed = "".join(_text(output) for output in outputs if _is_stream(output))
    size = file.get("bytes")
    if isinstance(size, int) and size <= _WHOLE:
        printed += record.text(str(file.get("path")))
    else:
        tail = end.tail.splitlines(keepends=True)[-_TAIL:]
        printed = printed.rpartition("\n")[0] + "\n…\n" + "".join(tail)
    return printed + "\n" + "".join(_text(output) for output in outputs if not _is_stream(output))


def _is_stream(output: dict[str, Any]) -> bool:
    return output.get("output_type") == "stream"


def _text(output: dict[str, Any]) -> str:
    """An output as text: a stream as it is, anything else as separate lines."""
    if _is_stream(output):
        return str(output.get("text", ""))
    if output.get("output_type") == "error":
        return f"{output.get('ename')}: {output.get('evalue')}\n"
    data = output.get("data")
    return f"{data['text/plain']}\n" if isinstance(data, dict) and "text/plain" in data else ""


def _did(record: Record, attempt: Attempt) -> Did:
    intent, ended = attempt.intent, attempt.result
    return Did(
        key=intent.key,
        step=intent.step,
        summary=intent.summary,
        request=dict(intent.request),
        status=attempt.status,
        result=result_of(record, ended) if ended else None,
        ignore=tuple(intent.ignore),
    )


def result_of(record: Record, ended: EffectResult) -> Any:
    """The result, from the journal or, if it was too long for it, from its file."""
    if not isinstance(ended.file, dict):
        return ended.result
    name = str(ended.file.get("path"))
    try:
        return json.loads(record.text(name))
    except (ValueError, RecursionError) as error:
        raise record.damaged(name) from error
