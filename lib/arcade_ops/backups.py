"""Backups of an environment: which there are, whether they are whole, and how two of them differ."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opsbook import EffectFailed, effect, here


@effect(changes=False)
def backup(name: str) -> dict[str, Any]:
    """A backup by its name: file, sha256, bytes, rows, schema, state, and the run that restored it, if one did.

    Raises EffectFailed if there is none, or if the dump is not the one that was made.
    """
    folder = _folder()
    try:
        said = dict(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
        dump = folder / str(said["file"])
        with dump.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if digest != said["sha256"]:
            raise EffectFailed(f"{dump} is not what was backed up: its SHA-256 is {digest}", untouched=True)
        path = os.path.relpath(dump, here.root)
        return {**said, "file": path, "bytes": dump.stat().st_size, "restored": said.get("restored", {}).get("run", "")}
    except FileNotFoundError as error:
        known = ", ".join(sorted(path.stem for path in folder.glob("*.dump"))) or "none"
        raise EffectFailed(f"there is no backup {name}; there is: {known}", untouched=True) from error
    except (OSError, ValueError, LookupError, AttributeError) as error:
        raise EffectFailed(f"the backup {name} cannot be read: {error}", untouched=True) from error


@effect(changes=False)
def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """How what two backups say differs, one sentence each: state, schema, and tables that lost or won rows."""
    return [*_of_states(before, after), *_of_rows(before["rows"], after["rows"])]


def _of_states(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    one = {**before["state"], "schema": before["schema"]}
    two = {**after["state"], "schema": after["schema"]}
    for key in sorted({*one, *two}):
        if (was := _plain(one.get(key))) != (now := _plain(two.get(key))):
            yield f"{key} was {json.dumps(was, sort_keys=True)}, and is {json.dumps(now, sort_keys=True)}"


def _plain(value: Any) -> Any:
    """Numbers as text: what Ansible wrote may be either."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _of_rows(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    for table in sorted({*before, *after}):
        if before.get(table) != after.get(table):
            yield f"{table} had {before.get(table, 'no')} rows, and has {after.get(table, 'none')}"


@effect(changes=False)
def packed(service: str, version: str) -> bool:
    """Whether a release can be deployed again: its archive is there."""
    return Path(here.state, "releases", service, f"{version}.tar.gz").is_file()


@effect(changes=False)
def contents() -> list[str]:
    """What the folder of this environment holds: each entry with its files and bytes. Empty if it is gone."""
    folder = Path(here.state, "env", here.environment)
    try:
        return [_entry(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    except OSError as error:
        raise EffectFailed(f"{error.filename} cannot be read: {error.strerror}", untouched=True) from error


def _entry(path: Path) -> str:
    name = f"{path.parent.name}/{path.name}"
    if path.is_symlink():
        return f"{name} -> {path.readlink()}"
    if path.is_file():
        return f"{name}: {path.stat().st_size} bytes"
    files = [each for each in path.rglob("*") if each.is_file() and not each.is_symlink()]
    return f"{name}/: {len(files)} files, {sum(each.stat().st_size for each in files)} bytes"


def _folder() -> Path:
    return Path(here.state, "backups", here.environment)
