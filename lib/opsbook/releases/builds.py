"""What runs kept of a release: a page that builds one attaches `release.json`, one that deploys it `gates.json`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.core.record import store
from opsbook.shapes import from_json

NAME = "release.json"
GATES = "gates.json"
"""Says what each gate found that the release passed: texts by the name of the gate."""


@dataclass(frozen=True)
class Kept:
    """What release.json says at least: the SHA-256 of the release's file. `manifest`: what it says of itself."""

    sha256: str
    manifest: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Build:
    """`ended` is a time in UTC as text, `commit` that of the project, `manifest` what the release says of itself."""

    run: str
    by: str
    ended: str
    commit: str
    manifest: Mapping[str, Any]


def builds(records: Path) -> dict[str, Build]:
    """The first run that built each release, by the SHA-256 of its file. What cannot be read is left out."""
    # The newest come first: the first one is what stays.
    return {sha: build for folder in store.newest(records) for sha, build in _of(records, folder)}


def _of(records: Path, folder: Path) -> Iterator[tuple[str, Build]]:
    for path in folder.glob(f"effects/[0-9]*-{NAME}"):
        try:
            kept = from_json(Kept, path.read_bytes())
            record = store.exact(records, folder.name)
        except (OSError, ValueError):
            continue
        if record:
            told = record.glance()
            by, ended, commit = (str(told.get(name) or "") for name in ("operator", "ended", "commit"))
            yield kept.sha256, Build(record.id, by, ended, commit, kept.manifest)


def gates(records: Path, run: str) -> dict[str, str]:
    """What each gate of a run found; empty if it kept nothing that can be read."""
    record = store.exact(records, run)
    for path in sorted(record.folder.glob(f"effects/[0-9]*-{GATES}"), reverse=True) if record else ():
        try:
            return from_json(dict[str, str], path.read_bytes())
        except (OSError, ValueError):
            continue
    return {}
