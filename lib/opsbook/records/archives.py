"""Export records to an archive, and import records from one."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from opsbook.core.planning.context import operator
from opsbook.core.record import journal, sidecars, store
from opsbook.errors import InputError
from opsbook.files import guarded, is_plain
from opsbook.records import adopt, export, manifest, unpack
from opsbook.settings import Settings

_GUARD = ".import-guard"
"""Lock file in the records' folder: one import at a time, so that each can clear the leftovers of another."""


@dataclass(frozen=True)
class Chosen:
    """What to export: these runs, or all sealed ones that started on or after `since` (UTC), except `without`."""

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
    told = manifest.Manifest(exported=_now(), by=operator(), records=seals)
    export.write(path, settings.records, records, told, tell, force=force)
    return [record.id for record in records]


def _check_target(settings: Settings, path: Path, *, force: bool) -> None:
    if path.resolve().is_relative_to(settings.records):
        raise InputError(f"{path} lies in the records' folder.", "Name a file elsewhere.")
    if not path.resolve().parent.is_dir():
        raise InputError(f"There is no folder {path.resolve().parent}.", "Make it, or name another file.")
    if os.path.lexists(path) and not (force and is_plain(path)):
        hint = "Name another file, or write over it with --force." if is_plain(path) else "Name a file."
        raise InputError(f"{path} is there already.", hint)


def _choose(settings: Settings, chosen: Chosen) -> list[store.Record]:
    """The records, oldest first. Raises InputError if a named one cannot be exported, and if there are none."""
    if chosen.runs and (chosen.since or chosen.without):
        raise InputError("RUN excludes --since and --without.", "Name runs, or choose with --since and --without.")
    known = list(store.records(settings.records))
    found = {record.id: record for record in (store.find(settings.records, run) for run in chosen.runs)}
    if problems := [why for record in found.values() if (why := _unfit(record))]:
        raise InputError(problems, "Nothing was written.")
    if not chosen.runs:
        without = {store.find(settings.records, run).id for run in chosen.without}
        since = f"{chosen.since:%Y%m%d}" if chosen.since else ""
        kept = (r for r in known if not _unfit(r) and r.id >= since and r.id not in without)
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
    return "" if manifest.is_run(record.id) else f"{record.id} is no name of a run."


def _sealed(record: store.Record) -> manifest.Sealed:
    try:
        return manifest.sealed(record.folder)
    except OSError as error:
        raise record.damaged(store.SEAL) from error


def _now() -> str:
    """The time of the export; SOURCE_DATE_EPOCH overrides it, by the convention of reproducible builds."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given.isascii() and given.isdigit() and len(given) < 12:
        return datetime.fromtimestamp(int(given), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return journal.now()


def import_records(settings: Settings, archive: Path, tell: Callable[[int, int], None]) -> list[adopt.Imported]:
    """Unpack, verify and move in every record of an export; returns the result of each.

    Raises InputError for a damaged or hostile archive, and then imports nothing.
    """
    if not is_plain(archive.resolve()):
        raise InputError(f"{archive} is no file.", "Name what opsbook records export wrote.")
    try:
        settings.records.mkdir(parents=True, exist_ok=True)
        with guarded(settings.records / _GUARD), adopt.staging(settings.records) as staged:
            unpacking = unpack.Unpacking(archive, staged, tell)
            told = unpacking.run()
            # One sync for all: syncing thousands of small files one by one would take minutes.
            os.sync()
            runs = sorted({*unpacking.runs, *told.records})
            return [_taken_in(settings, staged, adopt.adopt(settings.records, staged, told, run)) for run in runs]
    except OSError as error:
        said = f"Nothing can be imported into {settings.records}: {error.strerror or error}."
        raise InputError(said, "Correct that folder, or records in opsbook.toml.") from error


def _taken_in(settings: Settings, staged: Path, found: adopt.Imported) -> adopt.Imported:
    """The result, after the run's sidecars were moved in too: they follow their record."""
    record = store.exact(settings.records, found.run) if found.result != "refused" else None
    return replace(found, why=sidecars.take_in(settings.records, staged, record)) if record else found
