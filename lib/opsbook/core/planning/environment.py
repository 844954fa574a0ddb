"""Environments: a folder under playbooks/inventories/ with Ansible's inventory and environment.yml."""

import json
import re
import string
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator

from opsbook import files
from opsbook.core.model.environment import ChoiceRule, Environment, Policy
from opsbook.core.model.text import nearest
from opsbook.core.planning import ports
from opsbook.errors import InputError
from opsbook.files import PlainLoader, parse_yaml
from opsbook.settings import Settings

MOST_HOSTS = 100_000
_LONGEST_NAME = 255
_RANGE = re.compile(r"\[([^\[\]]*)\]")
_BOUNDS = re.compile(r"(?:([0-9]*):([0-9]+)|([a-zA-Z]):([a-zA-Z]))(?::([1-9][0-9]*))?")

Groups = Mapping[str, tuple[str, ...]]


class _InventoryLoader(PlainLoader):
    """YAML with Ansible's own tags (!vault, !unsafe), whose values are ignored."""


_InventoryLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


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


def names(settings: Settings) -> list[str]:
    """Environments of the project, in their order."""
    folders = [p.parent for p in settings.inventories.glob("*/hosts.yml")]
    return sorted(folder.name for folder in folders)


def load(settings: Settings, name: str) -> Environment:
    """The environment with its hosts and choices. Raises InputError for an unknown or broken one."""
    written = load_as_written(settings, name)
    folder = settings.inventories / name
    policy = _with_ports(settings, name, written)
    groups = _groups(folder / "hosts.yml")
    hosts = tuple(sorted({host for members in groups.values() for host in members}))
    return Environment(
        name=name,
        policy=policy,
        inventory=str(folder.relative_to(settings.content)),
        hosts=hosts,
        groups=groups,
        choices=_choices(settings.root, folder / "environment.yml", policy, groups),
    )


def load_as_written(settings: Settings, name: str) -> Policy:
    """The policy as environment.yml has it, without this clone's ports. Raises InputError."""
    known = names(settings)
    if name not in known:
        raise InputError(f"There is no environment {name}.", nearest(name, known))
    return _policy(settings.inventories / name / "environment.yml")


def _with_ports(settings: Settings, name: str, policy: Policy) -> Policy:
    # Only a sandbox: a file local to this clone must not change a guarded environment.
    moved = ports.moved(settings, name) if policy.sandbox and policy.ports is not None else None
    try:
        return ports.resolved(policy, moved)
    except ValueError as error:
        said = f"{name}/environment.yml: {error}."
        raise InputError(said, "It is resolved in the texts of urls and settings.") from error


