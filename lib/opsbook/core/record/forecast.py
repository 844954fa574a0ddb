"""What a check found, from the events of its run."""

from collections.abc import Callable, Iterable
from typing import Any

from opsbook.core.model.attempts import Attempts
from opsbook.core.model.effect import Status
from opsbook.core.model.event import Event
from opsbook.core.model.events import EffectResult, StepFinished, StepStarted, read


def of(events: Iterable[Event], result_of: Callable[[EffectResult], Any]) -> dict[str, Any]:
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
