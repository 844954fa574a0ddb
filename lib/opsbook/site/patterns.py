"""A Pattern for the page's form: the same expression in the browser's language, or none where it has no equivalent."""

import importlib
from collections.abc import Callable, Iterable
from typing import Any

# Python's own reading of an expression: whoever reads it once more reads it differently.
_read: Any = importlib.import_module("re._parser")

_WORD = r"[\p{L}\p{N}_]"
_CLASSES = {
    "CATEGORY_WORD": _WORD,
    "CATEGORY_DIGIT": r"\p{Nd}",
    "CATEGORY_SPACE": r"[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
}
_PLACES = {
    "AT_BEGINNING": "^",
    "AT_BEGINNING_STRING": "^",
    "AT_END": r"(?=\n?$)",
    "AT_END_STRING": "$",
    "AT_BOUNDARY": f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))",
}
_UNICODE = 32
"""The flag that every expression of text has; no other has an equivalent that is exactly the same."""


class _Unknown(Exception):
    """Something that only Python knows."""


def in_browser(pattern: str) -> str | None:
    """The expression for a browser's `RegExp(…, "u")` that has to match the whole text; None if there is none."""
    try:
        read = _read.parse(pattern)
        return _all(read) if read.state.flags == _UNICODE else None
    # What a newer Python reads in another way is left to the command line too.
    except (_Unknown, RecursionError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _all(parts: Iterable[Any]) -> str:
    return "".join(_one(str(kind), value) for kind, value in parts)


def _one(kind: str, value: Any) -> str:
    if kind not in _WRITE:
        raise _Unknown(kind)
    return _WRITE[kind](value)


def _group(value: Any) -> str:
    _, added, removed, inner = value
    if added or removed:
        raise _Unknown("flags")
    return f"(?:{_all(inner)})"


def _look(value: Any, sign: str) -> str:
    way, inner = value
    return f"(?{'<' if way < 0 else ''}{sign}{_all(inner)})"


def _repeat(value: Any, lazy: str = "") -> str:
    low, high, inner = value
    most = "" if str(high) == "MAXREPEAT" else int(high)
    return f"(?:{_all(inner)}){{{int(low)},{most}}}{lazy}"


def _in(value: Any) -> str:
    (kind, _), *rest = value
    # A class cannot hold the opposite of another one: what is in it is a choice of letters.
    return f"(?!{_set(rest)})[^]" if str(kind) == "NEGATE" else _set(value)


def _set(items: Iterable[Any]) -> str:
    return f"(?:{'|'.join(_member(str(kind), value) for kind, value in items)})"


def _member(kind: str, value: Any) -> str:
    if kind == "RANGE":
        low, high = value
        return f"[{_letter(low)}-{_letter(high)}]"
    if kind == "CATEGORY":
        name = str(value)
        positive = name.replace("_NOT_", "_")
        return _CLASSES[name] if name == positive else f"(?!{_CLASSES[positive]})[^]"
    if kind == "LITERAL":
        return _letter(value)
    raise _Unknown(kind)


def _letter(code: int) -> str:
    return chr(code) if code < 128 and chr(code).isalnum() else f"\\u{{{code:x}}}"


_WRITE: dict[str, Callable[[Any], str]] = {
    "LITERAL": _letter,
    "NOT_LITERAL": lambda code: f"[^{_letter(code)}]",
    "ANY": lambda _: r"[^\n]",
    "IN": _in,
    "BRANCH": lambda value: f"(?:{'|'.join(map(_all, value[1]))})",
    "SUBPATTERN": _group,
    "AT": lambda value: _PLACES[str(value)],
    "ASSERT": lambda value: _look(value, "="),
    "ASSERT_NOT": lambda value: _look(value, "!"),
    "MAX_REPEAT": _repeat,
    "MIN_REPEAT": lambda value: _repeat(value, "?"),
}
