"""Recordings as files: derived from the events of a record, written beside the runbook, read back."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from opsbook import files
from opsbook.core.model.attempts import attempts
from opsbook.core.model.effect import Status
from opsbook.core.model.event import Event
from opsbook.core.model.events import QuestionAnswered, QuestionAsked, RunStarted
from opsbook.core.model.events import read as usable
from opsbook.core.model.plan import Plan
from opsbook.core.model.recording import PROJECT, RecordedStep, Recording, Reply, Take
from opsbook.core.model.text import seconds_between
from opsbook.core.record import side, summary
from opsbook.core.record.store import Record
from opsbook.errors import InputError

LARGEST = 512 * 1024
"""Bytes. Nobody reviews a larger one."""

OPERATOR = "operator@example"
"""Replaces the operator in the file of a recording, for privacy."""

_OWN = ("decide", "manual")
"""Kinds of opsbook's own questions."""

_RECORDING = TypeAdapter(Recording)


def of(record: Record, plan: Plan, context: Mapping[str, Any], playbooks: Mapping[str, str], root: Path) -> Recording:
    """The recording of a record. Raises InputError if the record cannot be read."""
    events = record.events()
    facts = list(map(usable, events))
    operator = next(fact.operator for fact in facts if isinstance(fact, RunStarted))
    asked = [fact.kind for fact in facts if isinstance(fact, QuestionAsked)]
    recording = Recording(
        format=1,
        runbook=plan.runbook,
        run=record.id,
        recorded=events[-1].time,
        opsbook=str(plan.versions.get("opsbook", "")),
        plan=plan,
        context={**context, "run": record.id, "operator": operator},
        present=any(kind in _OWN for kind in asked),
        outcome=str(record.summary()["outcome"]),
        steps=tuple(RecordedStep(each["step"], each["status"]) for each in summary.reached(summary.of(events))),
        replies=tuple(_replies(events)),
        takes=tuple(_takes(record, events)),
        playbooks=dict(playbooks),
    )
    return _moved(recording, _folder(root), PROJECT)


def _folder(root: Path) -> re.Pattern[str]:
    """Matches the project's folder as a whole path, not as part of another one."""
    return re.compile(rf"(?<![\w.\-/]){re.escape(str(root))}(?=/|$|[^\w.\-])")


def _replies(events: list[Event]) -> Iterator[Reply]:
    """Answers to opsbook's own questions: those of cells are results of effects."""
    kinds: dict[int, str] = {}
    for event in events:
        match usable(event):
            case QuestionAsked(kind=kind):
                kinds[event.seq] = kind
            case QuestionAnswered() as answer if kinds[answer.asked] in _OWN:
                yield Reply(answer.name, answer.value, answer.by, event.time, answer.note)


def _takes(record: Record, events: list[Event]) -> Iterator[Take]:
    """Every attempt in the order of their start, without those that were interrupted."""
    for attempt in attempts(events):
        intent, end = attempt.intent, attempt.result
        if end is None:
            continue
        yield Take(
            key=intent.key,
            kind=intent.kind,
            summary=intent.summary,
            changes=intent.changes,
            step=intent.step,
            request=dict(intent.request),
            status=Status(end.status),
            at=attempt.began,
            seconds=seconds_between(attempt.began, attempt.ended),
            result=side.result_of(record, end),
            why=end.why,
        )


def render(recording: Recording) -> str:
    """A recording in its canonical form: two of the same run are the same text."""
    recording = _moved(recording, str(recording.context["operator"]), OPERATOR)
    return json.dumps(asdict(recording), indent=1, ensure_ascii=False) + "\n"


def read(path: Path, root: Path) -> Recording:
    """The recording in a file. Raises InputError."""
    try:
        return parsed(files.read(path, within=files.ANYWHERE), root)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Name a recording.") from error
    except (ValueError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        said = ": ".join(filter(None, (".".join(map(str, first["loc"])), str(first["msg"]))))
        raise InputError(f"{path} is no recording: {said}.", "Record the run again.") from error


def parsed(text: str | bytes, root: Path) -> Recording:
    """The recording in a text, with this project's paths. Raises ValueError and RecursionError."""
    found = _RECORDING.validate_json(text)
    _Seen.model_validate(found.context)
    for take in found.takes:
        if take.kind == "playbook":
            _Asked.model_validate(take.request)
    return _moved(found, PROJECT, str(root))


class _Seen(BaseModel):
    """The parts of `here` that a replay needs."""

    operator: str
    inventory: str
    hosts: list[str]
    groups: dict[str, list[str]]


class _Asked(BaseModel):
    """The parts of a playbook's request that a replay needs."""

    playbook: str
    inventory: str
    vars: dict[str, Any]


def _moved(recording: Recording, before: str | re.Pattern[str], after: str) -> Recording:
    """The recording with a text replaced everywhere."""
    return _RECORDING.validate_python(_replaced(asdict(recording), before, after))


def _replaced(value: Any, before: str | re.Pattern[str], after: str) -> Any:
    if isinstance(value, str):
        return value.replace(before, after) if isinstance(before, str) else before.sub(lambda _: after, value)
    if isinstance(value, Mapping):
        return {_replaced(key, before, after): _replaced(item, before, after) for key, item in value.items()}
    return [_replaced(item, before, after) for item in value] if isinstance(value, list | tuple) else value
