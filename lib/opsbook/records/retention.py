"""Which records the policy no longer keeps, which are held, and how one is removed completely.

A sealed record never changes: holds, and the entries of removed records, are in logs beside the records.
"""

import json
import shutil
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from opsbook import files
from opsbook.core.model.outcome import Outcome
from opsbook.core.record import journal, logbook, store
from opsbook.settings import Retention

PRUNING = ".pruning"
"""Folder of records that are being removed. The next prune finishes what a crash left there."""

_WELL = frozenset(map(str, (Outcome.SUCCEEDED, Outcome.CHECKED, Outcome.REFUSED, Outcome.ENDED)))
"""Outcomes to which `keep` applies; `keep_failed` applies to every other one."""


@dataclass(frozen=True)
class Hold:
    """Why a record is kept regardless of the policy, by whom, and since when (UTC)."""

    run: str
    by: str
    since: str
    reason: str


@dataclass(frozen=True)
class Old:
    """A record that the policy no longer keeps, and the rule by which it is removed."""

    run: str
    folder: Path
    runbook: str
    environment: str
    outcome: str
    rule: str


def holds(root: Path) -> dict[str, Hold]:
    """Every hold, by run. Raises InputError if the list cannot be read: then holds are unknown."""
    found: dict[str, Hold] = {}
    for entry in logbook.entries(root / logbook.HOLDS):
        if entry.get("action") == "release":
            found.pop(entry["run"], None)
        else:
            found[entry["run"]] = Hold(
                entry["run"], entry.get("by", ""), entry.get("time", ""), entry.get("reason", "")
            )
    return found


def expired(records: Iterable[store.Record], policy: Retention, now: datetime, kept: Container[str]) -> Iterator[Old]:
    """Records to remove, of those given newest first. `kept` are runs that are kept regardless of the policy.

    Only sealed, undamaged records outside quarantine are removed. The newest `keep_last` of each runbook in each
    environment stay, however old they are.
    """
    newer: Counter[tuple[str, str]] = Counter()
    for record in records:
        if record.state != "sealed" or record.folder.parent.name == store.QUARANTINE:
            continue
        told = record.glance()
        if told["outcome"] == store.DAMAGED or told["runbook"] is None or told["environment"] is None:
            continue
        place = told["runbook"], told["environment"]
        newer[place] += 1
        rule = _rule(policy, told["outcome"], now - (store.began(record.id) or now))
        if rule and newer[place] > policy.keep_last and record.id not in kept:
            yield Old(record.id, record.folder, *place, told["outcome"], rule)


def _rule(policy: Retention, outcome: str, age: timedelta) -> str:
    """The rule by which a record of this age is removed; empty if it is kept."""
    name, days = ("keep", policy.keep) if outcome in _WELL else ("keep_failed", policy.keep_failed)
    return f"{name} = {days}" if days and age > timedelta(days=int(days[:-1])) else ""


def remove(root: Path, old: Old, by: str) -> bool:
    """Move the record away, log its removal, delete it, in this order. False if a process still holds it."""
    with files.holding(old.folder / journal.NAME) as held:
        if not held:
            return False
        away = root / PRUNING
        away.mkdir(mode=0o700, exist_ok=True)
        note = away / f"{old.run}.json"
        # What identifies it, and why it was removed.
        entry = {
            "run": old.run,
            "runbook": old.runbook,
            "environment": old.environment,
            "outcome": old.outcome,
            "seal": files.sha256(old.folder / store.SEAL),
            "time": journal.now(),
            "by": by,
            "rule": old.rule,
        }
        files.write_atomic(note, json.dumps(entry).encode())
        old.folder.rename(note.with_suffix(""))
        files.sync_folder(old.folder.parent)
        files.sync_folder(away)
    _complete(root, note, written=False)
    return True


def finish(root: Path) -> None:
    """Finish every removal that a crash interrupted."""
    notes = sorted((root / PRUNING).glob("*.json"))
    gone = {entry["run"] for entry in logbook.entries(root / logbook.PRUNED)} if notes else set()
    for note in notes:
        _complete(root, note, written=note.stem in gone)


def _complete(root: Path, note: Path, *, written: bool) -> None:
    """Finish the removal of a moved record: log it unless `written`, delete it, then delete its note."""
    folder = note.with_suffix("")
    if folder.is_dir():
        if not written:
            logbook.append(root / logbook.PRUNED, json.loads(files.read_text(note)))
        shutil.rmtree(folder)
    note.unlink()
