"""Locks of a run, for the runner."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from opsbook.core.locks import lock
from opsbook.core.locks.queue import conflict
from opsbook.core.model.effect import Mode
from opsbook.core.model.events import Locked, RunFinished, read
from opsbook.core.model.past import Past
from opsbook.core.model.plan import Plan
from opsbook.core.record import journal, store
from opsbook.errors import InputError
from opsbook.settings import Settings

_EARLIER = timedelta(days=14)
"""`worked_since` ignores runs that began earlier than this before the given run."""


def acquire(settings: Settings, run: str, planned: Plan, operator: str) -> Callable[[], None]:
    """Return a function that takes the locks of a run: all or none. It raises Refused, which names the holders."""
    wanted = [lock.Lock(target, run, operator, planned.title, journal.now()) for target in planned.locks]

    def take() -> None:
        try:
            _take(settings, wanted, planned)
        except lock.Held as error:
            ways = dict.fromkeys(way_out(settings, held) for held in error.locks)
            raise lock.Held(error.locks, "\n".join(ways)) from error

    return take


def _take(settings: Settings, wanted: list[lock.Lock], planned: Plan) -> None:
    try:
        lock.acquire(settings.state, wanted)
    except lock.Held:
        if not _release_leftover(settings, planned):
            raise
        lock.acquire(settings.state, wanted)


def way_out(settings: Settings, held: lock.Lock) -> str:
    """What to do about a conflicting lock: it depends on the state of the run that holds it."""
    by_hand = f"opsbook unlock {held.target} --reason WHY."
    record = store.exact(settings.records, held.run) if held.run != lock.UNKNOWN else None
    if record is None:
        return f"There is no record of that run here. Look at {held.target}; if nothing works on it: {by_hand}"
    told = record.glance()
    if told.get("mode") == Mode.SESSION:
        who = "Somebody works on it in a notebook, which keeps it until it is closed"
        gone = f"It was left by a notebook. Look at {held.target}; if it is well: {by_hand}"
        return f"{who}. End it from here: opsbook cancel {held.run}." if record.state == "running" else gone
    if record.state == "running":
        return f"It is still running: wait for it (--wait), or watch it: opsbook attach {held.run}."
    became = "was lost: its process is gone" if record.state == "lost" else f"is {told['outcome']}"
    return (
        f"{held.run} {became}. Go on with it: opsbook resume {held.run}. Undo it: opsbook rollback {held.run}. "
        f"If it was put right by hand: {by_hand}"
    )


def _release_leftover(settings: Settings, planned: Plan) -> bool:
    """Release locks of runs that were killed after their seal, before they released their locks."""
    runs = {held.run for held in lock.holders(settings.state) for t in planned.locks if conflict(held.target, t)}
    over = [run for run in runs if _is_over(settings, run)]
    for run in over:
        lock.release(settings.state, run)
    return bool(over)


def _is_over(settings: Settings, run: str) -> bool:
    record = store.exact(settings.records, run)
    if record is None or record.state == "running" or store.alive(record.folder / journal.NAME):
        # A resumed run takes its locks before its seal is removed.
        return False
    try:
        if record.state == "lost":
            # Nobody goes on with a session: one that was killed keeps only what it may have left half-way.
            past = Past.of(record.events())
            return past.mode == Mode.SESSION and not past.unsettled()
        ends = [fact for fact in map(read, record.events()) if isinstance(fact, RunFinished)]
    except InputError:
        return False
    return bool(ends) and not ends[-1].keeps_lock


def worked_since(settings: Settings, run: str, targets: tuple[str, ...], since: str) -> list[str]:
    """Runs that worked on a target after a time (UTC, ISO 8601), as sentences; also those that began before `run`.

    Runs that began more than two weeks before `run` are not found: that would mean reading every record.
    """
    found = []
    first = (datetime.strptime(run[:8], "%Y%m%d").replace(tzinfo=UTC) - _EARLIER).strftime("%Y%m%d")
    for record in store.recent(settings.records, since=first):
        told = record.glance()
        before = (told["ended"] or told["started"] or "") < since
        if record.id == run or before or told["outcome"] in ("refused", "checked"):
            continue
        worked = _locks(record)
        shared = sorted({t for w in worked for t in targets if conflict(w, t)})
        if shared:
            found.append(f"{record.id} ({told['title']}, {told['outcome']}) worked on {', '.join(shared)}")
    return found


def _locks(record: store.Record) -> list[str]:
    try:
        events = record.events()
    except InputError:
        return []
    facts = (read(event, lenient=True) for event in events)
    return [target for fact in facts if isinstance(fact, Locked) for target in fact.targets]
