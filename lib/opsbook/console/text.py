"""The one way to print.

Titles, parameters, output of programs and requests of others may hold anything. So no command prints by itself:
`say` and `json_text` let nothing through that a terminal would obey.
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
    """Print text of whatever origin, on standard output unless `to` says otherwise."""
    print(plain(str(text)), end=end, file=to or sys.stdout, flush=True)


def plain(text: str) -> str:
    """Text of hosts and programs without anything a terminal would obey."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON that says the same on every terminal: what its encoding has no sign for is escaped as JSON does."""
    whole = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=indent, ensure_ascii=not whole, default=str)
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
