"""What a check found out, from the events of its run."""

from collections.abc import Callable, Iterable
from typing import Any

from opsbook.core.model.event import Data, Event


def of(events: Iterable[Event], result_of: Callable[[Data], Any]) -> dict[str, Any]:
    """Tasks that would change something or that nobody knows, effects that were left out, steps without an answer.

    `result_of` gives the whole result of an effect for the data of its event.
    """
    titles: dict[str, str] = {}
    intents: dict[int, Data] = {}
    found: dict[str, Any] = {"tasks": [], "skipped": [], "unpredictable": [], "by_hand": []}
    for event in events:
        data = event.data
        match event.type:
            case "step-started":
                titles[data["step"]] = data["title"]
                found["by_hand"] += [data["title"]] if data["manual"] else []
            case "step-finished" if data["status"] == "unpredictable":
                found["unpredictable"].append({"title": titles[data["step"]], "why": data.get("why", "")})
            case "effect-intent":
                intents[event.seq] = data
            case "effect-result" if data["status"] == "simulated":
                intent, result = intents[data["intent"]], result_of(data)
                if isinstance(result, dict) and result.get("skipped"):
                    found["skipped"].append({"title": titles.get(intent["step"], ""), "summary": intent["summary"]})
                elif isinstance(result, dict):
                    found["tasks"] += [{**task, "playbook": intent["summary"]} for task in result.get("would") or ()]
    return found
