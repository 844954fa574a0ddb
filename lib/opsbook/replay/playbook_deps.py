"""The files below playbooks/ that a playbook depends on."""

import re
from collections.abc import Iterable
from pathlib import PurePath

from opsbook.core.planning.tree import matters, of_folder
from opsbook.settings import Settings

_WORD = re.compile(r"[\w.-]+")

_BY_STEM = frozenset({"library", "module_utils"})
"""Folders whose files are named without their suffix."""


def deps_of(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """The playbooks and their dependencies (roles, task files, templates, modules), with their SHA-256.

    A file counts if its name (or that of its role or module) is in a file that counts, or if Ansible loads it itself.
    Better one too many than a change that nobody notices. Inventories do not count.
    """
    known = _files(settings)
    words = {path: _words(settings, path) for path in known}
    open_ = [name for name in names if name in known]
    found = {*open_, *filter(_always, known)}
    while open_:
        said = words[open_.pop()]
        more = [path for path in known if path not in found and _called(path) in said]
        found.update(more)
        open_ += more
    return {path: known[path] for path in sorted(found)}


def _files(settings: Settings) -> dict[str, str]:
    """Everything below the folder of playbooks but the inventories and what is hidden, with its SHA-256."""
    top = settings.ansible.playbooks == "."
    below = "" if top else f"{settings.ansible.playbooks}/"
    entries = {
        path.removeprefix(below): entry
        for path, entry in of_folder(settings).files.items()
        if path.startswith(below) and (not top or matters(path, "", (".",)))
    }
    parts = {path: PurePath(path).parts for path in entries}
    skip = settings.inventories.name
    kept = (
        path for path in entries if parts[path][0] != skip and not any(part.startswith(".") for part in parts[path])
    )
    return {path: entries[path].rpartition(":")[2] for path in kept}


def _words(settings: Settings, path: str) -> frozenset[str]:
    text = (settings.playbooks / path).read_text(encoding="utf-8", errors="replace")
    found = set(_WORD.findall(text))
    # ansible.module_utils.caddy_files names caddy_files.
    return frozenset(found.union(*(word.split(".") for word in found)))


def _called(path: str) -> str:
    """The word by which other files name this one."""
    parts = PurePath(path).parts
    if "roles" in parts[:-2]:
        return parts[parts.index("roles") + 1]
    return PurePath(path).stem if _BY_STEM & set(parts[:-1]) else parts[-1]


def _always(path: str) -> bool:
    """Whether Ansible loads it without being told: variables and plugins beside the playbooks."""
    return any(part in ("group_vars", "host_vars") or part.endswith("_plugins") for part in PurePath(path).parts[:-1])
