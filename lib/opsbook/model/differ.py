"""What differs between two values: leaf by leaf, or line by line."""

import difflib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from opsbook.model.normal import normal

_MEASURED = frozenset(
    {"seconds", "elapsed", "duration", "delta", "start", "end", "date", "atime", "mtime", "ctime", "pid"}
)
"""Keys of results whose values are never the same twice."""

_CONTEXT = 2


@dataclass(frozen=True)
class Change:
    """A value that differs; None where one side does not have it."""

    what: str
    before: Any
    after: Any


def changes_of(before: Any, after: Any, where: str = "", like: Callable[[str], str] = str) -> Iterator[Change]:
    """Every leaf that differs, once `like` has made its text alike; named by its path, such as vars.version."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*after, *(key for key in before if key not in after)]:
            if like is normal and key.lower() in _MEASURED:
                continue
            yield from changes_of(before.get(key), after.get(key), f"{where}.{key}".lstrip("."), like)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from changes_of(*pair, f"{where}.{number}".lstrip("."), like)
    elif _leaf(before, like) != _leaf(after, like):
        yield Change(where, before, after)


def _leaf(value: Any, like: Callable[[str], str]) -> str:
    """One text for a value, its texts made alike; as JSON, their line breaks would hide what stands beside them."""
    if isinstance(value, str):
        return like(value)
    if isinstance(value, list | dict):
        items = sorted(value.items()) if isinstance(value, dict) else enumerate(value)
        return json.dumps([[key, _leaf(item, like)] for key, item in items])
    return json.dumps(value)


def lines_of(before: str, after: str) -> tuple[str, ...]:
    """The lines that differ, with some around them; no heading."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=_CONTEXT)
    return tuple(line for number, line in enumerate(lines) if number > 1)
