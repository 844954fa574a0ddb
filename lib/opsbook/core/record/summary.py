"""The content of record.json: what a run did, derived from its events alone.

Events that say nothing usable are passed over: one damaged record must not hide a hundred others in a list.

`forecast` says what a check found.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from opsbook.core.model import events as kinds
from opsbook.core.model.attempts import Attempt, Attempts, attempts, latest
from opsbook.core.model.effect import Mode, Status
from opsbook.core.model.event import Event
from opsbook.core.model.events import EffectResult, StepFinished, StepStarted, read
from opsbook.core.model.outcome import NOT_REACHED
from opsbook.core.record.summary_file import in_seconds

_TEXTS = ("run", "runbook", "title", "environment", "operator", "plan", "mode")
_MAPPINGS = ("parameters", "versions")
T = TypeVar("T")


def of(events: Sequence[Event]) -> dict[str, Any]:
    """The summary of a run, finished or not. Times are UTC, durations seconds."""
    facts = [(event, fact) for event in events if (fact := kinds.read(event, lenient=True))]
    start, begun = next(((e, f) for e, f in facts if isinstance(f, kinds.RunStarted)), (None, None))
    last = next(((e, f) for e, f in reversed(facts) if isinstance(f, kinds.RunFinished | kinds.RunResumed)), None)
    end, ended = last if last and isinstance(last[1], kinds.RunFinished) else (None, None)
    effects = [_effect(attempt) for attempt in latest(attempts(events, lenient=True))]
    told = [fact for _, fact in facts]
    operators = (fact.operator for fact in told if isinstance(fact, kinds.RunStarted | kinds.RunResumed))
    # What may have been changed or not. In a check nothing was.
    open_ = [e["summary"] for e in effects if e["changes"] and e["status"] in ("unknown", "interrupted")]
    unknown = [] if getattr(begun, "mode", "") == Mode.CHECK else open_
    return {
        **{key: getattr(begun, key, None) or None for key in _TEXTS},
        **{key: getattr(begun, key, None) for key in _MAPPINGS},
        # Who ran it, and who went on with it.
        "operators": list(dict.fromkeys(filter(None, operators))),
        "started": start.time if start else None,
        "ended": end.time if end else None,
        "outcome": getattr(ended, "outcome", None),
        "reason": getattr(ended, "reason", "it has no end"),
        "exit_code": getattr(ended, "exit_code", None),
        "seconds": in_seconds(getattr(ended, "seconds", None)),
        "labels": getattr(begun, "labels", {}),
        **_allowed(told),
        "commit": getattr(begun, "commit", ""),
        "steps": _steps(facts),
        "questions": _questions(facts),
        "effects": effects,
        "unknown": unknown,
        "gaps": sum(fact.missing for fact in told if isinstance(fact, kinds.OutputGap)),
    }


def _allowed(facts: Iterable[kinds.Fact]) -> dict[str, Any]:
    """Whose approvals the run began with, what proved its releases, and whether it was an emergency."""
    allowed = [dict(fact.evidence) for fact in facts if isinstance(fact, kinds.RunAllowed)]
    given = [_as(dict, each) or {} for data in allowed for each in _as(list, data.get("approvals")) or ()]
    emergency = next((data for data in allowed if _text(data, "emergency")), {})
    return {
        "approvals": [_text(each, "id") for each in given],
        "approved_by": [_text(each, "principal") for each in given],
        "emergency": _text(emergency, "emergency"),
        "review_within": _text(emergency, "review_within"),
        "promotion": [_as(dict, each) or {} for data in allowed for each in _as(list, data.get("promotion")) or ()],
        "not_promoted": next((said for data in allowed if (said := _text(data, "not_promoted"))), ""),
    }


def _as(kind: type[T], value: object) -> T | None:
    """The value if it is exactly of this type: JSON's true is no number."""
    return value if type(value) is kind else None


def _text(data: dict[str, Any], key: str) -> str:
    return _as(str, data.get(key)) or ""


