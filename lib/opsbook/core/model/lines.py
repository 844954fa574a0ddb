"""Lines as a terminal shows them: carriage returns, backspaces and sequences that erase overwrite what was there."""

import re
from dataclasses import dataclass

_PARTS = re.compile(r"(\r|\x08|\x1b\[[0-9;?]*[ -/]*[@-~])")

_UNFINISHED = re.compile(r"\x1b(\[[0-9;?]*)?$")


def overwritten(text: str) -> str:
    """The text as it is in the end. Lines without anything overwritten are unchanged, with their colours."""
    if "\r" not in text and "\b" not in text:
        return text
    lines = (line.rstrip("\r") for line in text.split("\n"))
    return "\n".join(_cells(line)[0] if "\r" in line or "\b" in line else line for line in lines)


@dataclass
class LineBuffer:
    """Text that arrives in pieces. `rest` is the line that has not ended."""

    rest: str = ""

    def feed(self, piece: str) -> list[str]:
        """The lines that ended with this piece."""
        *lines, rest = (self.rest + piece).split("\n")
        if ("\r" in rest or "\b" in rest) and not _UNFINISHED.search(rest):
            shown, at = _cells(rest)
            # The same line and cursor, however often it was overwritten.
            rest = f"{shown}\r{shown[:at]}"
        self.rest = rest
        return [overwritten(line) for line in lines]

    @property
    def current(self) -> str:
        """The line that has not ended, as it is now."""
        return overwritten(self.rest)

    def end(self) -> list[str]:
        """The last line, if it has no end."""
        text, self.rest = self.current, ""
        return [text] if text else []


def _cells(line: str) -> tuple[str, int]:
    """The line after everything in it took effect, without colours, and where its cursor is."""
    shown, at = "", 0
    for part in _PARTS.split(line):
        if part == "\r":
            at = 0
        elif part == "\b":
            at = max(at - 1, 0)
        elif not part.startswith("\x1b["):
            shown, at = shown[:at] + part + shown[at + len(part) :], at + len(part)
        elif part in ("\x1b[K", "\x1b[0K"):
            shown = shown[:at]
        elif part == "\x1b[2K":
            shown = " " * at
    return shown, at
