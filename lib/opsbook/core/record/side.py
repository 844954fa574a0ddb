"""One of two records to compare, read whole: what was going to happen, what happened, what was printed."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opsbook.core.model.event import Event
from opsbook.core.model.past import LOOK
from opsbook.core.record.store import Record

_WHOLE, _TAIL = 4 * 1024 * 1024, 100
"""Bytes of a step's output that are read for it; of more, so many lines of its end."""


class _Plan(BaseModel):
    """What of plan.json is compared; other keys are of no interest."""

    model_config = ConfigDict(strict=True, extra="ignore")
    parameters: dict[str, Any] = Field(default_factory=dict)
    secrets: dict[str, str] = Field(default_factory=dict)
    locks: list[str] = Field(default_factory=list)
    hosts: list[str] = Field(default_factory=list)
    trees: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Did:
    """One effect: what was asked for, how it ended, what it gave."""

    key: str
    step: str
    summary: str
    request: dict[str, Any]
    status: str = "unknown"
    result: Any = None
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiffInput:
    """A record as far as it is compared. `outputs` maps steps to what their cells printed."""

    run: str
    summary: dict[str, Any]
    plan: dict[str, Any]
    source: str
    outputs: dict[str, str] = field(default_factory=dict)
    effects: dict[str, Did] = field(default_factory=dict)


def read(record: Record) -> DiffInput:
    """The record with everything that is compared. Raises InputError if something of it cannot be read."""
    events = record.events()
    return DiffInput(
        record.id,
        record.summary(),
        _plan(record),
        record.text("runbook.md"),
        outputs(record, events),
        {did.key: did for did in _effects(record, events)},
    )


def _plan(record: Record) -> dict[str, Any]:
    try:
        return _Plan.model_validate_json(record.text("plan.json")).model_dump()
    except (ValidationError, RecursionError) as error:
        raise record.damaged("plan.json") from error


def outputs(record: Record, events: Sequence[Event]) -> dict[str, str]:
    """What each step printed. A cell that ran twice printed twice."""
    steps: dict[str, str] = {}
    cells: dict[str, list[dict[str, Any]]] = defaultdict(list)
    found: dict[str, str] = defaultdict(str)
    for event in events:
        data = event.data
        cell = str(data.get("cell"))
        if event.type == "cell-started":
            steps[cell] = str(data.get("step"))
        elif event.type == "output" and isinstance(data.get("output"), dict):
            cells[cell].append(data["output"])
        elif event.type == "cell-finished":
            found[steps.get(cell, cell)] += _printed(record, cells.pop(cell, []), data)
    for cell, outputs in cells.items():
        found[steps.get(cell, cell)] += _printed(record, outputs, {})
    return dict(found)


def _printed(record: Record, outputs: list[dict[str, Any]], end: dict[str, Any]) -> str:
    """What a cell printed, in order; the rest of what was too long for the journal follows where that stopped."""
    file = end.get("file")
    if not isinstance(file, dict):
        return "".join(map(_text, outputs))
    printed = "".join(_text(output) for output in outputs if _is_stream(output))
    size = file.get("bytes")
    if isinstance(size, int) and size <= _WHOLE:
        printed += record.text(str(file.get("path")))
    else:
        tail = str(end.get("tail")).splitlines(keepends=True)[-_TAIL:]
        printed = printed.rpartition("\n")[0] + "\n…\n" + "".join(tail)
    return printed + "\n" + "".join(_text(output) for output in outputs if not _is_stream(output))


def _is_stream(output: dict[str, Any]) -> bool:
    return output.get("output_type") == "stream"


def _text(output: dict[str, Any]) -> str:
    """An output as text: a stream as it is, anything else as lines of its own."""
    if _is_stream(output):
        return str(output.get("text", ""))
    if output.get("output_type") == "error":
        return f"{output.get('ename')}: {output.get('evalue')}\n"
    data = output.get("data")
    return f"{data['text/plain']}\n" if isinstance(data, dict) and "text/plain" in data else ""


def _effects(record: Record, events: list[Event]) -> Iterator[Did]:
    """Every effect with how it ended; the last one counts where a key came again."""
    results = {event.data.get("intent"): event.data for event in events if event.type == "effect-result"}
    for event in events:
        data = event.data
        if event.type != "effect-intent" or not isinstance(data.get("key"), str) or data["key"].startswith(LOOK):
            continue
        request = data.get("request")
        ended = results.get(event.seq, {})
        yield Did(
            key=data["key"],
            step=str(data.get("step")),
            summary=str(data.get("summary")),
            request=request if isinstance(request, dict) else {},
            status=str(ended.get("status", "unknown")),
            result=result_of(record, ended),
            ignore=tuple(map(str, data["ignore"])) if isinstance(data.get("ignore"), list) else (),
        )


def result_of(record: Record, ended: dict[str, Any]) -> Any:
    """The result as the journal has it, or from the file where it was too long for the journal."""
    file = ended.get("file")
    if not isinstance(file, dict):
        return ended.get("result")
    name = str(file.get("path"))
    try:
        return json.loads(record.text(name))
    except (ValueError, RecursionError) as error:
        raise record.damaged(name) from error
