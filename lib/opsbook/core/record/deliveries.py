"""Which run brought which release where, as the records say: the plans of runs have the digests of releases.

What is in an environment is read from records alone. There is no list that somebody could forget to write.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from opsbook import files
from opsbook.core.model.effect import Mode
from opsbook.core.model.outcome import Outcome
from opsbook.core.model.plan import RELEASE, Plan
from opsbook.core.record import store
from opsbook.core.source import front
from opsbook.errors import InputError
from opsbook.shapes import from_json

_PUTS = frozenset({"deploy", "recovery"})
"""Kinds of runbook that put a release into an environment; others only look at it."""

_SAYS_NOTHING = frozenset({"procedure", "training"})
"""Kinds whose outcome says nothing about a release: a checklist ends as its person says."""

_MARK = json.dumps(RELEASE)[:-1].encode()
_LEFT = frozenset({Outcome.ROLLED_BACK, Outcome.REFUSED})
"""Ends after which the release from before is in its place."""

_RUNNING = "running"


@dataclass(frozen=True)
class Delivery:
    """A run with a release: `file` is its path in the project, `sha256` that of its bytes.

    `kind` is that of its page. `touched`: it changed something, or may have. `ended` is when it ended, or began if it
    has no end.
    """

    run: str
    environment: str
    file: str
    sha256: str
    outcome: str
    kind: str
    touched: bool
    ended: datetime
    by: str
    emergency: bool = False

    @property
    def component(self) -> str:
        """What it is a release of: the folder of the file."""
        return str(PurePosixPath(self.file).parent)

    @property
    def puts(self) -> bool:
        """Whether it was to put the release into the environment, and not only looked at it."""
        return self.kind in _PUTS

    @property
    def good(self) -> bool:
        return self.outcome == Outcome.SUCCEEDED

    @property
    def tells(self) -> bool:
        """Whether it says something about the release: a run that stopped before it did anything does not."""
        return self.good or self.touched or (self.kind == "check" and self.outcome == Outcome.FAILED)

    @property
    def stays(self) -> bool:
        """Whether the release is there after the run, or may be."""
        return self.puts and self.touched and self.outcome not in _LEFT


@dataclass(frozen=True)
class Placed:
    """The release in an environment, with the run that put it there; none if no run did.

    `unsure` is a later run that stopped half-way, or still runs: nobody can say what is there until it has an end.
    """

    delivery: Delivery | None
    unsure: Delivery | None = None


def deliveries(records: Path, environment: str | None = None) -> list[Delivery]:
    """Every run with a release (in one environment), the one that ended last first, and those that run before it.

    Records in quarantine count, and of those that are damaged what can be read.
    """
    aside = records / store.QUARANTINE
    folders = [*store.newest(records), *(aside.iterdir() if aside.is_dir() else ())]
    found = [each for folder in folders for each in _of(records, folder) if environment in (None, each.environment)]
    return sorted(found, key=lambda each: (each.outcome == _RUNNING, each.ended, each.run), reverse=True)


def _of(records: Path, folder: Path) -> Iterator[Delivery]:
    try:
        text = files.read(folder / store.PLAN)
        plan = from_json(Plan, text) if _MARK in text else None
        record = store.exact(records, folder.name) if plan and plan.releases else None
    except (OSError, ValueError, RecursionError):
        return
    if plan and record:
        yield from _delivered(record, plan)


def _delivered(record: store.Record, plan: Plan) -> Iterator[Delivery]:
    """What a run was about, if it was a real one, of a page whose end says something."""
    told, kind = record.glance(), _kind(record, plan)
    lost = told["outcome"] == store.DAMAGED
    if kind in _SAYS_NOTHING or not (lost or told.get("mode") == Mode.LIVE):
        return
    touched = lost or any(effect["changes"] and effect["changed"] is not False for effect in told["effects"])
    when = _time(told["ended"] or told["started"]) or store.began(record.id) or datetime.min.replace(tzinfo=UTC)
    said = (str(told["outcome"]), "deploy" if lost else kind, touched, when, str(told["operator"] or ""))
    for path, sha in plan.releases.items():
        yield Delivery(record.id, plan.environment, path, sha, *said, emergency=bool(told.get("emergency")))


def _kind(record: store.Record, plan: Plan) -> str:
    try:
        return front.parse(record.text("runbook.md"), plan.path)[0].kind
    except InputError:
        return "deploy"


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def placed(found: Iterable[Delivery]) -> Placed:
    """What is there after these runs, of one environment and one component, the newest first."""
    unsure = None
    for each in found:
        if each.stays and each.good:
            return Placed(each, unsure)
        unsure = unsure or (each if each.stays else None)
    return Placed(None, unsure)


def places(found: Iterable[Delivery]) -> dict[str, Placed]:
    """The same for each component, after these runs of one environment."""
    by_component: dict[str, list[Delivery]] = defaultdict(list)
    for each in found:
        by_component[each.component].append(each)
    return {component: placed(runs) for component, runs in by_component.items()}
