"""Where records are, and how one is created, found and read."""

import contextlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from opsbook import files
from opsbook.core.model.event import Event
from opsbook.core.model.outcome import Outcome
from opsbook.core.model.plan import Plan
from opsbook.core.model.text import nearest
from opsbook.core.record import journal, logbook, summary_file
from opsbook.errors import InputError
from opsbook.files import again, holding, is_plain, saying
from opsbook.shapes import from_json

T = TypeVar("T")

SEAL = "seal.json"
SIGNATURE = "seal.json.sig"
SUMMARY = "record.json"
PLAN = "plan.json"
PAGE = "index.html"
QUARANTINE = "quarantine"
INCIDENTS = "incidents"
"""Folder of the records of incidents. Runs are in folders by year, so nothing that reads runs comes there."""
PARTS = ("effects", "outputs", "inbox", "approvals")
"""Folders that every record has."""

_INCIDENT = re.compile(r"inc-[0-9]{8}T[0-9]{6}Z-[0-9]{6}")

SECOND = len("20261120T181203Z")
_LINE = 1024 * 1024
"""Bytes that are read of a journal's first line."""

_TRIES, _PAUSE = 100, 0.02
"""Attempts, and seconds between them, to see whether the last process of a run has ended."""

DAMAGED = "damaged"
"""Outcome of a record that cannot be read."""


@dataclass(frozen=True)
class Record:
    """A record folder. `state` is sealed, running or lost; of an incident, sealed or open."""

    id: str
    folder: Path
    state: str

    def events(self) -> list[Event]:
        """Raises InputError if the journal is damaged."""
        return [event for event, _ in chain(self.folder)]

    def text(self, name: str) -> str:
        """A file of the record as text. Raises InputError if it is missing, or not a text file."""
        return self.read(name, files.read_text)

    def read(self, name: str, how: Callable[[Path], T]) -> T:
        """A file of the record, read in this way. Raises InputError if it is missing, no file, or not readable so."""
        path = self.folder / name
        try:
            if is_plain(path) and path.resolve().is_relative_to(self.folder.resolve()):
                return how(path)
        except (OSError, ValueError) as error:
            raise self.damaged(name) from error
        raise self.damaged(name)

    def damaged(self, name: str) -> InputError:
        """The error to raise for an unusable file of the record."""
        hint = f"opsbook records verify {self.id} names every file that is not as it was sealed."
        return InputError(f"{self.folder / name} is missing or damaged.", hint)

    def plan(self) -> Plan:
        """The plan of the run. Raises InputError if it cannot be read."""
        try:
            return from_json(Plan, self.text(PLAN))
        except (ValueError, RecursionError) as error:
            raise self.damaged(PLAN) from error

    def summary(self) -> dict[str, Any]:
        """record.json; for a run without an end, the same from its journal so far. Raises InputError if damaged."""
        if self.state == "sealed":
            return _summary(self.folder)
        found = _derived(self.events())
        found["outcome"] = "running" if self.state == "running" else str(Outcome.LOST)
        return found

    def glance(self) -> dict[str, Any]:
        """The summary for a list: one damaged record must not hide the others."""
        try:
            return self.summary()
        except InputError as error:
            return _derived([]) | {"run": self.id, "outcome": DAMAGED, "reason": error.message}


