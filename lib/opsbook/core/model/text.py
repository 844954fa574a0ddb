"""Helpers for text: slugs, suggestions, durations, sizes."""

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

_SPAN = re.compile(r"^([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)$")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_MOST_NAMED = 12
"""Names that one message lists; of more, it names three."""

_IN_WORDS = frozenset({"Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Mn", "Nd", "Nl", "No"})
_NO_NAME = re.compile("[^A-Za-z0-9]")
_NO_LETTERS = re.compile("[\u0300-\u036f\ufe00-\ufe0f]")
"""Accents that follow their letter, and signs that choose how an emoji looks."""


def slug(text: str) -> str:
    """`Unpack the release` -> `unpack-the-release`: lower case letters and digits of any script, and single hyphens.

    Latin letters lose their accents. Emoji are called by their names where there is nothing else.
    """
    signs = unicodedata.normalize("NFC", text)
    return _hyphened(map(_letter, signs)) or _hyphened(map(_emoji, signs)) or "x"


def _letter(sign: str) -> str:
    """The sign as part of a name: in ASCII if it has such a form, as it is if it belongs to a word, else a space."""
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    belongs = unicodedata.category(sign) in _IN_WORDS and not _NO_LETTERS.match(sign)
    return _NO_NAME.sub(" ", plain) or (sign if belongs else " ")


def _emoji(sign: str) -> str:
    return f" {unicodedata.name(sign, '')} " if unicodedata.category(sign) == "So" else " "


def _hyphened(parts: Iterable[str]) -> str:
    return "-".join("".join(parts).lower().split())


def nearest(word: str, known: Iterable[str]) -> str:
    """`Did you mean X?` for the nearest known word, or some of the known words."""
    names = sorted(known)
    matches = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if matches:
        # Swapped letters are the more likely typo.
        return f"Did you mean {next((m for m in matches if sorted(m) == sorted(word)), matches[0])}?"
    if len(names) > _MOST_NAMED:
        likely = difflib.get_close_matches(word, names, n=3, cutoff=0) or names[:3]
        return f"There are {len(names)}, such as {', '.join(likely)}."
    return f"There is: {', '.join(names)}." if names else "There is none yet."


_SOME = 5


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:_SOME]) + (f" and {len(names) - _SOME} more" if len(names) > _SOME else "")


def one_line(text: str, limit: int = 120) -> str:
    """The text on one line, shortened to `limit` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3m 05s`, `1h 02m`; a dash for a time that is not known."""
    if seconds is None:
        return "—"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


def size_of(count: int) -> str:
    """A human-readable size: 512 bytes, 3.4 MB."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def number_of(count: int, what: str) -> str:
    """1 record, 2 records."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def span_seconds(text: str) -> float:
    """`90s`, `3m`, `1.5h`, `90d` -> seconds. Raises ValueError with a sentence for anything else."""
    match = _SPAN.match(text.strip())
    if not match:
        shown = one_line(text, 40)
        raise ValueError(f"{shown!r} is not a duration; write a number and ms, s, m, h or d, such as 90s or 3m")
    seconds = float(match[1]) * _UNIT[match[2]]
    if not math.isfinite(seconds):
        raise ValueError(f"{one_line(text, 40)!r} is too long")
    return seconds
