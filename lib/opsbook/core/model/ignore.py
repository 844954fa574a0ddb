"""Values of an answer that are not compared, because they change by themselves: an instance name, a counter.

A name matches a key anywhere in JSON (dotted for a longer path); in other text, it matches the lines that contain it.
"""

import json
from collections.abc import Collection
from typing import Any

IGNORED = "⟨ignored⟩"
"""Replaces a line that is not compared."""


def without(value: Any, names: Collection[str]) -> Any:
    """The value without the parts that these names match."""
    return _without(value, [name.split(".") for name in names], []) if names else value


def opened(value: Any) -> Any:
    """The value with JSON texts in it parsed."""
    if isinstance(value, dict):
        return {key: opened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [opened(item) for item in value]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _without(value: Any, names: list[list[str]], path: list[str]) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if not _named([*path, key], names)}
        return {key: _without(item, names, [*path, key]) for key, item in kept.items()}
    if isinstance(value, list):
        items = [(str(number), item) for number, item in enumerate(value)]
        return [_without(item, names, [*path, key]) for key, item in items if not _named([*path, key], names)]
    return _lines(value, names) if isinstance(value, str) else value


def _named(path: list[str], names: list[list[str]]) -> bool:
    return any(path[-len(name) :] == name for name in names)


def _lines(text: str, names: list[list[str]]) -> str:
    words = [".".join(name) for name in names]
    return "\n".join(IGNORED if any(word in line for word in words) else line for line in text.split("\n"))
