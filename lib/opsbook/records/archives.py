"""Export records to an archive, and import records from one.

Imported records are staged out of sight and verified; then each is moved into the records' folder as a whole.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from opsbook import files
from opsbook.core.planning.context import operator
from opsbook.core.record import journal, seal, sidecars, store
from opsbook.core.trust import adopting
from opsbook.errors import InputError
from opsbook.records import export, unpack
from opsbook.settings import Settings

_GUARD = ".import-guard"
"""Lock file in the records' folder: one import at a time, so that each can clear the leftovers of another."""


@dataclass(frozen=True)
class Chosen:
    """What to export: these records, or all sealed ones that began on or after `since` (UTC), except `without`."""

    runs: Sequence[str] = ()
    since: date | None = None
    without: Sequence[str] = ()


def export_records(settings: Settings, chosen: Chosen, path: Path, tell: export.Tell, *, force: bool) -> list[str]:
    """Write sealed records into one archive; returns their ids. Raises InputError, and then writes nothing."""
    _check_target(settings, path, force=force)
    records = _choose(settings, chosen)
    # Digests before verification, so that the verified records are those that the digests name.
    seals = {record.id: _sealed(record) for record in records}
    export.check(records, tell)
    told = export.Manifest(exported=_now(), by=operator(), records=seals)
    export.write(path, settings.records, records, told, tell, force=force)
    return [record.id for record in records]


def _check_target(settings: Settings, path: Path, *, force: bool) -> None:
    if path.resolve().is_relative_to(settings.records):
        raise InputError(f"{path} lies in the records' folder.", "Name a file elsewhere.")
    if not path.resolve().parent.is_dir():
        raise InputError(f"There is no folder {path.resolve().parent}.", "Make it, or name another file.")
    if os.path.lexists(path) and not (force and files.is_plain(path)):
        hint = "Name another file, or write over it with --force." if files.is_plain(path) else "Name a file."
        raise InputError(f"{path} is there already.", hint)


def _choose(settings: Settings, chosen: Chosen) -> list[store.Record]:
    """The records, oldest first. Raises InputError if a named one cannot be exported, and if there are none."""
    if chosen.runs and (chosen.since or chosen.without):
        raise InputError("RUN excludes --since and --without.", "Name runs, or choose with --since and --without.")
    found = {record.id: record for record in (store.find_any(settings.records, run) for run in chosen.runs)}
    if problems := [why for record in found.values() if (why := _unfit(record))]:
        raise InputError(problems, "Nothing was written.")
    if not chosen.runs:
        without = {store.find_any(settings.records, run).id for run in chosen.without}
        since = f"{chosen.since:%Y%m%d}" if chosen.since else ""
        known = (*store.records(settings.records), *store.incidents(settings.records))
        kept = (r for r in known if not _unfit(r) and r.id.removeprefix("inc-") >= since and r.id not in without)
        found = {record.id: record for record in kept}
    if not found:
        raise InputError("There is no sealed record to export.", "opsbook records list shows what there is.")
    return [found[run] for run in sorted(found)]


def _unfit(record: store.Record) -> str:
    """Why a record cannot be exported; empty if it can."""
    if record.folder.parent.name == store.QUARANTINE:
        return f"{record.id} is in quarantine: a secret is in its record."
    if record.state != "sealed":
        return f"{record.id} has no seal: it is {record.state}."
    return "" if export.is_record(record.id) else f"{record.id} is no name of a run."


def _sealed(record: store.Record) -> export.Sealed:
    try:
        return export.sealed(record.folder)
    except OSError as error:
        raise record.damaged(store.SEAL) from error


