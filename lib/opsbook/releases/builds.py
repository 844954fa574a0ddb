"""What runs kept of a release: a page that builds one attaches `release.json`, one that deploys it `gates.json`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.core.model.effect import Mode
from opsbook.core.model.event import Outcome
from opsbook.core.record import seal, store
from opsbook.shapes import from_json

SHORT = 12
"""Digits of a digest that are shown."""

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
    """`ended` is a time in UTC as text, `commit` that of the project, with what was changed since, `manifest` what the
    release says of itself.
    """

    run: str
    environment: str
    by: str
    ended: str
    commit: str
    manifest: Mapping[str, Any]

    def shown_commit(self) -> str:
        """The commit with few digits, and what is said besides."""
        digits, _, more = self.commit.partition(",")
        return digits[:SHORT] + (f",{more}" if more else "")

    def needs(self) -> list[str]:
        """What the release needs, as far as it says so in the usual form."""
        found = self.manifest.get("needs")
        return [each for each in words(found) if not each.endswith("—")] if isinstance(found, Mapping) else []


def words(said: Mapping[str, Any]) -> list[str]:
    """Names and values of a manifest's part; of a digest the first digits."""
    found = []
    for name, value in said.items():
        inner = ", ".join(words(value)) if isinstance(value, Mapping) else str(value)[:SHORT]
        found.append(f"{name} {inner or '—'}")
    return found


def builds(records: Path) -> dict[str, Build]:
    """The first real run that built each release, by the SHA-256 of its file. What cannot be read is left out."""
    # The newest come first: the first one is what stays.
    return {sha: build for folder in store.newest(records) for sha, build in _of(records, folder)}


def _of(records: Path, folder: Path) -> Iterator[tuple[str, Build]]:
    for path in folder.glob(f"effects/[0-9]*-{NAME}"):
        try:
            kept = from_json(Kept, path.read_bytes())
            record = store.exact(records, folder.name)
        except (OSError, ValueError):
            continue
        told = record.glance() if record else {}
        # A check builds nothing, and may find a release that is there. What is not as it was sealed proves nothing.
        good = (told.get("mode"), told.get("outcome")) == (Mode.LIVE, Outcome.SUCCEEDED) and not seal.verify(folder)
        if good:
            place, by, ended, commit = (str(told.get(name) or "") for name in _SAID)
            yield kept.sha256, Build(folder.name, place, by, ended, commit, kept.manifest)


_SAID = ("environment", "operator", "ended", "commit")


def gates(records: Path, run: str) -> dict[str, str]:
    """What each gate of a run found; empty if it kept nothing that can be read."""
    record = store.exact(records, run)
    for path in sorted(record.folder.glob(f"effects/[0-9]*-{GATES}"), reverse=True) if record else ():
        try:
            return from_json(dict[str, str], path.read_bytes())
        except (OSError, ValueError):
            continue
    return {}
