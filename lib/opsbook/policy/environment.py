"""Environments: a folder under playbooks/inventories/ with Ansible's inventory and environment.yml."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from opsbook.errors import InputError
from opsbook.model.environment import ChoiceRule, Environment, Policy
from opsbook.model.text import nearest
from opsbook.settings import Settings

_RANGE = re.compile(r"\[(\w+):(\w+)(?::(\d+))?\]")


class _InventoryLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with Ansible's own tags (!vault, !unsafe), which are of no interest here."""


_InventoryLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


def names(settings: Settings) -> list[str]:
    """Environments of the project, in their order."""
    folders = [p.parent for p in settings.inventories.glob("*/hosts.yml")]
    return sorted(folder.name for folder in folders)


def load(settings: Settings, name: str) -> Environment:
    """The environment with its hosts and choices. Raises InputError for an unknown or broken one."""
    known = names(settings)
    if name not in known:
        raise InputError(f"There is no environment {name}.", nearest(name, known))
    folder = settings.inventories / name
    policy = _policy(folder / "environment.yml")
    groups = _groups(folder / "hosts.yml")
    hosts = tuple(sorted({host for members in groups.values() for host in members}))
    return Environment(
        name=name,
        policy=policy,
        inventory=str(folder.relative_to(settings.root)),
        hosts=hosts,
        groups=groups,
        choices=_choices(settings.root, policy, groups, hosts),
    )


def _policy(path: Path) -> Policy:
    if not path.is_file():
        return Policy()
    try:
        return Policy.model_validate(_yaml(path) or {})
    except ValidationError as error:
        problems = [_sentence(path, e["loc"], e["msg"]) for e in error.errors()]
        raise InputError(problems, f"Known keys: {', '.join(Policy.model_fields)}.") from error


def _sentence(path: Path, where: tuple[int | str, ...], message: str) -> str:
    return f"{path.parent.name}/{path.name}: {'.'.join(map(str, where))}: {message}."


def _yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_InventoryLoader)  # noqa: S506  (safe, above)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {error}.", "Correct the file and try again.") from error


def _groups(path: Path) -> dict[str, tuple[str, ...]]:
    content = _yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: an inventory is a mapping of groups.", "See Ansible's YAML inventory.")
    found: dict[str, set[str]] = {}
    for name, group in content.items():
        _collect(str(name), group, found)
    return {name: tuple(sorted(hosts)) for name, hosts in sorted(found.items())}


def _collect(name: str, group: Any, found: dict[str, set[str]]) -> set[str]:
    """Hosts of a group and its children, filled into `found`."""
    body = group if isinstance(group, dict) else {}
    hosts = {host for pattern in body.get("hosts") or () for host in _expand(str(pattern))}
    for child, inner in (body.get("children") or {}).items():
        hosts |= _collect(str(child), inner, found)
    found.setdefault(name, set()).update(hosts)
    return found[name]


def _expand(pattern: str) -> Iterator[str]:
    """Ansible's host ranges: web[01:10], db[a:c]."""
    match = _RANGE.search(pattern)
    if match is None:
        yield pattern
        return
    first, last, step = match[1], match[2], int(match[3] or 1)
    if first.isdigit():
        items = [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1, step)]
    else:
        items = [chr(n) for n in range(ord(first), ord(last) + 1, step)]
    for item in items:
        yield from _expand(pattern[: match.start()] + item + pattern[match.end() :])


def _choices(
    root: Path, policy: Policy, groups: dict[str, tuple[str, ...]], hosts: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    found = {"Host": hosts, "Group": tuple(groups)}
    for name, rule in policy.choices.items():
        if not isinstance(rule, ChoiceRule):
            found[name] = rule
        elif rule.group is not None:
            found[name] = groups.get(rule.group, ())
        elif rule.glob is not None:
            found[name] = _glob(root, rule.glob)
    return found


def _glob(root: Path, pattern: str) -> tuple[str, ...]:
    before, _, after = pattern.partition("*")
    matches = (str(path.relative_to(root)) for path in root.glob(pattern))
    return tuple(sorted(text[len(before) : len(text) - len(after)] for text in matches))
