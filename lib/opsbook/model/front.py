"""The front matter of a document, validated."""

import datetime
import math
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from opsbook.model.text import one_line

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

MKDOCS_KEYS = frozenset({"template", "hide", "icon", "status", "subtitle", "description", "tags", "search"})
"""Front matter of MkDocs and Material that a document may carry for its page."""

_SPAN = re.compile(r"^([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)$")
_NUMBER = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", re.IGNORECASE)
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def split(text: str) -> tuple[str | None, int]:
    """The YAML between the first two `---` lines (None if there is none), and the index of the line after it."""
    lines = text.removeprefix("\ufeff").split("\n")
    if lines[0].rstrip() != "---":
        return None, 0
    for index, line in enumerate(lines[1:], 1):
        if line.rstrip() == "---":
            return "\n".join(lines[1:index]), index + 1
    return None, 0


def span_seconds(text: str) -> float:
    """`90s`, `3m`, `1.5h`, `90d` -> seconds. Raises ValueError with a sentence for anything else."""
    match = _SPAN.match(text.strip())
    if not match:
        shown = one_line(text, 40)
        raise ValueError(f"{shown!r} is not a duration; write a number and ms, s, m, h or d, such as 90s or 3m")
    seconds = float(match[1]) * _UNIT[match[2]]
    if not math.isfinite(seconds):
        raise ValueError(f"{one_line(text, 40)!r} is longer than any time")
    return seconds


class FrontMatter(BaseModel):
    """What a document says of itself. Every key is optional: a page without front matter is a procedure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str | None = None
    summary: str = ""
    kind: Kind = "procedure"
    owner: str | None = None
    duration: str | None = Field(None, description="Expected time of a whole run, such as 3m")
    reviewed: datetime.date | None = None
    review_every: str | None = Field(None, description="How long a review counts, such as 90d")
    lock: tuple[str, ...] = Field((), description="Targets this run changes; {environment} and parameters in braces")
    rollback: Literal["automatic", "ask", "manual", "none"] = "none"
    alerts: tuple[str, ...] = ()
    environments: tuple[str, ...] = Field((), description="Where it may run; empty means everywhere")

    @field_validator("reviewed", mode="before")
    @classmethod
    def _is_date(cls, value: object) -> object:
        """A number would be taken for seconds since 1970."""
        if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip())):
            raise ValueError(f"{one_line(str(value), 40)} is not a date; write one such as 2026-11-20")
        return value

    @field_validator("duration", "review_every")
    @classmethod
    def _is_span(cls, value: str | None) -> str | None:
        if value is not None:
            span_seconds(value)
        return value
