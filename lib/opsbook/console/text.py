"""The only functions that print.

Titles, parameters, program output and requests may contain anything, so commands never print directly: `say` and
`json_text` remove control sequences, and escape single control characters and signs that turn text round.
"""

import json
import re
import sys
from typing import Any, TextIO

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
_TURNING = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Characters that change the direction of text: a line could read as another one."""

_UNSEEN = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_TURNING}]")
_UNSAFE_IN_JSON = re.compile(rf"[\x7f-\x9f\ud800-\udfff{_TURNING}]")


def say(text: object = "", *, end: str = "\n", to: TextIO | None = None) -> None:
    """Print text of any origin to standard output or `to`, as `plain` makes it."""
    print(plain(str(text)), end=end, file=to or sys.stdout, flush=True)


def plain(text: str) -> str:
    """Text without control sequences, with what is left of control characters escaped, and line feeds as line ends."""
    return _UNSEEN.sub(_escaped, _SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON with the same content on every terminal: characters that its encoding lacks are escaped."""
    whole = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=indent, ensure_ascii=not whole, default=str)
    return _UNSAFE_IN_JSON.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
