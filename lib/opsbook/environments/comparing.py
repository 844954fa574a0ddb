"""How two environments differ: what their files say, and which releases they have."""

from pathlib import Path
from typing import Any

from opsbook.core.model.differ import Change, changes_of
from opsbook.core.planning import environment as environments
from opsbook.core.planning import yaml_files
from opsbook.core.record.deliveries import deliveries, places
from opsbook.settings import Settings

_OWN = frozenset({"title", "order", "ports"})
"""Keys that every environment has a value of its own for."""


def differences(settings: Settings, one: str, other: str) -> list[Change]:
    """Every value that differs, by its path. Ports are compared as they are written; secrets by their references."""
    return list(changes_of(_described(settings, one), _described(settings, other)))


def _described(settings: Settings, name: str) -> dict[str, Any]:
    found = environments.load(settings, name)
    written = environments.load_as_written(settings, name).model_dump(mode="json")
    return {
        **{key: value for key, value in written.items() if key not in _OWN},
        "hosts": {group: ", ".join(hosts) for group, hosts in found.groups.items()},
        "variables": _variables(settings.inventories / name),
        "releases": _releases(settings, name),
    }


def _variables(folder: Path) -> dict[str, Any]:
    """The variables of groups and hosts in the environment's folder; vaulted values are not read."""
    found: dict[str, Any] = {}
    for part in ("group_vars", "host_vars"):
        for path in sorted((folder / part).rglob("*.y*ml")):
            name = str(path.relative_to(folder).with_suffix(""))
            content = yaml_files.read(path)
            found[name] = content if isinstance(content, dict) else {}
    return found


def _releases(settings: Settings, name: str) -> dict[str, str]:
    there = places(deliveries(settings.records, name))
    return {
        Path(component).name: f"{Path(found.delivery.file).name} ({found.delivery.sha256[:12]})"
        for component, found in there.items()
        if found.delivery
    }
