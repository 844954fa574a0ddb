"""Scan records for current secrets, and restore a record from quarantine once its secrets are changed."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from opsbook import files
from opsbook.core.model.redact import Redactor
from opsbook.core.planning.context import knowing, operator
from opsbook.core.record import journal, logbook, seal, store
from opsbook.errors import InputError, OpsbookError
from opsbook.incidents import store as incidents
from opsbook.settings import Settings


@dataclass(frozen=True)
class Scanned:
    """A record, and its files with a secret. `quarantined`: it is in quarantine now."""

    run: str
    files: tuple[str, ...]
    quarantined: bool = False


def references(record: store.Record) -> dict[str, str]:
    """References of the secrets in a run's parameters; an incident has none. Raises InputError without a good plan.

    The record may come from an earlier version, so the rest of the plan is not validated.
    """
    if store.is_incident(record.id):
        return {}
    try:
        found = json.loads(record.text(store.PLAN))["secrets"]
        return {str(name): str(reference) for name, reference in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise record.damaged(store.PLAN) from error


def scan(settings: Settings, records: Iterable[store.Record], known: Redactor, *, move: bool) -> Iterator[Scanned]:
    """Records that contain a secret; with `move`, they go to quarantine, where only the owner can read them.

    An open incident stays: people need it now.
    """
    for record in records:
        if record.state == "running" or not (found := tuple(seal.scan(record.folder, known))):
            continue
        there = record.folder.parent.name == store.QUARANTINE
        moved = move and not there and record.state != "open" and _moved(settings, record)
        yield Scanned(record.id, found, quarantined=there or moved)


def _moved(settings: Settings, record: store.Record) -> bool:
    """Move a record to quarantine. False if its run holds it."""
    path = record.folder / journal.NAME
    with files.holding(path if path.exists() else record.folder) as held:
        if held:
            seal.quarantine(record.folder, settings.records)
    return held


def restore(
    settings: Settings, record: store.Record, names: Iterable[str], typed: Mapping[str, str], reason: str
) -> str:
    """Move a record out of quarantine; returns the run. Raises InputError while it contains a current secret.

    It searches for the secrets of the named environments, of the run's environment, and of its parameters; `typed` are
    values of those that come from a prompt.
    """
    if record.folder.parent.name != store.QUARANTINE:
        raise InputError(f"{record.id} is not in quarantine.", "opsbook doctor names those that are.")
    if not reason.strip():
        raise InputError("The reason is empty.", "Say why the secret is useless now: --reason WHY.")
    own = _environment(record)
    known = knowing(settings, {**{name: {} for name in names}, own: references(record)}, typed)
    if found := seal.scan(record.folder, known):
        said = f"{record.id} still holds a secret as it is today, in {', '.join(found)}."
        raise InputError(said, "Change that secret first: whoever read the record knows it.")
    entry = {"action": "restore", "run": record.id, "by": operator(), "reason": reason}
    logbook.append(settings.records / logbook.RESTORED, {"time": journal.now(), **entry})
    target = store.place(settings.records, record.id)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        record.folder.rename(target)
        target.chmod(0o777 & ~files.umask())
        files.sync_folder(target.parent)
    except OSError as error:
        said = f"{record.folder} cannot be moved: {error.strerror}."
        raise OpsbookError(said, "Correct the records' folder.") from error
    return record.id


def _environment(record: store.Record) -> str:
    """The environment of a run or an incident; empty without one. Raises InputError for a damaged incident."""
    if store.is_incident(record.id):
        return incidents.load(record.folder).environment
    return str(record.glance()["environment"] or "")
