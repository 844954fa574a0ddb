"""Hold records, and prune those that the retention policy no longer keeps."""

from dataclasses import dataclass
from datetime import UTC, datetime

from opsbook.core.locks import lock
from opsbook.core.planning.context import operator
from opsbook.core.record import journal, logbook, store
from opsbook.core.trust.reviewing import follow_ups
from opsbook.errors import InputError, Refused
from opsbook.files import guarded
from opsbook.incidents import store as incidents
from opsbook.incidents.incident import State
from opsbook.records import retention
from opsbook.settings import Settings

_GUARD = ".guard"
"""Lock file in the records' folder: hold, release and prune run one at a time."""


@dataclass(frozen=True)
class Pruned:
    """Records that are no longer kept; `removed`: they were deleted, except `busy` ones, which are in use."""

    old: tuple[retention.Old, ...]
    removed: bool
    busy: tuple[str, ...] = ()


def hold(settings: Settings, run: str, reason: str) -> retention.Hold:
    """Keep a record regardless of the policy. Raises InputError if it is held already, or there is no reason."""
    record = store.find(settings.records, run)
    with guarded(settings.records / _GUARD):
        held = retention.holds(settings.records).get(record.id)
        if held is not None:
            raise InputError(
                f"{record.id} is held by {held.by} since {held.since}: {held.reason}.",
                f"End that hold first: opsbook records release {record.id} --reason WHY.",
            )
        return _note(settings, "hold", record.id, reason)


def release(settings: Settings, run: str, reason: str) -> retention.Hold:
    """End a hold. Raises InputError if there is none."""
    with guarded(settings.records / _GUARD):
        held = retention.holds(settings.records)
        found = [held[run]] if run in held else [one for name, one in held.items() if name.startswith(run)]
        if len(found) != 1:
            raise InputError(f"{run} is not the id of one held record.", f"Held: {', '.join(held) or 'none'}.")
        _note(settings, "release", found[0].run, reason)
        return found[0]


def _note(settings: Settings, action: str, run: str, reason: str) -> retention.Hold:
    if not reason.strip():
        raise InputError("The reason is empty.", "Say why: --reason WHY.")
    by, now = operator(), journal.now()
    entry = {"time": now, "action": action, "run": run, "by": by, "reason": reason}
    logbook.append(settings.records / logbook.HOLDS, entry)
    return retention.Hold(run, by, now, reason)


def prune(settings: Settings, *, remove: bool) -> Pruned:
    """Find, and with `remove` delete, records that the policy no longer keeps. Raises InputError without a policy."""
    policy = settings.retention
    if policy is None:
        raise InputError(
            "opsbook.toml has no [retention]: every record is kept.", 'Write for example [retention] keep = "365d".'
        )
    if not settings.records.is_dir():
        return Pruned((), removed=remove)
    with guarded(settings.records / _GUARD):
        if remove:
            retention.finish(settings.records)
        reviews = {each.run for each in follow_ups(settings)}
        attached = {
            run for each in incidents.readable(settings) if each.state is not State.REVIEWED for run in each.runs
        }
        kept = {*retention.holds(settings.records), *_locking(settings), *reviews, *attached}
        old = tuple(retention.expired(store.records(settings.records), policy, datetime.now(UTC), kept))
        if not remove:
            return Pruned(old, removed=False)
        by = operator()
        busy = {one.run for one in old if not retention.remove(settings.records, one, by)}
        return Pruned(tuple(one for one in old if one.run not in busy), removed=True, busy=tuple(sorted(busy)))


def _locking(settings: Settings) -> set[str]:
    """Runs that hold a lock. Raises Refused if the holder of a lock is unknown."""
    held = lock.holders(settings.state)
    for one in held:
        if one.run == lock.UNKNOWN:
            raise Refused(
                f"{one.target} is locked, and {one.reason}: any record may belong to it.",
                f"Look at the target, then opsbook unlock {one.target} --reason WHY.",
            )
    return {one.run for one in held}
