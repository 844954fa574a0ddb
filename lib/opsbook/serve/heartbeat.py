"""Alerts that always fire, to show that alerts arrive. When one stops coming, that is an incident."""

import contextlib
import json
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from opsbook import files
from opsbook.core.model.text import one_line
from opsbook.core.planning import environment
from opsbook.incidents import acting, intake, store
from opsbook.incidents.facts import IncidentOpened
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
        place = alert.labels.get("environment", "")
        known = place if place in environment.names(self._settings) else ""
        page = intake.page_for(self._settings, alert)
        opened = IncidentOpened(
            incident=store.new_id(),
            title=one_line(f"No alerts arrive any more{f' from {known}' if known else ''}: {alert.name} stopped"),
            severity=acting.severities(self._settings)[0],
            environment=known,
            by=HEARD_NOTHING,
            runbook=page.name,
            parameters=dict(page.parameters or {}),
        )
        return store.create(self._settings, [opened])

    def _keep(self) -> None:
        told = {key: (at, alert.model_dump(mode="json")) for key, (at, alert) in self._last.items()}
        files.write_atomic(self._path, json.dumps(told).encode())
