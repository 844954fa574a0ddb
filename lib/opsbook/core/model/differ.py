"""What differs between two values, leaf by leaf or line by line, apart from what differs in any two runs.

Times, run ids, temporary paths and digests are normalized: marks such as ⟨time⟩ replace them, so that differences that
remain have another cause. Authors name what else changes by itself, such as a counter. A name matches a key anywhere in
JSON (dotted for a longer path); in other text, it matches the lines that contain it.
"""

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsbook.core.model.text import one_line

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"\d{1,2}:\d\d:\d\d(?:[.,]\d+)?"

_NAMES = (
    (re.compile(r"\b\d{8}T\d{6}Z-[A-Za-z0-9_-]+-[a-z2-9]{4}\b"), "⟨run⟩"),
    (re.compile(r"(?:/var/tmp|/tmp|/dev/shm|/run/user/\d+)/[^\s/'\"]+(?:/ansible-[^\s/'\"]+)?"), "⟨temp⟩"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "⟨uuid⟩"),
)
"""Names and folders of a run; they have no meaning in a request either."""

_VALUES = (
    (
        re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?(?!\d)"),
        "⟨time⟩",
    ),
    (re.compile(rf"\b{_DAY},? \d{{1,2}} {_MONTH} \d{{4}} {_CLOCK}(?: (?:[A-Z]{{2,5}}|[+-]\d{{4}}))?\b"), "⟨time⟩"),
    (re.compile(rf"\b{_DAY} {_MONTH} +\d{{1,2}} {_CLOCK}(?: [A-Z]{{2,5}})?(?: \d{{4}})?\b"), "⟨time⟩"),
    (re.compile(rf"\b{_CLOCK}(?!\d)"), "⟨time⟩"),
    (re.compile(r"\b1[6-9]\d{8}\.\d+\b"), "⟨time⟩"),
    (re.compile(r"\b0x[0-9a-fA-F]{6,}\b"), "⟨address⟩"),
    (re.compile(r"\b(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{12,128}\b", re.IGNORECASE), "⟨digest⟩"),
    (re.compile(r"\b\d+h \d\dm\b|\b\d+m ?\d+(?:\.\d+)?s\b"), "⟨duration⟩"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:[nµum]?s|secs?|seconds?|minutes?|hours?)\b"), "⟨duration⟩"),
)
"""Values that are measured or generated in each run."""


def named(text: str) -> str:
    """The text without run ids, temporary paths and UUIDs; everything else stays."""
    for pattern, mark in _NAMES:
        text = pattern.sub(mark, text)
    return text


def normal(text: str) -> str:
    """The text without anything that differs between two equal runs."""
    text = named(text)
    for pattern, mark in _VALUES:
        text = pattern.sub(mark, text)
    return text


_MEASURED = frozenset(
    {"seconds", "elapsed", "duration", "delta", "start", "end", "date", "atime", "mtime", "ctime", "pid"}
)
"""Keys of results whose values differ in every run."""

_CONTEXT = 2

_TOLD = 200
"""Characters of a value in a message."""


@dataclass(frozen=True)
class Change:
    """A value that differs; None where one side does not have it."""

    what: str
    before: Any
    after: Any


def changes_of(before: Any, after: Any, where: str = "", like: Callable[[str], str] = str) -> Iterator[Change]:
    """Every leaf that differs after `like` has normalized its text; named by its path, such as vars.version."""
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
    """One normalized text for a value. Texts are normalized before JSON escapes their line breaks."""
    if isinstance(value, str):
        return like(value)
    if isinstance(value, list | dict):
        items = sorted(value.items()) if isinstance(value, dict) else enumerate(value)
        return json.dumps([[key, _leaf(item, like)] for key, item in items])
    return json.dumps(value)


def lines_of(before: str, after: str) -> tuple[str, ...]:
    """The lines that differ, with context, without the file header."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=_CONTEXT)
    return tuple(line for number, line in enumerate(lines) if number > 1)


def ansible_diff(diff: Mapping[str, Any]) -> list[str]:
    """A difference that Ansible reports, as lines."""
    if "prepared" in diff:
        return str(diff["prepared"]).rstrip().split("\n")
    before, after = (_side(diff.get(side)).splitlines() for side in ("before", "after"))
    old, new = (str(diff.get(f"{side}_header") or "") for side in ("before", "after"))
    lines = list(difflib.unified_diff(before, after, old, new, lineterm="", n=1))
    return lines if old or new else lines[3:]


def _side(value: Any) -> str:
    """One side of a diff; some modules give it as attributes."""
    return "\n".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value or "")


def alike(value: Any, like: Callable[[str], str]) -> Any:
    """The value with normalized texts; if `like` is normal, also without keys that differ in every run."""
    if isinstance(value, dict):
        measured = _MEASURED if like is normal else frozenset[str]()
        return {key: alike(item, like) for key, item in value.items() if key.lower() not in measured}
    if isinstance(value, list):
        return [alike(item, like) for item in value]
    return like(value) if isinstance(value, str) else value


def narrowed(lines: tuple[str, ...], limit: int) -> tuple[str, ...]:
    """Lines of a diff; long ones are shortened around the first difference to their replacement."""
    found = list(lines)
    gone: list[int] = []
    for number, line in enumerate(lines):
        if line.startswith("-"):
            gone.append(number)
        elif line.startswith("+") and gone:
            old = gone.pop(0)
            pair = around(lines[old][1:], line[1:], limit)
            found[old], found[number] = f"-{pair[0]}", f"+{pair[1]}"
        elif not line.startswith("+"):
            gone = []
    return tuple(found)


def shown(change: Change, like: Callable[[str], str] = str, limit: int = 60) -> tuple[str, str, str]:
    """The first difference between the two values: its line, if they have lines, and both values, shortened."""
    before, after = alike(change.before, like), alike(change.after, like)
    if isinstance(before, str) and isinstance(after, str) and any("\n" in each.strip() for each in (before, after)):
        return _line(before.splitlines(), after.splitlines(), limit)
    return "", *_short(before, after, limit)


def _line(before: list[str], after: list[str], limit: int) -> tuple[str, str, str]:
    """The first line that differs, and the one above it."""
    first = _first(before, after)
    then, now = (each[first] if first < len(each) else "(no more lines)" for each in (before, after))
    above = f' after "{one_line(before[first - 1], limit // 2)}"' if first else ""
    return f"line {first + 1}{above}", *_short(then, now, limit)


def _short(before: Any, after: Any, limit: int) -> tuple[str, str]:
    flat = [" ".join(str(value).split()) for value in (before, after)]
    # If they differ only in blanks or in type (1 and "1"), show them with repr().
    first, second = flat if flat[0] != flat[1] else (repr(before), repr(after))
    return around(first, second, limit)


def around(before: str, after: str, limit: int) -> tuple[str, str]:
    """Two texts, each shortened around their first difference."""
    start = max(0, _first(before, after) - limit // 3)
    if max(len(before), len(after)) <= limit:
        return before, after
    return _window(before, start, limit), _window(after, start, limit)


def _first(before: Sequence[str], after: Sequence[str]) -> int:
    """The index of the first difference between two texts, or two lists of lines."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(before), len(after)))


def _window(text: str, start: int, limit: int) -> str:
    """Up to `limit` characters from `start`, with … where text is left out."""
    start = min(start, max(0, len(text) - limit))
    end = start + limit
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def told(changes: Iterable[Change]) -> Iterator[str]:
    """One line for each change, with the repr() of its values."""
    for change in changes:
        before, after = around(repr(change.before), repr(change.after), _TOLD)
        yield f"{change.what}: {before} -> {after}"


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
