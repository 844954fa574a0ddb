"""Values that an author passes, in the form for the journal."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from opsbook.params import Secret

SHOWN = 2000
"""Characters of a program's or server's output that an error message quotes."""

_LARGEST = 4096
"""Largest size of an integer in bits. Python refuses to print much longer ones."""


def first_lines(text: str) -> str:
    """The beginning of a long text, in whole lines: part of a secret would not be redacted."""
    return text if len(text) <= SHOWN else _whole(text[:SHOWN].rpartition("\n")[0], text)


def last_lines(text: str) -> str:
    """The end of a long text, in whole lines."""
    return text if len(text) <= SHOWN else _whole(text[-SHOWN:].partition("\n")[2], text)


def _whole(lines: str, text: str) -> str:
    return lines or f"({len(text)} characters on one line)"


def revealed(value: Any) -> Any:
    """A value with its secrets in clear, for what it is handed to."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {name: revealed(item) for name, item in value.items()}
    return [revealed(item) for item in value] if isinstance(value, list | tuple) else value


def names(given: Iterable[Any]) -> list[str]:
    """Names for `ignore`. Raises TypeError for a single text, which would be taken as a list of letters."""
    if isinstance(given, str):
        raise TypeError(f"ignore takes a list of names, such as [{given!r}]")
    return [str(name) for name in given]


def clean(value: Any) -> Any:
    """The JSON form of a value, with secrets by name. Raises TypeError if it has none."""
    if isinstance(value, Secret):
        return {"secret": value.name}
    if isinstance(value, dict):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"{value} cannot be recorded: JSON has no such number")
    if isinstance(value, int) and value.bit_length() > _LARGEST:
        raise TypeError(f"a whole number of {value.bit_length()} bits cannot be recorded; pass it as text")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be recorded; pass text, numbers, lists or dicts")
