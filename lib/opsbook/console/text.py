"""The only functions that print.

Titles, parameters, program output and requests may contain anything, so commands never print directly. `say` prints
each text on one line: what others wrote cannot look like a line of opsbook's. `say_text` is for texts of several lines.
"""

import json
import re
import sys
from datetime import datetime
from typing import Any, TextIO

from opsbook.core.model.text import NOTHING, SEQUENCE, TURNING, escaped, flat

_UNSEEN = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{TURNING}{NOTHING}]")
_UNSAFE_IN_JSON = re.compile(rf"[\x7f-\x9f\ud800-\udfff{TURNING}{NOTHING}]")


def say(*lines: object, end: str = "\n", to: TextIO | None = None) -> None:
    """Print each text, of any origin, as one line to standard output or `to`; without any, an empty line."""
    say_text("\n".join(flat(each) for each in lines), end=end, to=to)


def hanging(text: object) -> list[str]:
    """The lines of a text; with a bar before the second and the further ones: they belong to the first."""
    return str(text).replace("\n", "\n  | ").split("\n")


def say_text(text: object, *, end: str = "\n", to: TextIO | None = None) -> None:
    """Print text that may have several lines to standard output or `to`, as `plain` makes it."""
    print(plain(str(text)), end=end, file=to or sys.stdout, flush=True)


def plain(text: str) -> str:
    """Text without control sequences, with what is left of control characters escaped, and line feeds as line ends."""
    return _UNSEEN.sub(escaped, SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def _plain_value(value: object) -> str:
    """What JSON has no form for: times as ISO 8601, anything else as it is printed."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON with the same content on every terminal: characters that its encoding lacks are escaped."""
    whole = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=indent, ensure_ascii=not whole, default=_plain_value)
    return _UNSAFE_IN_JSON.sub(lambda match: json.dumps(match[0])[1:-1].replace("\x7f", r"\u007f"), text)
