"""The front matter of a document, validated."""

import datetime
import re
from typing import Annotated, Literal

from opsbook.core.model.text import checked_span, one_line
from opsbook.shapes import Check, Shape

Kind = Literal[
    "deploy",
    "incident",
    "maintenance",
    "capacity",
    "recovery",
    "security",
    "environment",
    "check",
    "training",
    "procedure",
]

Shell = Literal["step", "each"]

Rollback = Literal["automatic", "ask", "manual", "none"]

MKDOCS_KEYS = frozenset({"template", "hide", "icon", "status", "subtitle", "description", "tags", "search"})
"""Front matter keys of MkDocs and Material that a document may have."""

_NUMBER = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", re.IGNORECASE)


def split(text: str) -> tuple[str | None, int]:
    """The YAML between the first two `---` lines (None if there is none), and the index of the line after it.

    Hugo's TOML between `+++` is passed by.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    mark = lines[0].rstrip()
    if mark not in ("---", "+++"):
        return None, 0
    for index, line in enumerate(lines[1:], 1):
        if line.rstrip() == mark:
            return "\n".join(lines[1:index]) if mark == "---" else None, index + 1
    return None, 0


def _is_date(value: object) -> object:
    """A number would be taken for seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip())):
        raise ValueError(f"{one_line(str(value), 40)} is not a date; write one such as 2026-11-20")
    return value


_Span = Annotated[str, Check(checked_span)]


class Drill(Shape):
    """What makes a page a drill: it brings a fault in, and waits until somebody has mended it."""

    solved_by: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


class FrontMatter(Shape):
    """What a document says of itself. Every key is optional: a page without front matter is a procedure."""

    title: str | None = None
    summary: str = ""
    kind: Kind = "procedure"
    owner: str | None = None
    duration: _Span | None = None
    reviewed: Annotated[datetime.date | None, Check(_is_date, before=True)] = None
    review_every: _Span | None = None
    lock: tuple[str, ...] = ()
    rollback: Rollback = "none"
    alerts: tuple[str, ...] = ()
    auto: bool = False
    shell: Shell = "step"
    environments: tuple[str, ...] = ()
    drill: Drill | None = None
