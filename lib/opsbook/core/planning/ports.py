"""Ports of an environment: a block of a hundred, from environment.yml or set for this clone."""

from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.model.environment import Policy, checked_block, with_ports
from opsbook.errors import InputError
from opsbook.settings import Settings


def moved(settings: Settings, name: str) -> int | None:
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


def keep(settings: Settings, name: str, first: int) -> None:
    """Set another block for this clone, until `forget`."""
    files.write_atomic(_file(settings, name), f"{first}\n".encode())


def forget(settings: Settings, name: str) -> None:
    """Return to the ports of environment.yml."""
    _file(settings, name).unlink(missing_ok=True)


def resolved(policy: Policy, first: int | None) -> Policy:
    """The policy with ports from `first`, or its own, filled into urls and settings. Raises ValueError."""
    if policy.ports is None:
        return policy
    base = policy.ports if first is None else first
    texts = {"urls": _numbered(policy.urls, base), "settings": _numbered(policy.settings, base)}
    return policy.model_copy(update={"ports": base, **texts})


def _numbered(value: Any, first: int) -> Any:
    if isinstance(value, str):
        return with_ports(value, first)
    if isinstance(value, dict):
        return {name: _numbered(inner, first) for name, inner in value.items()}
    return [_numbered(inner, first) for inner in value] if isinstance(value, list) else value


def _file(settings: Settings, name: str) -> Path:
    return settings.state / "ports" / name
