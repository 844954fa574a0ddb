"""The findings of the doctor's checks."""

from dataclasses import dataclass
from enum import StrEnum

from opsbook.errors import InputError


class Level(StrEnum):
    """Fine, worth a look, or it will not work."""

    FINE = "fine"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One line of the checklist. `hint` says what to do; every finding that is not fine has one."""

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
    """Every problem of an error as a finding, with the error's hint."""
    hint = error.hint.removesuffix("Nothing ran.").strip() or "Correct it and try again."
    return [wrong(problem.rstrip("."), hint) for problem in error.problems]
