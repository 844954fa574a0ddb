"""record.json: what a run did, derived from its events alone.

Two ways lead here: the events of a run, and the file that was made of them. Neither may break whoever lists a
hundred other records: events that say nothing usable are passed over, and a file of another shape is refused.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, FiniteFloat

from opsbook.core.model.event import Event
from opsbook.core.model.past import LOOK

_TEXTS = ("run", "runbook", "title", "environment", "operator", "plan", "mode")
_MAPPINGS = ("parameters", "versions")
_LONGEST = 1e12
"""Seconds. No run takes longer; infinity, NaN and numbers beyond any clock are no times."""

T = TypeVar("T")


class _Part(BaseModel):
    """Keys that are not listed here are kept as they are."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Step(_Part):
    step: str
    title: str
    section: str
    status: str
    seconds: FiniteFloat | None


class _Effect(_Part):
    key: str
    step: str
    summary: str
    changes: bool
    status: str
    changed: bool | None


class Summary(_Part):
    """The shape of record.json, as far as anything relies on it."""

    run: str | None
    runbook: str | None
    title: str | None
    environment: str | None
    operator: str | None
    parameters: dict[str, Any] | None
    started: str | None
    ended: str | None
    outcome: str | None
    reason: str
    seconds: FiniteFloat | None
    steps: list[_Step]
    effects: list[_Effect]
    unknown: list[str]
    gaps: int


def read(text: bytes) -> dict[str, Any]:
    """The content of a record.json. Raises ValueError for anything else."""
    return Summary.model_validate_json(text).model_dump()


def of(events: list[Event]) -> dict[str, Any]:
    """The summary of a run, finished or not. Times are UTC, durations seconds."""
    usable = [event for event in events if isinstance(event.data, dict)]
    start = next((e for e in usable if e.type == "run-started"), None)
    last = next((e for e in reversed(usable) if e.type in ("run-finished", "run-resumed")), None)
    end = last if last and last.type == "run-finished" else None
    begun, ended = start.data if start else {}, end.data if end else {}
    effects = _effects(usable)
    return {
        **{key: _as(str, begun.get(key)) for key in _TEXTS},
        **{key: _as(dict, begun.get(key)) for key in _MAPPINGS},
        "operators": _operators(usable),
        "started": _as(str, start.time) if start else None,
        "ended": _as(str, end.time) if end else None,
        "outcome": _as(str, ended.get("outcome")),
        "reason": _text(ended, "reason") if end else "it has no end",
        "exit_code": _as(int, ended.get("exit_code")),
        "seconds": _seconds(ended),
        "labels": _as(dict, begun.get("labels")) or {},
        **_allowed(usable),
        "steps": _steps(usable),
        "effects": effects,
        "unknown": [e["summary"] for e in effects if e["changes"] and e["status"] in ("unknown", "interrupted")],
        "gaps": sum(_as(int, e.data.get("missing")) or 0 for e in usable if e.type == "output-gap"),
    }


def _allowed(events: list[Event]) -> dict[str, Any]:
    """Whose approvals the run began with, and whether it was an emergency."""
    allowed = [event.data for event in events if event.type == "allowed"]
    given = [_as(dict, each) or {} for data in allowed for each in _as(list, data.get("approvals")) or ()]
    emergency = next((data for data in allowed if _text(data, "emergency")), {})
    return {
        "approvals": [_text(each, "id") for each in given],
        "approved_by": [_text(each, "principal") for each in given],
        "emergency": _text(emergency, "emergency"),
        "review_within": _text(emergency, "review_within"),
    }


def _as(kind: type[T], value: object) -> T | None:
    """The value if it is exactly of this kind: JSON's true is no number."""
    return value if type(value) is kind else None


def _text(data: dict[str, Any], key: str) -> str:
    return _as(str, data.get(key)) or ""


def _seconds(data: dict[str, Any]) -> float | None:
    value = data.get("seconds")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _LONGEST else None


def _steps(events: list[Event]) -> list[dict[str, Any]]:
    steps: dict[str, dict[str, Any]] = {}
    for event in events:
        data, name = event.data, _text(event.data, "step")
        if event.type == "step-started" and not (_replayed(data) and name in steps):
            told = {key: _text(data, key) for key in ("step", "title", "section")}
            steps[name] = {**data, **told, "status": "unfinished", "seconds": None}
        elif event.type == "step-finished" and name in steps and not _replayed(data):
            steps[name].update(status=_text(data, "status"), seconds=_seconds(data))
    return list(steps.values())


def _replayed(data: dict[str, Any]) -> bool:
    """A step that is only replayed was done before, and took its time then."""
    return data.get("replay") is True


def _operators(events: list[Event]) -> list[str]:
    """Who ran it, and who went on with it."""
    names = [_text(e.data, "operator") for e in events if e.type in ("run-started", "run-resumed")]
    return list(dict.fromkeys(filter(None, names)))


def _effects(events: list[Event]) -> list[dict[str, Any]]:
    """Every effect with how its latest attempt ended; one with an intent and no result is unknown.

    What a look found when the run went on is no effect of it.
    """
    found: dict[int, dict[str, Any]] = {}
    attempts: dict[str, int] = {}
    for event in events:
        data = event.data
        intent = _as(int, data.get("intent"))
        if event.type == "effect-intent" and not _text(data, "key").startswith(LOOK):
            told = {key: _text(data, key) for key in ("key", "step", "summary")}
            found.pop(attempts.get(told["key"], 0), None)
            attempts[told["key"]] = event.seq
            found[event.seq] = {**told, "changes": data.get("changes") is True, "status": "unknown", "changed": None}
        elif event.type == "effect-result" and intent in found:
            result = _as(dict, data.get("result")) or {}
            # A result that comes later says more: somebody marked the effect as done.
            found[intent].update(status=_text(data, "status"), changed=_as(bool, result.get("changed")))
    return list(found.values())
