"""What a playbook depends on: the files that decide whether a recording is stale."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from opsbook.core.model.recording import Recording
from opsbook.core.planning.tree import matters, of_folder
from opsbook.settings import Settings

_WORD = re.compile(r"[\w.-]+")

_BY_STEM = frozenset({"library", "module_utils"})
"""Folders whose files are named without their suffix."""


@dataclass(frozen=True)
class Dependencies:
    """The files below the folder of playbooks as they are now: their SHA-256, and the words in each.

    Inventories and hidden files do not count. Read once for all recordings, with `read`.
    """

    digests: dict[str, str]
    words: dict[str, frozenset[str]]

    def of(self, names: Iterable[str]) -> dict[str, str]:
        """The playbooks and their dependencies (roles, task files, templates, modules), with their SHA-256.

        A file counts if its name (or that of its role or module) is in a file that counts, or if Ansible loads it
        itself. Better one too many than a change that nobody notices.
        """
        open_ = [name for name in names if name in self.digests]
        found = {*open_, *filter(_always, self.digests)}
        while open_:
            said = self.words[open_.pop()]
            more = [path for path in self.digests if path not in found and _called(path) in said]
            found.update(more)
            open_ += more
        return {path: self.digests[path] for path in sorted(found)}

    def changed(self, recording: Recording) -> list[str]:
        """How the playbooks of a recording differ from the recorded ones, one sentence each."""
        named = [take.request["playbook"] for take in recording.takes if take.kind == "playbook"]
        now, then = self.of(dict.fromkeys(named)), recording.playbooks
        differ = sorted(path for path in {*now, *then} if now.get(path) != then.get(path))
        return [
            f"playbooks/{path} {'is new' if path not in then else 'was changed' if path in now else 'is gone'}"
            for path in differ
        ]


def read(settings: Settings) -> Dependencies:
    """Everything below the folder of playbooks but the inventories and what is hidden."""
    digests = _digests(settings)
    return Dependencies(digests, {path: _words(settings, path) for path in digests})


def _digests(settings: Settings) -> dict[str, str]:
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
