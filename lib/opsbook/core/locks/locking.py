"""Locks of a run, as the runner asks for them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from opsbook.core.locks import lock
from opsbook.core.locks.targets import conflict
from opsbook.core.model.events import RunFinished, RunStarted, read
from opsbook.core.model.plan import Plan
from opsbook.core.record import journal, store
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings

_EARLIER = timedelta(days=14)
"""How long before a run another may have begun that worked on its target after it."""


def acquire(
    settings: Settings, run: str, planned: Plan, operator: str, check: Callable[[], None] = lambda: None
) -> Callable[[], None]:
    """What takes the locks of a run: all or none. It raises Refused with who holds what.

    `check` has a last look once they are held; where it raises, those that were taken are given back.
    """
    wanted = [lock.Lock(target, run, operator, planned.title, journal.now()) for target in planned.locks]

    def take() -> None:
        had = any(held.run == run for held in lock.holders(settings.state))
        try:
            _take(settings, wanted, planned)
        except lock.Held as error:
            ways = dict.fromkeys(way_out(settings, held) for held in error.locks)
            raise lock.Held(error.locks, "\n".join(ways)) from error
        try:
            check()
        except Refused:
            if not had:
                lock.release(settings.state, run)
            raise

    return take


def _take(settings: Settings, wanted: list[lock.Lock], planned: Plan) -> None:
    try:
        lock.acquire(settings.state, wanted)
    except lock.Held:
        if not _freed(settings, planned):
            raise
        lock.acquire(settings.state, wanted)


def way_out(settings: Settings, held: lock.Lock) -> str:
    """What to do about a lock that is in the way: it depends on what has become of the run that holds it."""
    by_hand = f"opsbook unlock {held.target} --reason WHY."
    record = store.exact(settings.records, held.run) if held.run != lock.UNKNOWN else None
    if record is None:
        return f"Nobody knows that run here. Look at {held.target}; if nothing works on it: {by_hand}"
    if record.state == "running":
        return f"It goes on: wait for it (--wait), or watch it: opsbook attach {held.run}."
    became = "was lost: its process is gone" if record.state == "lost" else f"is {record.glance()['outcome']}"
    return (
        f"{held.run} {became}. Go on with it: opsbook resume {held.run}. Undo it: opsbook rollback {held.run}. "
        f"If it was put right by hand: {by_hand}"
    )


def _freed(settings: Settings, planned: Plan) -> bool:
    """Free what a run left that was killed between its seal and the moment in which it gave its locks back."""
    runs = {held.run for held in lock.holders(settings.state) for t in planned.locks if conflict(held.target, t)}
    over = [run for run in runs if _gave_back(settings, run)]
    for run in over:
        lock.release(settings.state, run)
    return bool(over)


def _gave_back(settings: Settings, run: str) -> bool:
    record = store.exact(settings.records, run)
    if record is None or record.state != "sealed" or store.alive(record.folder / journal.NAME):
        # Whoever goes on with a run takes its locks before its seal comes off.
        return False
    try:
        ends = [fact for fact in map(read, record.events()) if isinstance(fact, RunFinished)]
    except InputError:
        return False
    return bool(ends) and not ends[-1].keeps_lock


def worked_since(settings: Settings, run: str, targets: tuple[str, ...], since: str) -> list[str]:
    """Runs that worked on a target after a time (UTC, ISO 8601), as sentences; also those that began before `run`.

    One that began weeks earlier, or was rolled back so late, is not found: it would take a look at every record.
    """
    found = []
    first = (datetime.strptime(run[:8], "%Y%m%d").replace(tzinfo=UTC) - _EARLIER).strftime("%Y%m%d")
    for folder in store.newest(settings.records):
        if folder.name[:8] < first:
            break
        record = store.exact(settings.records, folder.name)
        if folder.name == run or record is None:
            continue
        told = record.glance()
        if told["outcome"] in ("refused", "checked") or (told["ended"] or told["started"] or "") < since:
            continue
        worked = _locks(record)
        shared = sorted({t for w in worked for t in targets if conflict(w, t)})
        if shared:
            found.append(f"{folder.name} ({told['title']}, {told['outcome']}) worked on {', '.join(shared)}")
    return found


def _locks(record: store.Record) -> list[str]:
    try:
        events = record.events()
    except InputError:
        return []
    facts = (read(event, lenient=True) for event in events)
    return [target for fact in facts if isinstance(fact, RunStarted) for target in fact.locks]
