"""Whether a service on a port belongs to this environment of this clone, and not to another one on the machine."""

from collections.abc import Mapping
from typing import Any

from opsbook import EffectFailed, here

HEADER = "arcade-environment"
"""The response header with an instance's mark; the load balancer has it in its state page, as `environment`."""


def mark() -> str:
    """The mark of this environment's services: its name, and the id of its clone."""
    return f"{here.environment}/{here.clone}"


def said_by(headers: Mapping[str, str], content: Any) -> str:
    """The mark in an answer; empty if there is none."""
    named = content.get("environment") if isinstance(content, dict) else None
    return str(headers.get(HEADER) or named or "")


def owner(said: str) -> str:
    """A mark in words, for a sentence."""
    return f"the environment {said}" if said else "something that is not of this platform"


def is_own(answer: Any) -> bool:
    """Whether an answer of `http` comes from this environment."""
    return said_by(answer.headers, _content(answer)) == mark()


def own(answer: Any) -> Any:
    """The JSON of an answer of `http`. Raises EffectFailed if it does not come from this environment."""
    content = answer.json
    if (said := said_by(answer.headers, content)) != mark():
        raise EffectFailed(f"{answer.url} is answered by {owner(said)}, not by {mark()}: see opsbook env ports")
    return content


def _content(answer: Any) -> Any:
    try:
        return answer.json
    except EffectFailed:
        return None
