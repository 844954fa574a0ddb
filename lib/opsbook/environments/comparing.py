"""How two environments differ: what their files say, and which releases they have."""

import hmac
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opsbook.core.catalog import flags
from opsbook.core.engine.secrets import resolve
from opsbook.core.model.differ import Change, changes_of
from opsbook.core.planning import context, yaml_files
from opsbook.core.planning import environment as environments
from opsbook.core.record.deliveries import deliveries, places
from opsbook.environments import state
from opsbook.errors import InputError
from opsbook.settings import Settings

_OWN = frozenset({"title", "order", "ports"})
"""Keys that every environment has a value of its own for."""


def differences(settings: Settings, one: str, other: str, *, secrets: bool = False, live: bool = False) -> list[Change]:
    """Every value that differs, by its path. Ports are compared as they are written; secrets by their references.

    With `secrets` by digests, too: under a key of this one comparison, so that nobody can try values with them. With
    `live` also what both answer now.
    """
    key = os.urandom(32) if secrets else b""
    described = [_described(settings, name, key) for name in (one, other)]
    if live:
        found = state.states(settings, [environments.load(settings, name) for name in (one, other)])
        for told, each in zip(described, found, strict=True):
            told["answers"] = dict(_said(each))
    return list(changes_of(described[0], described[1]))


def _said(found: state.State) -> Iterator[tuple[str, Any]]:
    """The plain values of each answer, such as version and schema."""
    for answer in found.answers:
        content = answer.said if isinstance(answer.said, dict) else {}
        plain = {key: value for key, value in content.items() if not isinstance(value, dict | list)}
        yield answer.name, {"status": answer.status, **plain}


def shared(settings: Settings, one: str, other: str) -> list[tuple[str, str]]:
    """The secrets of `one` that have the same value in `other`, each with its name there."""
    key = os.urandom(32)
    there = {digest: name for name, digest in _digests(settings, other, key).items()}
    return [(name, there[digest]) for name, digest in _digests(settings, one, key).items() if digest in there]


def _digests(settings: Settings, name: str, key: bytes) -> dict[str, str]:
    environment = environments.load(settings, name)
    inventory = dict(context.vaulted(settings, environment))
    found = {}
    for secret, reference in environment.policy.secrets.items():
        try:
            value = resolve(secret, reference, settings.root, inventory)
            found[secret] = hmac.digest(key, value.encode(), "sha256").hex()[:12]
        except InputError:
            # Not the same text in both: nobody can say whether they differ.
            found[secret] = f"cannot be read here, in {name}"
    return found


def _described(settings: Settings, name: str, key: bytes) -> dict[str, Any]:
    found = environments.load(settings, name)
    written = environments.load_as_written(settings, name).model_dump(mode="json")
    there = {path: each.delivery for path, each in places(deliveries(settings.records, name)).items()}
    return {
        **{key: value for key, value in written.items() if key not in _OWN},
        "hosts": {group: ", ".join(hosts) for group, hosts in found.groups.items()},
        "variables": _variables(settings.inventories / name),
        "releases": {Path(k).name: f"{Path(v.file).name} ({v.sha256[:12]})" for k, v in there.items() if v},
        "flags": flags.there(settings, name),
        **({"secret values": _digests(settings, name, key)} if key else {}),
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
