"""Normalizes text that differs between any two runs: times, run ids, temporary paths, digests.

Differences that remain have another cause. Marks such as ⟨time⟩ replace what was removed.
"""

import re

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
