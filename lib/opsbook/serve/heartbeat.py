"""Alerts that always fire, to show that alerts arrive. When one stops coming, that is an incident."""

import contextlib
import json
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from opsbook import files
from opsbook.incidents import acting, intake, store
from opsbook.incidents.incident import Incident
from opsbook.incidents.intake import HEARD_NOTHING, HEARTBEAT, Notification, Notified
from opsbook.settings import Settings

SILENT = 600.0
"""Seconds after which a heartbeat that stopped is an incident."""


class Heartbeats:
    """The last heartbeat of each alert. They are in a file, so that a restart forgets none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path: Path = settings.state / "heartbeats.json"
        # While this server was down none could arrive.
        self._since = time.time()
        self._lock = threading.Lock()
        self._last: dict[str, tuple[float, Notified]] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            told = json.loads(files.read(self._path))
            self._last = {key: (float(at), Notified.model_validate(alert)) for key, (at, alert) in told.items()}

    def latest(self) -> float:
        """Unix time of the last one; 0 without."""
        return max((at for at, _ in self._last.values()), default=0.0)

    def hear(self, notifications: Iterable[Notification]) -> None:
        """Take the heartbeats among these."""
        found = {
            alert.fingerprint: alert
            for each in notifications
            for alert in each.alerts
            if alert.labels.get("severity") == HEARTBEAT and alert.status == "firing"
        }
        if found:
            with self._lock:
                self._last |= {key: (time.time(), alert) for key, alert in found.items()}
                self._keep()

    def silent(self, now: float) -> Iterator[Incident]:
        """An incident for each one that stopped. It is forgotten then: the next one begins anew."""
        with self._lock:
            gone = [key for key, (at, _) in self._last.items() if now - max(at, self._since) > SILENT]
            for key in gone:
                _, alert = self._last[key]
                yield self._opened(alert)
                del self._last[key]
                self._keep()

    def _opened(self, alert: Notified) -> Incident:
        place = intake.place_of(self._settings, alert)
        title = f"No alerts arrive any more{f' from {place}' if place else ''}: {alert.name} stopped"
        worst = acting.severities(self._settings)[0]
        return store.create(self._settings, [intake.opening(self._settings, alert, title, worst, by=HEARD_NOTHING)])

    def _keep(self) -> None:
        told = {key: (at, alert.model_dump(mode="json")) for key, (at, alert) in self._last.items()}
        files.write_atomic(self._path, json.dumps(told).encode())
