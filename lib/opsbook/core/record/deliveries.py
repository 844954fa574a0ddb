"""Which run brought which release where, as the records say: the plans of runs have the digests of releases.

What is in an environment is read from records alone. There is no list that somebody could forget to write.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from opsbook import files
from opsbook.core.model.effect import Mode
from opsbook.core.model.event import Outcome
from opsbook.core.model.plan import ARTEFACT, Plan
from opsbook.core.record import store
from opsbook.core.source import front
from opsbook.errors import InputError
from opsbook.shapes import from_json

_PUTS = frozenset({"deploy", "recovery"})
"""Kinds of runbook that put a release into an environment; others only look at it."""

_SAYS_NOTHING = frozenset({"procedure", "training"})
"""Kinds whose outcome says nothing about a release: a checklist ends as its person says."""

_MARK = json.dumps(ARTEFACT)[:-1].encode()
_LEFT = frozenset({Outcome.ROLLED_BACK, Outcome.REFUSED})
"""Ends after which the release from before is in its place."""


@dataclass(frozen=True)
class Delivery:
    """A run with a release: `file` is its path in the project, `sha256` that of its bytes.

    `puts`: the run was to put it into the environment, and did not only look at it. `touched`: it changed something,
    or may have. `ended` is when it ended, or began if it has no end.
    """

    run: str
    environment: str
    file: str
    sha256: str
    outcome: str
    puts: bool
    touched: bool
    ended: datetime
    by: str

    @property
    def component(self) -> str:
        """What it is a release of: the folder of the file."""
        return str(PurePosixPath(self.file).parent)

    @property
    def good(self) -> bool:
        return self.outcome == Outcome.SUCCEEDED

    @property
    def tells(self) -> bool:
        """Whether it says something about the release: a run that stopped before it did anything does not."""
        return self.good or self.touched or (not self.puts and self.outcome == Outcome.FAILED)

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


def deliveries(records: Path, environment: str | None = None) -> Iterator[Delivery]:
    """Every run with a release (in one environment), the one that began last first. Damaged records are left out."""
    for folder in store.newest(records):
        try:
            text = files.read(folder / store.PLAN)
        except (OSError, ValueError):
            continue
        if _MARK not in text:
            continue
        try:
            plan = from_json(Plan, text)
            if environment in (None, plan.environment) and (record := store.exact(records, folder.name)):
                yield from _of(record, plan)
        except (InputError, ValueError, OverflowError, RecursionError):
            continue


def _of(record: store.Record, plan: Plan) -> Iterator[Delivery]:
    told = record.summary()
    if told.get("mode") != Mode.LIVE or not plan.artefacts:
        return
    kind = front.parse(record.text("runbook.md"), plan.path)[0].kind
    touched = any(effect["changes"] and effect["status"] != "refused" for effect in told["effects"])
    when = _time(told["ended"] or told["started"])
    for path, sha in plan.artefacts.items() if kind not in _SAYS_NOTHING else ():
        who = str(told["operator"] or "")
        yield Delivery(record.id, plan.environment, path, sha, str(told["outcome"]), kind in _PUTS, touched, when, who)


def _time(text: Any) -> datetime:
    return datetime.fromisoformat(str(text)).astimezone(UTC)


def placed(found: Iterable[Delivery]) -> Placed:
    """What is there after these runs, of one environment and one component, the newest first."""
    unsure = None
    for each in found:
        if each.stays and each.good:
            return Placed(each, unsure)
        unsure = unsure or (each if each.stays else None)
    return Placed(None, unsure)
