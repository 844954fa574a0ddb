"""Hosts of an inventory that only Ansible can read: INI, folders, plugins, scripts, several of them (ADR 30)."""

import contextlib
import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.model.effect import digest
from opsbook.core.model.environment import Resolved
from opsbook.core.planning import ansible
from opsbook.core.planning.hosts_file import members
from opsbook.core.record.journal import now
from opsbook.errors import InputError
from opsbook.settings import Settings

_VARIABLES = ("group_vars", "host_vars")
_PLUGIN = re.compile(rb"^[\s{]*[\"']?plugin[\"']?\s*:", re.MULTILINE)


def resolved(settings: Settings, name: str, sources: Sequence[str], *, anew: bool) -> Resolved:
    """The hosts, as Ansible said last, if no file has changed since. `anew`: ask again if they are dynamic.

    Raises InputError for what Ansible cannot read.
    """
    path = settings.state / "inventories" / f"{name}.json"
    try:
        read = list(_files(settings, sources))
        stand, dynamic = _digest(settings, read), any(map(_dynamic, read))
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}.", "Correct it and try again.") from error
    known = files.stored(Resolved, path)
    if known and known.sources == stand and not (dynamic and anew):
        return known
    found = _ask(settings, name, sources, stand, dynamic)
    # Who may not write there asks Ansible each time.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, json.dumps(asdict(found)).encode())
    return found


def _files(settings: Settings, sources: Sequence[str]) -> Iterator[Path]:
    """Every file of the sources, and the variables beside them. Raises InputError for a source that is missing."""
    for source in sources:
        path = settings.content / source
        if not path.exists():
            raise InputError(f"There is no inventory {source}.", "Correct [ansible.inventories] in opsbook.toml.")
        beside = path if path.is_dir() else path.parent
        for root in [path] if path.is_dir() else [path, *(beside / each for each in _VARIABLES)]:
            yield from files.below(root)


def _digest(settings: Settings, read: Sequence[Path]) -> str:
    """SHA-256 over what decides about the hosts: files, whether one is a script, ansible.cfg and Ansible itself."""
    stand = hashlib.sha256(version("ansible-core").encode())
    for path in (*read, settings.content / "ansible.cfg"):
        if path.is_file():
            content = hashlib.sha256(files.read(path, within=files.ANYWHERE)).hexdigest()
            stand.update(f"{os.path.relpath(path, settings.content)} {os.access(path, os.X_OK)} {content}\n".encode())
    return stand.hexdigest()


def _dynamic(path: Path) -> bool:
    """Whether a file may give other hosts without a change: a script, or the configuration of a plugin."""
    text = files.read(path, within=files.ANYWHERE)
    plugin = path.suffix in (".yml", ".yaml", ".json") and _PLUGIN.search(text) is not None
    return (os.access(path, os.X_OK) and not set(_VARIABLES) & set(path.parts)) or plugin


def _ask(settings: Settings, name: str, sources: Sequence[str], stand: str, dynamic: bool) -> Resolved:
    code, out, said = ansible.ask(settings, sources, "ansible-inventory", "--list")
    if code != 0:
        # The last one: those before it may be what a script said.
        why = "no answer within a minute" if code is None else ansible.error(said[max(said.rfind("[ERROR]"), 0) :])
        hint = f"Try it: ansible-inventory {shlex.join(word for each in sources for word in ('-i', each))} --list"
        raise InputError(f"Ansible cannot read the inventory of {name}: {why}.", hint)
    told: dict[str, Any] = json.loads(out)
    groups = {group: about for group, about in told.items() if group != "_meta"}
    direct = {group: set(about.get("hosts", ())) for group, about in groups.items()}
    children = {group: set(about.get("children", ())) for group, about in groups.items()}
    direct |= {child: set() for inner in children.values() for child in inner - direct.keys()}
    every = {group: members(group, direct, children) for group in direct}
    every["all"] = set().union(*every.values())
    shown = {group: tuple(sorted(hosts)) for group, hosts in sorted(every.items()) if hosts or group == "all"}
    return Resolved(shown, digest(told), dynamic, now(), stand)
