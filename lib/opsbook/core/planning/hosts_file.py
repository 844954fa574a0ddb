"""Groups and hosts of a plain YAML inventory, with Ansible's host ranges, read without Ansible (ADR 5)."""

import re
import string
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator

from opsbook.core.planning.yaml_files import read, sentences, shown
from opsbook.errors import InputError

MOST_HOSTS = 100_000
_LONGEST_NAME = 255
_RANGE = re.compile(r"\[([^\[\]]*)\]")
_BOUNDS = re.compile(r"(?:([0-9]*):([0-9]+)|([a-zA-Z]):([a-zA-Z]))(?::([1-9][0-9]*))?")


class _Group(BaseModel):
    """A group of an Ansible inventory; only names matter here, so other keys are ignored."""

    hosts: dict[str, Any] = Field(default_factory=dict)
    children: dict[str, "_Group | None"] = Field(default_factory=dict)

    @field_validator("hosts", "children", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """Accepts nothing, one name, or a mapping whose names may look like numbers."""
        if isinstance(value, str):
            return {value: None}
        return _by_text({} if value is None else value)


def _by_text(value: Any) -> Any:
    return {str(name): inner for name, inner in value.items()} if isinstance(value, dict) else value


_INVENTORY: TypeAdapter[dict[str, _Group | None]] = TypeAdapter(dict[str, _Group | None])


def groups(path: Path) -> dict[str, tuple[str, ...]]:
    """The hosts of each group with those of its children, sorted."""
    direct: dict[str, set[str]] = {}
    children: dict[str, set[str]] = defaultdict(set)
    problems = []
    try:
        read_groups = _INVENTORY.validate_python(_by_text(read(path)))
    except ValidationError as error:
        raise InputError(sentences(path, error), "An inventory is a mapping of groups: see Ansible's YAML.") from error
    for name, group in _every(read_groups):
        try:
            direct[name] = direct.get(name, set()) | _expanded(group.hosts)
        except ValueError as error:
            problems.append(f"{shown(path)}: {name}.hosts: {error}.")
        children[name] |= set(group.children)
    if problems:
        raise InputError(problems, "Write hosts as Ansible does: web[01:10], db[a:c], or a name a line.")
    if "all" in direct:
        children["all"] |= set(direct)
    return {name: tuple(sorted(members(name, direct, children))) for name in sorted(direct)}


def _every(groups: Mapping[str, _Group | None]) -> Iterator[tuple[str, _Group]]:
    for name, group in groups.items():
        yield name, group or _Group()
        yield from _every(group.children if group else {})


def members(name: str, direct: Mapping[str, set[str]], children: Mapping[str, set[str]]) -> set[str]:
    todo, seen = [name], set()
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += children.get(one, ())
    return set().union(*(direct[one] for one in seen))


def _expanded(patterns: Iterable[str]) -> set[str]:
    """Every host that the patterns match. Raises ValueError."""
    found: set[str] = set()
    for pattern in patterns:
        if not 0 < len(pattern) <= _LONGEST_NAME:
            raise ValueError(f"a host's name has 1 to {_LONGEST_NAME} characters, this one has {len(pattern)}")
        for host in _expand(pattern):
            found.add(host)
            if len(found) > MOST_HOSTS:
                raise ValueError(f"{pattern} makes more than {MOST_HOSTS:,} hosts")
    return found


def _expand(pattern: str) -> Iterator[str]:
    """Ansible's host ranges: web[01:10], db[a:c], also several in one name."""
    match = _RANGE.search(pattern)
    if match is None or match[1].count(":") > 2:
        # More colons are an IPv6 address.
        yield pattern
        return
    for item in _items(pattern, match[1]):
        yield from _expand(pattern[: match.start()] + item + pattern[match.end() :])


def _items(pattern: str, inside: str) -> Iterator[str]:
    """The values of one range. Raises ValueError for what Ansible refuses, or expands to no host."""
    match = _BOUNDS.fullmatch(inside)
    if match is None:
        raise ValueError(f"{pattern}: [{inside}] is no range")
    first, last, step = match[1] or match[3] or "0", match[2] or match[4], int(match[5] or 1)
    padded = first.isdigit() and len(first) > 1 and first[0] == "0"
    if padded and len(first) != len(last):
        raise ValueError(f"{pattern}: both ends of [{inside}] need the same number of digits")
    letters = string.ascii_letters
    low, high = (int(first), int(last)) if first.isdigit() else (letters.index(first), letters.index(last))
    if low > high:
        raise ValueError(f"{pattern}: [{inside}] is empty")
    for number in range(low, high + 1, step):
        yield str(number).zfill(len(first) if padded else 0) if first.isdigit() else letters[number]
