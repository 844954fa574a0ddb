"""training.yml: what each role needs, who has which role, how long it counts (ADR 19); validated against the pages."""

import datetime
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from opsbook import files
from opsbook.core.model.text import nearest, one_line, span_seconds
from opsbook.core.source.problem import Problem
from opsbook.errors import InputError
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.core.catalog.catalog import Entry

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


# -- the file


FILE = "training.yml"

_HINT = f"Correct {FILE}; docs/training-plan.md shows one."
_PARTS = {"roles": TrainingRole, "people": Member}

M = TypeVar("M", TrainingRole, Member)


def exists(settings: Settings) -> bool:
    """Whether the project has a training plan."""
    return (settings.root / FILE).is_file()


def problems(settings: Settings, entries: Collection["Entry"]) -> list[Problem]:
    """T001: all problems of the project's plan."""
    try:
        load(settings, entries)
    except InputError as error:
        return [Problem(FILE, 1, 1, "T001", each.removeprefix(f"{FILE}: ").rstrip(".")) for each in error.problems]
    return []


def load(settings: Settings, entries: Collection["Entry"]) -> TrainingPlan | None:
    """The project's plan, checked against its pages; None without one. Raises InputError with all problems."""
    if not exists(settings):
        return None
    written, wrong = _mappings(_content(settings))
    roles, bad_roles = _each(TrainingRole, "roles", written["roles"])
    people, bad_people = _each(Member, "people", written["people"])
    nobodies = (name for name in people if "@" in name or not name.strip() or not name.isprintable())
    wrong += [*bad_roles, *bad_people]
    wrong += [f"people.{one_line(name, 40)}: write the user's name alone, such as ann." for name in nobodies]
    for person, member in people.items():
        wrong += list(_strange(f"people.{person}.roles", "role", member.roles, written["roles"]))
    wrong += list(_pages(roles, entries))
    if wrong:
        raise InputError([f"{FILE}: {problem}" for problem in wrong], _HINT)
    return TrainingPlan(roles, people)


def _content(settings: Settings) -> Any:
    try:
        return files.parse_yaml(files.read_text(settings.root / FILE, within=files.ANYWHERE))
    except OSError as error:
        raise InputError(f"{FILE} cannot be read: {error.strerror}.", _HINT) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{FILE}: not valid YAML: {one_line(files.yaml_says(error))}.", _HINT) from error


def _mappings(content: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The names under each part as text, with their values; and the problems of the parts themselves."""
    if content is not None and not isinstance(content, dict):
        return {part: {} for part in _PARTS}, ["it is not a list of `key: value` lines."]
    given = {str(key): value for key, value in (content or {}).items()}
    problems = [f"unknown key {key}. {nearest(key, _PARTS)}" for key in given if key not in _PARTS]
    found: dict[str, dict[str, Any]] = {}
    for part in _PARTS:
        value = given.get(part)
        if value is not None and not isinstance(value, dict):
            problems.append(f"{part}: write names, each with its keys below it.")
        found[part] = {str(key): inner for key, inner in value.items()} if isinstance(value, dict) else {}
    return found, problems


def _each(model: type[M], part: str, written: Mapping[str, Any]) -> tuple[dict[str, M], list[str]]:
    """The valid ones by name, and a sentence for each problem of the others."""
    found: dict[str, M] = {}
    problems: list[str] = []
    for name, value in written.items():
        try:
            found[name] = model.model_validate({} if value is None else value)
        except ValidationError as error:
            problems += [
                _sentence(f"{part}.{name}", model, each["loc"], each["type"], each["msg"]) for each in error.errors()
            ]
    return found, problems


def _sentence(where: str, model: type[BaseModel], at: tuple[int | str, ...], kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return f"{where}: unknown key {at[0]}. {nearest(str(at[0]), model.model_fields)}"
    if kind in ("model_type", "tuple_type"):
        message = "write keys below it" if kind == "model_type" else "write a list of names"
    said = message.removeprefix("Value error, ")
    return f"{'.'.join([where, *map(str, at)])}: {said[0].lower()}{said[1:]}."


def _strange(where: str, what: str, names: Collection[str], known: Collection[str]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{where}: there is no {what} {name}. {nearest(name, known)}"


def _pages(roles: Mapping[str, TrainingRole], entries: Collection["Entry"]) -> Iterator[str]:
    drills = {entry.name for entry in entries if entry.front.drill is not None}
    others = {entry.name for entry in entries} - drills
    for name, role in roles.items():
        for drill in role.drills:
            if drill in others:
                yield f"roles.{name}.drills: {drill} is no drill; write it under runbooks."
        for runbook in role.runbooks:
            if runbook in drills:
                yield f"roles.{name}.runbooks: {runbook} is a drill; write it under drills."
        yield from _strange(f"roles.{name}.drills", "drill", set(role.drills) - others, drills)
        yield from _strange(f"roles.{name}.runbooks", "runbook", set(role.runbooks) - drills, others)
