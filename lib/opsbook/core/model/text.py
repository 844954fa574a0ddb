"""Helpers for text: slugs, suggestions, durations, sizes, and text of other people on one line."""

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

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


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def one_line(text: str, limit: int = 120) -> str:
    """The text on one line, shortened to `limit` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
"""Control sequences of terminals."""

_CONTROL = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"
TURNING = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"
"""Characters that change the direction of text: a line could read as another one."""

NOTHING = r"\u00ad\u180e\u200b\u2060-\u2065\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
"""Characters that show nothing, and that no output needs. Joiners are not among them: emoji and scripts need them."""

_INVISIBLE = (
    r"\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u200c\u200d\u2800\u3164\uffa0\ufe00-\ufe0e"
    r"\U0001d173-\U0001d17a\U0001bca0-\U0001bca3\ue000-\uf8ff\U000f0000-\U0010ffff"
)
_SPACES = r"\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_EMOJI = r"[\u203c-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
_HIDDEN = re.compile(rf"[{_CONTROL}{TURNING}{NOTHING}{_INVISIBLE}{_SPACES}]|(?<!{_EMOJI})\ufe0f")
_WORDS = re.compile(r"[\w./:@%+=~-]+(?:[ ,][\w./:@%+=~-]+)*")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_MORE_SPACES = re.compile("(?<= ) ")


def flat(text: object) -> str:
    """The text on one line: what is invisible, turns text round or only looks like a space is escaped.

    Control sequences are left out.
    """
    return _HIDDEN.sub(escaped, SEQUENCE.sub("", str(text)))


def quoted(value: object) -> str:
    """A value of somebody else for a decision: plain words as they are, everything else in quotes, on one line.

    It cannot pass for the text around it: quotes, backslashes and every second space are escaped too.
    """
    text = str(value)
    if _WORDS.fullmatch(text) and not _HIDDEN.search(text):
        return text
    inner = _HIDDEN.sub(escaped, text.replace("\\", r"\\").replace('"', r"\""))
    return '"' + _MORE_SPACES.sub(r"\\u0020", inner) + '"'


def escaped(match: re.Match[str]) -> str:
    """A character as Python writes it: `\\n`, `\\u202e`."""
    sign = match[0]
    return _SHORT.get(sign) or (f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}")


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


def number_of(count: int, what: str) -> str:
    """1 record, 2 records."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def seconds_between(begin: str, end: str) -> float:
    """From one time (ISO 8601) to another. Raises ValueError for what is none."""
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds(), 3)


def checked_span(text: str) -> str:
    """The text, if it is a span of time. Raises ValueError otherwise."""
    span_seconds(text)
    return text


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
