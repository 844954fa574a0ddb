"""The training plan: what each role needs, who has which role, how long it counts. No IO, no clock (ADR 19)."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from opsbook.core.model.text import one_line, span_seconds

_FIRST_CHECK = "30d"
_LONGEST = 3650 * 86400
"""Seconds; at most ten years."""


def _span(value: str) -> str:
    if not 0 < span_seconds(value) <= _LONGEST:
        raise ValueError(f"{one_line(value, 40)} is not between a moment and ten years; write days, such as 180d")
    return value


def _day(value: object) -> object:
    """A date. Pydantic would take a number for seconds since 1970."""
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(f"{one_line(str(value), 40)} is not a date; write one such as 2026-11-20") from error


Span = Annotated[str, AfterValidator(_span)]
Day = Annotated[datetime.date, BeforeValidator(_day)]
Kind = Literal["drill", "runbook"]


class TrainingRole(BaseModel):
    """What a role requires."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str = ""
    drills: tuple[str, ...] = ()
    runbooks: tuple[str, ...] = ()
    valid: Span = "180d"
    first_check: Span = _FIRST_CHECK
    points: int = Field(0, ge=0, le=100)

    @model_validator(mode="after")
    def _first_comes_first(self) -> "TrainingRole":
        if "first_check" in self.model_fields_set and span_seconds(self.first_check) > span_seconds(self.valid):
            raise ValueError(f"first_check ({self.first_check}) is longer than valid ({self.valid})")
        return self


class Member(BaseModel):
    """A person of the plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    roles: tuple[str, ...] = ()
    since: Day | None = None


@dataclass(frozen=True)
class Requirement:
    """One requirement of a role. Spans are seconds; `points` is the minimum."""

    role: str
    kind: Kind
    name: str
    valid: float
    first_check: float
    points: int = 0


@dataclass(frozen=True)
class TrainingPlan:
    """The whole plan. Roles and people keep the order of the file."""

    roles: dict[str, TrainingRole]
    people: dict[str, Member]

    def requirements(self, role: str) -> Iterator[Requirement]:
        """The requirements of a role: drills, then runbooks, in the order of the file."""
        asked = self.roles[role]
        valid = span_seconds(asked.valid)
        spans: dict[str, Any] = {"valid": valid, "first_check": min(span_seconds(asked.first_check), valid)}
        for name in dict.fromkeys(asked.drills):
            yield Requirement(role, "drill", name, **spans, points=asked.points)
        for name in dict.fromkeys(asked.runbooks):
            yield Requirement(role, "runbook", name, **spans)

    def needs(self, person: str) -> Iterator[Requirement]:
        """A person's requirements, role by role."""
        for role in dict.fromkeys(self.people[person].roles):
            yield from self.requirements(role)

    def members(self, role: str) -> list[str]:
        """The people of a role."""
        return [person for person, member in self.people.items() if role in member.roles]

    def title(self, role: str) -> str:
        """The title of a role."""
        return self.roles[role].title or role
