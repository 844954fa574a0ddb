"""A problem in a document: where, which rule, what is wrong."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """`path` is relative to the project; `line` and `column` count from 1. `warning` does not fail a check."""

    path: str
    line: int
    column: int
    code: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column} {self.code} {self.message}"
