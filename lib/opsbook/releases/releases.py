"""The releases of a project: the files that its environments offer, and what the records say of them.

A page that builds a release attaches `release.json`, one that deploys it `gates.json`.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from opsbook.core.model.effect import Mode
from opsbook.core.model.environment import ChoiceRule, Environment
from opsbook.core.model.outcome import Outcome
from opsbook.core.model.text import nearest
from opsbook.core.planning import artefacts
from opsbook.core.planning import environment as environments
from opsbook.core.record import seal, store
from opsbook.core.record.deliveries import Delivery, Placed, deliveries, places
from opsbook.errors import InputError
from opsbook.settings import Settings
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
        with contextlib.suppress(OSError, ValueError):
            return from_json(dict[str, str], path.read_bytes())
    return {}


# -- the releases of a project


@dataclass(frozen=True)
class Release:
    """A release. `file` is its path in the project, and `sha256` that of its bytes."""

    component: str
    version: str
    file: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.component}/{self.version}"


@dataclass(frozen=True)
class Place:
    """What an environment has of a component. `before` is the environment from which releases come here, if it has
    another one, and `there` that one.
    """

    environment: str
    component: str
    placed: Placed
    before: str = ""
    there: Delivery | None = None

    @property
    def version(self) -> str:
        return version_of(self.placed.delivery.file) if self.placed.delivery else ""


@dataclass(frozen=True)
class Told:
    """A release with what the records say of it: who built it, where it is, and each run that put it somewhere, with
    what its gates found.
    """

    release: Release
    build: Build | None
    places: tuple[str, ...]
    runs: tuple[tuple[Delivery, Mapping[str, str]], ...]


@dataclass(frozen=True)
class Overview:
    """What the site says of releases, the newest release first."""

    places: tuple[Place, ...]
    releases: tuple[Told, ...]


def overview(settings: Settings, hidden: Collection[str]) -> Overview | None:
    """Every release, and where it is, without what is in the `hidden` environments.

    None if no environment offers releases. Raises InputError for a file that cannot be read.
    """
    if not any(_choosing(each) for each in environments.every(settings)[0]):
        return None
    ready = built(settings)
    shown = [each for each in where(settings) if each.environment not in hidden]
    there = tuple(each if each.before not in hidden else replace(each, before="", there=None) for each in shown)
    runs = [each for each in deliveries(settings.records) if each.puts and each.environment not in hidden]
    by = {sha: each for sha, each in builds(settings.records).items() if each.environment not in hidden}
    return Overview(
        there,
        tuple(
            Told(
                each,
                by.get(each.sha256),
                tuple(serving(there, each)),
                tuple((run, gates(settings.records, run.run)) for run in runs if run.sha256 == each.sha256),
            )
            for each in reversed(ready)
        ),
    )


def component_of(file: str) -> str:
    """What a file is a release of: the name of its folder."""
    return PurePosixPath(file).parent.name


def version_of(file: str) -> str:
    """The version in the name of a release's file: 1.4.0 of arcade/1.4.0.tar.gz."""
    name = PurePosixPath(file).name
    return next((name.removesuffix(end) for end in (".tar.gz", ".tar", ".zip", ".json") if name.endswith(end)), name)


def offered(settings: Settings) -> list[str]:
    """The file of every release that an environment offers, by component and version."""
    choosing = ((_choosing(each), each.choices) for each in environments.every(settings)[0])
    found = {glob.replace("*", one) for glob, choices in choosing if glob for one in choices[artefacts.RELEASES]}
    there = (file for file in found if (settings.root / file).is_file())
    return sorted(there, key=lambda file: (component_of(file), _order(version_of(file))))


def built(settings: Settings) -> list[Release]:
    """Every release that an environment offers. Raises InputError for a file that cannot be read."""
    paths = offered(settings)
    return [Release(component_of(f), version_of(f), f, artefacts.digest(settings.root / f)) for f in paths]


def _choosing(environment: Environment) -> str:
    """The pattern of the files that an environment offers as releases; empty if it offers none."""
    rule = environment.policy.choices.get(artefacts.RELEASES)
    return rule.glob or "" if isinstance(rule, ChoiceRule) else ""


def _order(version: str) -> list[tuple[int, int, str]]:
    """1.9.0 comes before 1.10.0."""
    parts = version.replace("-", ".").split(".")
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def history(settings: Settings, wanted: str) -> tuple[list[Release], list[Delivery]]:
    """The releases that were built with this name, and every run with one of it, the newest first.

    Raises InputError if nobody built it, and no run knows it.
    """
    component, _, version = wanted.rpartition("/")

    def fits(file: str) -> bool:
        return version_of(file) == version and component in ("", component_of(file))

    every = deliveries(settings.records)
    ready = built(settings)
    found = [each for each in ready if fits(each.file)], [each for each in every if fits(each.file)]
    if not any(found):
        known = dict.fromkeys([*(each.version for each in ready), *(version_of(each.file) for each in every)])
        raise InputError(f"There is no release {wanted}.", nearest(wanted, known))
    return found


def where(settings: Settings) -> list[Place]:
    """What every environment has of every component, in the order of the environments."""
    known = {each.name: each for each in environments.every(settings)[0]}
    every = deliveries(settings.records)
    there = {name: places(each for each in every if each.environment == name) for name in known}
    found = (
        Place(name, PurePosixPath(component).name, here, *_other(known[name], there, component, here))
        for name, components in there.items()
        for component, here in components.items()
        if here.delivery or here.unsure
    )
    order = {name: number for number, name in enumerate(known)}
    return sorted(found, key=lambda each: (order[each.environment], each.component))


def _other(
    environment: Environment, there: Mapping[str, Mapping[str, Placed]], component: str, here: Placed
) -> tuple[str, Delivery | None]:
    """The environment from which releases come here and what it has, if that is not the release that is here."""
    rule = environment.policy.promotion
    if rule is None or here.delivery is None:
        return "", None
    before = there.get(rule.after, {}).get(component, Placed(None)).delivery
    same = before is not None and before.sha256 == here.delivery.sha256
    return ("", None) if same else (rule.after, before)


def serving(places: Sequence[Place], release: Release) -> list[str]:
    """The environments that have exactly these bytes."""
    wanted = release.file, release.sha256
    there = ((each.environment, each.placed.delivery) for each in places)
    return [environment for environment, found in there if found and (found.file, found.sha256) == wanted]
