"""The only functions that print.

Titles, parameters, program output and requests may contain anything, so commands never print directly: `say` and
`json_text` remove control sequences.
"""

import json
import re
import sys
from typing import Any, TextIO

_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_UNSAFE_IN_JSON = re.compile(r"[\x7f-\x9f\ud800-\udfff]")


def say(text: object = "", *, end: str = "\n", to: TextIO | None = None) -> None:
    """Print text of any origin, without control sequences, to standard output or `to`."""
    print(plain(str(text)), end=end, file=to or sys.stdout, flush=True)


def plain(text: str) -> str:
    """Text without control sequences, and with line feeds as line ends."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON with the same content on every terminal: characters that its encoding lacks are escaped."""
    whole = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=indent, ensure_ascii=not whole, default=str)
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
