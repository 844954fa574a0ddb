"""What other processes may ask of a run that goes on, or of the lock it left."""

import json
import os
from collections.abc import Mapping

from opsbook import files
from opsbook.core.locks import lock
from opsbook.core.planning.context import operator
from opsbook.core.record import journal, store
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings


def send(settings: Settings, run_id: str, request: Mapping[str, str | int]) -> str:
    """Put a request into the inbox of a run that goes on; returns the run's id. Raises InputError otherwise."""
    record = _running(store.find(settings.records, run_id))
    name = f"{journal.now().replace(':', '')}-{os.getpid()}.json"
    with store.inbox(record.folder, closing=False) as is_open:
        # It may have been sealed since, and a file more would make its record one that was changed.
        _running(store.exact(settings.records, record.id) or record)
        if not is_open:
            raise InputError(f"{record.id} is being sealed.", "In a moment: opsbook records show says how it ended.")
        files.write_atomic(record.folder / "inbox" / name, json.dumps({**request, "by": operator()}).encode())
    return record.id


def _running(record: store.Record) -> store.Record:
    if record.state != "running":
        raise InputError(
            f"{record.id} does not run any more: it is {record.summary()['outcome']}.",
            "opsbook records show says more.",
        )
    return record


def unlock(settings: Settings, target: str, reason: str) -> lock.Lock:
    """Take a lock from a run that does not go on any more, and keep who did it and why."""
    if not reason.strip():
        raise InputError("The reason is empty.", "Say why it is safe: --reason WHY.")
    entry = {"time": journal.now(), "target": target, "by": operator(), "reason": reason}
    return lock.unlock(settings.state, target, lambda held: _lost(settings, held, entry))


def _lost(settings: Settings, held: lock.Lock, entry: dict[str, str]) -> None:
    """Keeps who takes the lock, and why. Raises Refused if its run goes on."""
    record = store.exact(settings.records, held.run)
    if record is not None and record.state == "running":
        raise Refused(f"{held.run} holds {held.target} and still runs.", f"Stop it first: opsbook cancel {held.run}.")
    _keep(settings, entry | {"run": held.run})


def _keep(settings: Settings, entry: dict[str, str]) -> None:
    """First the reason, then the lock: one without a reason would be gone for no reason."""
    path = settings.state / "locks" / "unlocked.jsonl"
    try:
        with path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.", "The lock was not taken away.") from error
