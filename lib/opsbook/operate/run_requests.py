"""Requests of other processes to a running run, and for a lock that a run left."""

import json
import os
from collections.abc import Mapping

from opsbook import files
from opsbook.core.locks import lock
from opsbook.core.planning.context import operator
from opsbook.core.record import journal, logbook, store
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings


def send(settings: Settings, run_id: str, request: Mapping[str, str | int]) -> str:
    """Put a request into the inbox of a running run; returns the run's id. Raises InputError if it does not run."""
    record = _running(store.find(settings.records, run_id))
    name = f"{journal.now().replace(':', '')}-{os.getpid()}.json"
    with store.inbox(record.folder, closing=False) as is_open:
        # It may be sealed by now, and another file would make the record fail verification.
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
    """Take a lock from a run that no longer runs, and log who did it and why."""
    if not reason.strip():
        raise InputError("The reason is empty.", "Say why it is safe: --reason WHY.")
    entry = {"time": journal.now(), "target": target, "by": operator(), "reason": reason}
    path = settings.state / "locks" / "unlocked.jsonl"

    def check(held: lock.Lock) -> None:
        record = store.exact(settings.records, held.run)
        if record is not None and record.state == "running":
            hint = f"Stop it first: opsbook cancel {held.run}."
            raise Refused(f"{held.run} holds {held.target} and still runs.", hint)
        with files.saying(f"{path} cannot be written", "The lock was not taken away."):
            logbook.append(path, entry | {"run": held.run})

    return lock.unlock(settings.state, target, check)
