"""What a check of the doctor says."""

from dataclasses import dataclass
from enum import StrEnum

from opsbook.errors import InputError


class Level(StrEnum):
    """Fine, look at it, or it will not work."""

    FINE = "fine"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One line of the checklist. `hint` says what to do, and is there for everything that is not fine."""

    level: Level
    text: str
    hint: str = ""


def fine(text: str) -> Finding:
    return Finding(Level.FINE, text)


def warning(text: str, hint: str) -> Finding:
    return Finding(Level.WARNING, text, hint)


def wrong(text: str, hint: str) -> Finding:
    return Finding(Level.WRONG, text, hint)


def refused(error: InputError) -> list[Finding]:
    """Every problem of an error, each with its hint."""
    hint = error.hint.removesuffix("Nothing ran.").strip() or "Correct it and try again."
    return [wrong(problem.rstrip("."), hint) for problem in error.problems]