def _now() -> str:
    """The time of the export; SOURCE_DATE_EPOCH overrides it, by the convention of reproducible builds."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given.isascii() and given.isdigit() and len(given) < 12:
        return datetime.fromtimestamp(int(given), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return journal.now()


STAGING = ".importing"
"""Staging folder of imports. The next import removes what a crash left there."""

_LEVELS = "archive/records"
"""Deep enough that no staged file is mistaken for the journal or seal of a record, which are three folders deep."""


@dataclass(frozen=True)
class Imported:
    """The result for a run: imported, there already, or refused; `why`, also if only its sidecars were not moved."""

    run: str
    result: str
    why: str = ""


@contextlib.contextmanager
def staging(root: Path) -> Iterator[Path]:
    """An empty folder below the records; the caller must lock out other imports. Raises OSError."""
    place = root / STAGING
    if os.path.lexists(place):
        shutil.rmtree(place)
    try:
        (place / _LEVELS).mkdir(parents=True)
        yield place / _LEVELS
    finally:
        shutil.rmtree(place, ignore_errors=True)


def adopt(root: Path, staged: Path, told: export.Manifest, run: str) -> Imported:
    """Move a staged run to its place, unless it differs from what was exported, or a different record is there."""
    folder = staged / run
    if why := _unlike(folder, told.records.get(run)):
        return Imported(run, "refused", why)
    if present := store.exact(root, run):
        why = _in_the_way(present, told.records[run])
        return Imported(run, "refused", why) if why else Imported(run, "there already")
    try:
        adopting.mark(root, run, told.records[run].seal)
        for part in () if store.is_incident(run) else store.PARTS:
            with contextlib.suppress(FileExistsError):
                (folder / part).mkdir()
        place = store.place(root, run)
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
        files.sync_folder(place.parent)
    except OSError as error:
        return Imported(run, "refused", f"its folder cannot be made: {error.strerror}")
    return Imported(run, "imported")


def _unlike(folder: Path, told: export.Sealed | None) -> str:
    """Why the staged record is not the exported one; empty if it is."""
    if told is None:
        return f"{export.NAME} does not name it"
    if not folder.is_dir():
        return f"{export.NAME} names it, but it is not in the archive"
    if flaws := seal.verify(folder):
        return f"it is not as it was sealed: {flaws[0].file}: {flaws[0].message}"
    return "" if export.sealed(folder) == told else f"its seal is not the one that {export.NAME} names"


def _in_the_way(present: store.Record, told: export.Sealed) -> str:
    """Why the existing record blocks the import; empty if both are the same."""
    if present.folder.parent.name == store.QUARANTINE:
        return "it is here, in quarantine"
    if present.state != "sealed":
        return f"it is here, and it is {present.state}"
    same = files.is_plain(present.folder / store.SEAL) and files.sha256(present.folder / store.SEAL) == told.seal
    return "" if same else "it is here with another seal"


def import_records(settings: Settings, archive: Path, tell: Callable[[int, int], None]) -> list[Imported]:
    """Unpack, verify and move in every record of an export; returns the result of each.

    Raises InputError for a damaged or hostile archive, and then imports nothing.
    """
    if not files.is_plain(archive.resolve()):
        raise InputError(f"{archive} is no file.", "Name what opsbook records export wrote.")
    hint = "Correct that folder, or records in opsbook.toml."
    with files.saying(f"Nothing can be imported into {settings.records}", hint):
        settings.records.mkdir(parents=True, exist_ok=True)
        with files.guarded(settings.records / _GUARD), staging(settings.records) as staged:
            unpacking = unpack.Unpacking(archive, staged, tell)
            told = unpacking.run()
            # One sync for all: syncing thousands of small files one by one would take minutes.
            os.sync()
            runs = sorted({*unpacking.runs, *told.records})
            return [_taken_in(settings, staged, adopt(settings.records, staged, told, run)) for run in runs]


def _taken_in(settings: Settings, staged: Path, found: Imported) -> Imported:
    """The result, after the run's sidecars were moved in too: they follow their record."""
    record = store.exact(settings.records, found.run) if found.result != "refused" else None
    return replace(found, why=sidecars.take_in(settings.records, staged, record)) if record else found