def _policy(path: Path) -> Policy:
    if not path.exists() and not path.is_symlink():
        return Policy()
    policy = _validated(_yaml(path), path)
    try:
        ZoneInfo(policy.time_zone)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        said = f"{_shown(path)}: time_zone: there is no zone {policy.time_zone}."
        raise InputError(said, "Write one such as Europe/Berlin, or UTC.") from error
    try:
        json.dumps(policy.settings, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{_shown(path)}: settings: {error}.", "Take text, numbers, true, false and lists.") from error
    return policy


def policy_of(text: str) -> Policy:
    """The policy from the text of an environment.yml. Raises InputError."""
    return _validated(_parsed(text, Path("environment.yml")), Path("environment.yml"))


def _validated(content: Any, path: Path) -> Policy:
    try:
        return Policy.model_validate(content or {})
    except ValidationError as error:
        raise InputError(_sentences(path, error), f"Known keys: {', '.join(Policy.model_fields)}.") from error


def _sentences(path: Path, error: ValidationError) -> list[str]:
    """One sentence for each place. A choice that matches none of its three shapes is one problem, not three."""
    found = {}
    for problem in error.errors():
        where, message = problem["loc"], problem["msg"]
        if where[:1] == ("choices",) and len(where) > 1:
            where, message = where[:2], "take a list of texts, `glob: PATTERN` or `group: NAME`"
        found[".".join(map(str, where))] = message
    return [f"{': '.join(filter(None, (_shown(path), place, message)))}." for place, message in found.items()]


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _yaml(path: Path) -> Any:
    try:
        return _parsed(files.read_text(path, within=files.ANYWHERE), path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Correct it and try again.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not valid YAML: {error}.", "Correct the file and try again.") from error


def _parsed(text: str, path: Path) -> Any:
    try:
        return parse_yaml(text, _InventoryLoader)
    except yaml.YAMLError as error:
        raise InputError(
            f"{path}: not valid YAML: {' '.join(str(error).split())}.", "Correct the file and try again."
        ) from error


# -- hosts


def _groups(path: Path) -> dict[str, tuple[str, ...]]:
    """The hosts of each group with those of its children, sorted."""
    direct: dict[str, set[str]] = {}
    children: dict[str, set[str]] = defaultdict(set)
    problems = []
    for name, group in _every(_inventory(path)):
        try:
            direct[name] = direct.get(name, set()) | _expanded(group.hosts)
        except ValueError as error:
            problems.append(f"{_shown(path)}: {name}.hosts: {error}.")
        children[name] |= set(group.children)
    if problems:
        raise InputError(problems, "Write hosts as Ansible does: web[01:10], db[a:c], or a name a line.")
    if "all" in direct:
        children["all"] |= set(direct)
    return {name: tuple(sorted(_members(name, direct, children))) for name in sorted(direct)}


def _inventory(path: Path) -> dict[str, _Group | None]:
    try:
        return _INVENTORY.validate_python(_by_text(_yaml(path)))
    except ValidationError as error:
        raise InputError(_sentences(path, error), "An inventory is a mapping of groups: see Ansible's YAML.") from error


def _every(groups: Mapping[str, _Group | None]) -> Iterator[tuple[str, _Group]]:
    for name, group in groups.items():
        yield name, group or _Group()
        yield from _every(group.children if group else {})


def _members(name: str, direct: Mapping[str, set[str]], children: Mapping[str, set[str]]) -> set[str]:
    todo, seen = [name], set()
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += children[one]
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


# -- choices


def _choices(root: Path, path: Path, policy: Policy, groups: Groups) -> dict[str, tuple[str, ...]]:
    """Every list of choices, with hosts and groups. Raises InputError with every unusable rule."""
    found = {"Host": tuple(sorted({host for hosts in groups.values() for host in hosts})), "Group": tuple(groups)}
    problems = []
    for name, rule in policy.choices.items():
        try:
            found[name] = _chosen(root, rule, groups) if isinstance(rule, ChoiceRule) else rule
        except (ValueError, OSError) as error:
            problems.append(f"{_shown(path)}: choices.{name}: {_ended(str(error))}")
    if problems:
        raise InputError(problems, "A choice is a list, `glob: PATTERN` below the project, or `group: NAME`.")
    return found


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."


def _chosen(root: Path, rule: ChoiceRule, groups: Groups) -> tuple[str, ...]:
    if rule.group is not None and rule.glob is None:
        if rule.group not in groups:
            raise ValueError(f"there is no group {rule.group}. {nearest(rule.group, groups)}")
        return groups[rule.group]
    if rule.glob is None or rule.group is not None:
        raise ValueError("it needs either glob or group")
    return _glob(root, rule.glob)


def _glob(root: Path, pattern: str) -> tuple[str, ...]:
    """What the one * of the pattern matches, sorted."""
    path = PurePosixPath(pattern)
    if not pattern or path.is_absolute() or ".." in path.parts or str(path) != pattern or not pattern.isprintable():
        raise ValueError(f"the glob {pattern!r} is no path below the project")
    if pattern.count("*") != 1 or set("?[]") & set(pattern):
        raise ValueError(f"the glob {pattern!r} needs exactly one * and no ?, [ or ]")
    before, _, after = pattern.partition("*")
    matches = (str(path.relative_to(root)) for path in root.glob(pattern))
    return tuple(sorted(text[len(before) : len(text) - len(after)] for text in matches))
