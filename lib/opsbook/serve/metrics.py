"""What Prometheus reads: incidents, alerts, locks, and the runs of this project by outcome."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from opsbook.core.locks import lock
from opsbook.core.record import store as records
from opsbook.incidents import store
from opsbook.serve.heartbeat import Heartbeats
from opsbook.serve.worker import Counted
from opsbook.settings import Settings

_Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counts what the records say. A sealed record is read once; the next look only reads what is new."""

    def __init__(self, settings: Settings, heartbeats: Heartbeats) -> None:
        self._heartbeats = heartbeats
        self._settings = settings
        self._runs: dict[str, tuple[int, str, str, str, float]] = {}
        self._incidents: dict[str, tuple[int, str, str]] = {}

    def text(self, counted: Counted, waiting: int) -> str:
        """The metrics in Prometheus' text format."""
        lines = [
            *_family("opsbook_notifications_accepted_total", "counter", "from Alertmanager", {(): counted.accepted}),
            *_family("opsbook_notifications_refused_total", "counter", "by any sender", {(): counted.refused}),
            *_family("opsbook_notifications_broken_total", "counter", "put aside unread", {(): counted.put_aside}),
            *_family("opsbook_notifications_waiting", "gauge", "kept, not written yet", {(): waiting}),
            *_family(
                "opsbook_heartbeat_timestamp_seconds", "gauge", "the last heartbeat", {(): self._heartbeats.latest()}
            ),
            *_family("opsbook_incidents", "gauge", "by severity and state", self._states()),
            *_family("opsbook_locks", "gauge", "held by runs", {(): len(lock.holders(self._settings.state))}),
            *self._of_runs(),
        ]
        return "\n".join(lines) + "\n"

    def _states(self) -> Mapping[_Labels, float]:
        count: Counter[_Labels] = Counter()
        for path in store.every(self._settings.records):
            # Another seal is another file: what is sealed does not change without one.
            seal = _sealed(path)
            known = self._incidents.get(path.name)
            if known is None or not seal or known[0] != seal:
                found = store.shown(path)
                known = self._incidents[path.name] = (seal, found.severity, str(found.state))
            count[("severity", known[1]), ("state", known[2])] += 1
        return count

    def _of_runs(self) -> Iterator[str]:
        count: Counter[_Labels] = Counter()
        seconds: defaultdict[_Labels, float] = defaultdict(float)
        for folder in records.newest(self._settings.records):
            seal, known = _sealed(folder), self._runs.get(folder.name)
            if known is None or not seal or known[0] != seal:
                record = records.exact(self._settings.records, folder.name)
                if record is None:
                    continue
                told = record.glance()
                page, took = records.runbook_of(record.id), float(told.get("seconds") or 0)
                known = (seal, page, str(told.get("environment") or ""), str(told["outcome"]), took)
                self._runs[record.id] = known
            labels = ("runbook", known[1]), ("environment", known[2]), ("outcome", known[3])
            count[labels] += 1
            seconds[labels] += known[4]
        yield from _family("opsbook_runs", "gauge", "records of runs, by outcome", count)
        yield from _family("opsbook_run_seconds", "gauge", "how long those took together", seconds)


def _sealed(path: Path) -> int:
    """Which seal an incident or a run has; 0 without one."""
    try:
        return (path / records.SEAL).stat().st_ino
    except OSError:
        return 0


_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def _family(name: str, kind: str, about: str, values: Mapping[_Labels, float]) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values.items():
        told = ",".join(f'{label}="{text.translate(_ESCAPED)}"' for label, text in labels)
        yield f"{name}{{{told}}} {value:g}" if told else f"{name} {value:.15g}"