def _steps(facts: Iterable[tuple[Event, kinds.Fact]]) -> list[dict[str, Any]]:
    """Every step with how it ended, also those that were not reached. One that is only replayed was done before, and
    took its time then.
    """
    steps: dict[str, dict[str, Any]] = {}
    forward: Sequence[Any] = ()
    undo: Sequence[Any] = ()
    for event, fact in facts:
        match fact:
            case kinds.StepStarted() if not (fact.replay and fact.step in steps):
                told = {"step": fact.step, "title": fact.title, "section": fact.section}
                steps[fact.step] = {**event.data, **told, "status": "unfinished", "seconds": None}
            case kinds.StepFinished(replay=False) if fact.step in steps:
                steps[fact.step].update(status=fact.status, seconds=in_seconds(fact.seconds))
            case kinds.RunStarted() | kinds.SourceEdited():
                forward = fact.steps or forward
            case kinds.RollbackStarted():
                undo = fact.steps
    named = [each for each in (*forward, *undo) if isinstance(each, dict)]
    planned = [{key: _text(each, key) for key in ("step", "title", "section", "role")} for each in named]
    left = {"status": NOT_REACHED, "seconds": None}
    return [steps.pop(each["step"], each | left) for each in planned] + list(steps.values())


def reached(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps of a summary that began."""
    return [step for step in told["steps"] if step["status"] != NOT_REACHED]


def _questions(facts: Iterable[tuple[Event, kinds.Fact]]) -> list[dict[str, Any]]:
    """Every question with its answer, who gave it, and when (UTC); without an answer, `value` is null."""
    found: dict[int, dict[str, Any]] = {}
    at = ""
    for event, fact in facts:
        match fact:
            case kinds.StepStarted(step=step):
                at = step
            case kinds.QuestionAsked(name=name, text=text):
                asked = {"step": at, "name": name, "text": text, "time": event.time}
                found[event.seq] = {**asked, "value": None, "by": "", "note": ""}
            case kinds.QuestionAnswered(name=name, value=value, by=by, note=note) if fact.asked in found:
                found[fact.asked].update(value=value, by=by, note=note, time=event.time)
    return list(found.values())


def _effect(attempt: Attempt) -> dict[str, Any]:
    """An effect with the status of its latest attempt; an intent without a result is unknown."""
    intent, result = attempt.intent, attempt.result.result if attempt.result else None
    changed = result.get("changed") if isinstance(result, dict) else None
    told = {name: getattr(intent, name) for name in ("key", "kind", "step", "summary", "changes")}
    why = attempt.result.why if attempt.result and attempt.status == "interrupted" else ""
    return {
        **told,
        "status": attempt.status,
        "changed": _as(bool, changed),
        "intent": attempt.seq,
        **({"why": why} if why else {}),
    }


def forecast(events: Iterable[Event], result_of: Callable[[EffectResult], Any]) -> dict[str, Any]:
    """Tasks that would or might change something, skipped effects, unpredictable steps, and steps done by hand.

    `result_of` gives the whole result of an effect for its event.
    """
    titles: dict[str, str] = {}
    attempts = Attempts()
    found: dict[str, Any] = {"tasks": [], "skipped": [], "unpredictable": [], "by_hand": []}
    for event in events:
        attempt = attempts.take(event)
        if attempt and attempt.result and attempt.status == Status.SIMULATED:
            summary, result = attempt.intent.summary, result_of(attempt.result)
            if isinstance(result, dict) and result.get("skipped"):
                found["skipped"].append({"title": titles.get(attempt.intent.step, ""), "summary": summary})
            elif isinstance(result, dict):
                found["tasks"] += [{**task, "playbook": summary} for task in result.get("would") or ()]
        match read(event):
            case StepStarted(step=step, title=title, manual=manual):
                titles[step] = title
                found["by_hand"] += [title] if manual else []
            case StepFinished(step=step, status="unpredictable", why=why):
                found["unpredictable"].append({"title": titles[step], "why": why})
    return found
