"""record.json: what a run did, derived from its events alone."""

from typing import Any

from opsbook.model.event import Event

_COPIED = ("run", "runbook", "title", "environment", "operator", "parameters", "plan", "mode", "versions")


def of(events: list[Event]) -> dict[str, Any]:
    """The summary of a run, finished or not. Times are UTC, durations seconds."""
    start = next((e for e in events if e.type == "run-started"), None)
    end = next((e for e in reversed(events) if e.type == "run-finished"), None)
    found: dict[str, Any] = {key: (start.data if start else {}).get(key) for key in _COPIED}
    found["started"] = start.time if start else None
    found["ended"] = end.time if end else None
    found["outcome"] = end.data["outcome"] if end else None
    found["reason"] = end.data["reason"] if end else "it has no end"
    found["exit_code"] = end.data["exit_code"] if end else None
    found["seconds"] = end.data["seconds"] if end else None
    found["steps"] = _steps(events)
    found["effects"] = _effects(events)
    found["unknown"] = [e["summary"] for e in found["effects"] if e["status"] in ("unknown", "interrupted")]
    found["gaps"] = sum(e.data["missing"] for e in events if e.type == "output-gap")
    return found


def _steps(events: list[Event]) -> list[dict[str, Any]]:
    steps: dict[str, dict[str, Any]] = {}
    for event in events:
        if event.type == "step-started":
            steps[event.data["step"]] = {**event.data, "status": "unfinished", "seconds": None}
        elif event.type == "step-finished" and event.data["step"] in steps:
            steps[event.data["step"]].update(status=event.data["status"], seconds=event.data["seconds"])
    return list(steps.values())


def _effects(events: list[Event]) -> list[dict[str, Any]]:
    """Every effect with how it ended; one with an intent and no result is unknown."""
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event.type == "effect-intent":
            found[event.seq] = {
                "key": event.data["key"],
                "step": event.data["step"],
                "summary": event.data["summary"],
                "changes": event.data["changes"],
                "status": "unknown",
                "changed": None,
            }
        elif event.type == "effect-result" and event.data["intent"] in found:
            result = event.data.get("result")
            changed = result.get("changed") if isinstance(result, dict) else None
            found[event.data["intent"]].update(status=event.data["status"], changed=changed)
    return list(found.values())
