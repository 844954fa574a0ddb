"""Environments: a folder under playbooks/inventories/ with Ansible's inventory and environment.yml.

The ports of an environment are a block of a hundred, from environment.yml or set for this clone.
"""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from opsbook import files
from opsbook.core.model.environment import (
    ChoiceRule,
    Environment,
    Policy,
    Resolved,
    checked_block,
    with_ports,
)
from opsbook.core.model.text import nearest
from opsbook.core.planning import hosts_file, yaml_files
from opsbook.core.planning.yaml_files import shown
from opsbook.errors import InputError
from opsbook.settings import Settings

Groups = Mapping[str, tuple[str, ...]]


FOLDER, TABLE = "playbooks/inventories/{name}/environment.yml", "environments/{name}.yml"
"""Where the policy of an environment is: that of a folder, and that of one that opsbook.toml names."""

CLOSED = Policy(protected=True, approvals=1)
"""What holds in an environment that opsbook.toml names, and that has no policy."""


def names(settings: Settings) -> list[str]:
    """Environments of the project, in their order."""
    folders = [p.parent.name for p in settings.inventories.glob("*/hosts.yml")]
    return sorted({*folders, *settings.ansible.inventories})


def load(settings: Settings, name: str, *, anew: bool = False) -> Environment:
    """The environment with its hosts and choices. Raises InputError for an unknown or broken one.

    `anew`: Ansible is asked again where hosts may have changed by themselves.
    """
    policy = _with_ports(settings, name, load_as_written(settings, name))
    sources = settings.ansible.inventories.get(name)
    folder = settings.inventories / name
    if sources is None:
        found = Resolved(hosts_file.groups(folder / "hosts.yml"))
    else:
        from opsbook.core.planning import inventory

        found = inventory.resolved(settings, name, sources, anew=anew)
    return Environment(
        name=name,
        policy=policy,
        inventory=str(folder.relative_to(settings.content)) if sources is None else tuple(sources),
        hosts=tuple(sorted({host for members in found.groups.values() for host in members})),
        groups=found.groups,
        choices=_choices(settings.root, policy_path(settings, name), policy, found.groups),
        resolved=found.digest if found.dynamic else "",
        asked=found.asked if found.dynamic else "",
    )


def every(settings: Settings) -> tuple[list[Environment], list[InputError]]:
    """Every environment that loads, in the order of their policies; and what is wrong with the others."""
    found: list[Environment] = []
    broken: list[InputError] = []
    for name in names(settings):
        try:
            found.append(load(settings, name))
        except InputError as error:
            broken.append(error)
    return sorted(found, key=lambda each: (each.policy.order, each.name)), broken


def load_as_written(settings: Settings, name: str) -> Policy:
    """The policy as environment.yml has it, without this clone's ports. Raises InputError."""
    known = names(settings)
    if name not in known:
        raise InputError(f"There is no environment {name}.", nearest(name, known))
    path = policy_path(settings, name)
    if name in settings.ansible.inventories and not path.exists():
        return CLOSED
    return _policy(path)


def policy_path(settings: Settings, name: str) -> Path:
    """The file with the policy of an environment, which may be missing."""
    return settings.content / (TABLE if name in settings.ansible.inventories else FOLDER).format(name=name)


def _with_ports(settings: Settings, name: str, policy: Policy) -> Policy:
    # Only a sandbox: a file local to this clone must not change a guarded environment.
    moved = moved_ports(settings, name) if policy.sandbox and policy.ports is not None else None
    try:
        return resolved(policy, moved)
    except ValueError as error:
        said = f"{name}/environment.yml: {error}."
        raise InputError(said, "It is resolved in the texts of urls and settings.") from error


def _policy(path: Path) -> Policy:
    if not path.exists() and not path.is_symlink():
        return Policy()
    policy = _validated(yaml_files.read(path), path)
    try:
        ZoneInfo(policy.time_zone)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        said = f"{shown(path)}: time_zone: there is no zone {policy.time_zone}."
        raise InputError(said, "Write one such as Europe/Berlin, or UTC.") from error
    if lost := [name for name, each in policy.channels.items() if each.to not in policy.secrets]:
        told = [f"{shown(path)}: channels.{name}: there is no secret {policy.channels[name].to}." for name in lost]
        raise InputError(told, "Name it under secrets, with its reference.")
    try:
        json.dumps(policy.settings, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{shown(path)}: settings: {error}.", "Take text, numbers, true, false and lists.") from error
    return policy


def policy_of(text: str) -> Policy:
    """The policy from the text of an environment.yml. Raises InputError."""
    return _validated(yaml_files.parsed(text, Path("environment.yml")), Path("environment.yml"))


def _validated(content: Any, path: Path) -> Policy:
    try:
        return Policy.model_validate(content or {})
    except ValidationError as error:
        raise InputError(yaml_files.sentences(path, error), f"Known keys: {', '.join(Policy.model_fields)}.") from error


# -- choices


def _choices(root: Path, path: Path, policy: Policy, groups: Groups) -> dict[str, tuple[str, ...]]:
    """Every list of choices, with hosts and groups. Raises InputError with every unusable rule."""
    found = {"Host": tuple(sorted({host for hosts in groups.values() for host in hosts})), "Group": tuple(groups)}
    problems = []
    for name, rule in policy.choices.items():
        try:
            found[name] = _chosen(root, rule, groups) if isinstance(rule, ChoiceRule) else rule
        except (ValueError, OSError) as error:
            said = str(error)
            problems.append(f"{shown(path)}: choices.{name}: {said}{'' if said.endswith(('.', '?')) else '.'}")
    if problems:
        raise InputError(problems, "A choice is a list, `glob: PATTERN` below the project, or `group: NAME`.")
    return found


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


def moved_ports(settings: Settings, name: str) -> int | None:
    """The first port of the block set for this clone; None without one.

    Raises InputError for a file with other content.
    """
    path = _file(settings, name)
    try:
        return checked_block(int(files.read_text(path)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        said = f"{path} does not say which ports {name} has here: {error}."
        raise InputError(said, f"Give it some: opsbook env ports {name} --free, or --reset.") from error


def keep_ports(settings: Settings, name: str, first: int) -> None:
    """Set another block for this clone, until `forget_ports`."""
    files.write_atomic(_file(settings, name), f"{first}\n".encode())


def forget_ports(settings: Settings, name: str) -> None:
    """Return to the ports of environment.yml."""
    _file(settings, name).unlink(missing_ok=True)


def resolved(policy: Policy, first: int | None) -> Policy:
    """The policy with ports from `first`, or its own, filled into urls and settings. Raises ValueError."""
    if policy.ports is None:
        return policy
    base = policy.ports if first is None else first
    texts = {key: _numbered(getattr(policy, key), base) for key in ("urls", "health", "settings")}
    return policy.model_copy(update={"ports": base, **texts})


def _numbered(value: Any, first: int) -> Any:
    if isinstance(value, str):
        return with_ports(value, first)
    if isinstance(value, dict):
        return {name: _numbered(inner, first) for name, inner in value.items()}
    return [_numbered(inner, first) for inner in value] if isinstance(value, list) else value


def _file(settings: Settings, name: str) -> Path:
    return settings.state / "ports" / name