def _derived(events: list[Event]) -> dict[str, Any]:
    """What the events of a run say."""
    # Who lists sealed records needs no events, and starts without them.
    from opsbook.core.record import summary

    return summary.of(events)


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY
    hint = f"opsbook records verify {folder.name} names every file that is not as it was sealed."
    if not is_plain(path):
        raise InputError(f"{path} is missing, or no file.", hint)
    try:
        return summary_file.read(files.read(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged.", hint) from error


def chain(folder: Path) -> Iterator[tuple[Event, str]]:
    """The events of a record with the digests of their lines. Raises InputError if its journal is unusable."""
    path = folder / journal.NAME
    hint = f"opsbook records verify {folder.name} says more."
    if not is_plain(path):
        raise InputError(f"{path} is missing, or no file.", hint)
    try:
        yield from journal.chain(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", hint) from error


def place(records: Path, name: str) -> Path:
    """Where the record of a run, or of an incident, is."""
    return records / INCIDENTS / name if is_incident(name) else records / name[:4] / name[4:6] / name


def is_incident(name: str) -> bool:
    """Whether an incident can have this id, such as inc-20261130T142233Z-071406."""
    return _INCIDENT.fullmatch(name) is not None


def create(records: Path, run: str) -> Path:
    """Create the record folder of a run, whose id begins with its time. Raises InputError if that fails."""
    folder = place(records, run)
    with saying(f"No record can be made in {records}", "Correct that folder, or records in opsbook.toml."):
        folder.mkdir(parents=True)
        for part in PARTS:
            (folder / part).mkdir()
    return folder


def records(root: Path) -> Iterator[Record]:
    """Every record of a run, newest first; quarantined ones too. A folder with a journal or a seal is a record."""
    patterns = (f"{place}/{name}" for place in ("*/*/*", f"{QUARANTINE}/*") for name in (journal.NAME, SEAL))
    folders = {path.parent for pattern in patterns for path in root.glob(pattern)}
    for folder in sorted(folders, key=lambda f: (f.name, str(f)), reverse=True):
        if not is_incident(folder.name):
            yield Record(folder.name, folder, _state(folder))


def incidents(root: Path) -> Iterator[Record]:
    """Every record of an incident, newest first; quarantined ones too, and those of which only the folder is left."""
    found = (each for place in (INCIDENTS, QUARANTINE) for each in (root / place).glob("inc-*"))
    for folder in sorted((each for each in found if is_incident(each.name)), key=lambda f: f.name, reverse=True):
        yield Record(folder.name, folder, _state(folder))


def newest(root: Path, runbook: str | None = None) -> Iterator[Path]:
    """Folders of runs (of one runbook), newest first, by name: no file is read.

    Quarantined records are left out. Fast even with tens of thousands of records.
    """
    for year in filter(str.isdigit, _descending(root)):
        for month in _descending(root / year):
            for run in _descending(root / year / month):
                if runbook_of(run) and runbook in (None, runbook_of(run)):
                    yield root / year / month / run


def recent(root: Path, runbook: str | None = None, *, since: str = "") -> Iterator[Record]:
    """The records of the same, of runs that began on the day `since` (YYYYMMDD) or later."""
    for folder in itertools.takewhile(lambda folder: folder.name[:8] >= since, newest(root, runbook)):
        if record := exact(root, folder.name):
            yield record


def runbook_of(run: str) -> str:
    """The runbook that a run's id names: 20261120T181203Z-deploy-service-7f3k -> deploy-service."""
    return run.partition("-")[2].rpartition("-")[0]


def began(run: str) -> datetime | None:
    """When a run began, by its id; None if that has no time."""
    try:
        return datetime.strptime(run[:SECOND], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _descending(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return sorted((entry.name for entry in found), reverse=True)
    except OSError:
        return []


def exact(root: Path, run: str) -> Record | None:
    """The record with exactly this id, found by its name."""
    for folder in (place(root, run), root / QUARANTINE / run):
        if any(os.path.lexists(folder / name) for name in (journal.NAME, SEAL)):
            return Record(run, folder, _state(folder))
    return None


def find_any(root: Path, wanted: str) -> Record:
    """The record of a run, as `find` says, or of an incident, whose id begins with inc-. Raises InputError."""
    if not wanted.startswith("inc-"):
        return find(root, wanted)
    matches = [each for each in incidents(root) if each.id.startswith(wanted)]
    if len(matches) != 1:
        raise InputError(f"{wanted} is not the id of one incident.", "opsbook incident list --all shows all of them.")
    return matches[0]


def find(root: Path, wanted: str) -> Record:
    """The run's record with this id, unique prefix, or `last`: the run that began last. Raises InputError."""
    known = list(records(root))
    if wanted == "last" and known:
        return _last(known)
    matches = [r for r in known if r.id == wanted] or [r for r in known if r.id.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(
            f"{wanted} fits {len(matches)} runs: {', '.join(m.id for m in matches[:5])}.", "Write more of it."
        )
    raise InputError(f"There is no run {wanted}.", _absent(root, wanted, known))


def _last(known: list[Record]) -> Record:
    """The run that began last, of records newest first. Refused runs never began; they count if all were refused."""
    ran = (each for each in known if each.state != "sealed" or each.glance()["outcome"] != Outcome.REFUSED)
    newest = next(ran, None)
    if newest is None:
        return known[0]
    # Ids are precise to the second, and several short runs may begin within one.
    also = itertools.takewhile(lambda each: each.id[:SECOND] == newest.id[:SECOND], ran)
    return max((newest, *also), key=_begun)


def _begun(record: Record) -> str:
    """The time of the record's first event, as text."""
    try:
        with files.opened(record.folder / journal.NAME) as lines:
            return str(json.loads(lines.readline(_LINE))["time"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""


def _absent(root: Path, wanted: str, known: list[Record]) -> str:
    """Why there is no such run: its record was pruned, or the id is wrong."""
    with contextlib.suppress(InputError):
        for gone in logbook.entries(root / logbook.PRUNED):
            if gone["run"] == wanted:
                return f"Its record was pruned on {gone.get('time')} by {gone.get('by')} ({gone.get('rule')})."
    return nearest(wanted, [r.id for r in known[:50]]) if known else "No run has left a record yet."


def _state(folder: Path) -> str:
    if os.path.lexists(folder / SEAL):
        return "sealed"
    if is_incident(folder.name):
        return "open"
    return "running" if alive(folder / journal.NAME) else "lost"


def let_go(folder: Path) -> bool:
    """Whether no process holds the record any more; waits briefly for the run's last process to end."""
    return bool(again(lambda: not alive(folder / journal.NAME), _TRIES, _PAUSE))


@contextlib.contextmanager
def inbox(folder: Path, *, closing: bool) -> Iterator[bool]:
    """Lock a run's inbox, to send a request or (`closing`) to seal the record. Yields whether the lock was taken.

    Waiting is limited: a process that hangs here blocks others only briefly.
    """
    with contextlib.ExitStack() as stack:
        held = False
        with contextlib.suppress(OSError):
            (folder / "inbox").mkdir(exist_ok=True)
            lock = holding(folder / "inbox", shared=not closing, tries=_TRIES, pause=_PAUSE)
            held = stack.enter_context(lock)
        yield held


def alive(path: Path) -> bool:
    """Whether a process of the run still holds its journal."""
    if is_plain(path):
        with contextlib.suppress(OSError), holding(path, shared=True) as over:
            return not over
    return False
