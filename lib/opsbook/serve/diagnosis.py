"""The check of an incident's page, by itself: `opsbook run PAGE --check`, which reads and changes nothing.

Only where the environment's policy names the page (`on_alert: check`). Whatever is decided is in the incident.
"""

import logging
import queue
import subprocess
import sys
import threading
from functools import partial

from opsbook.core.planning import environment
from opsbook.errors import OpsbookError
from opsbook.incidents import acting, facts, intake, store
from opsbook.incidents.incident import Incident
from opsbook.settings import Settings

LOG = logging.getLogger("opsbook.serve")

_WAITING = 20
"""Checks that may wait for their turn: in a storm of alerts the others are left to people."""

_LIMIT = 900.0
"""Seconds that a check may take."""


class Diagnosis(threading.Thread):
    """One check at a time: in an incident the machine has other things to do."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True, name="opsbook-diagnosis")
        self._settings = settings
        self._queue: queue.Queue[Incident | None] = queue.Queue(_WAITING)
        self._running: subprocess.Popen[str] | None = None

    def ask(self, found: Incident) -> None:
        """Check the page of a new incident, or write down why not; once."""
        if found.runs or found.has(facts.NotDiagnosed):
            return
        why = intake.no_page(found) or self._unnamed(found)
        if why is None and self._queue.full():
            why = facts.NotDiagnosed(runbook=found.runbook, why=f"{_WAITING} other checks wait already")
        if why is None:
            # Only one thread asks, so there is still room.
            self._queue.put_nowait(found)
        else:
            self._write(found, why)

    def end(self) -> None:
        """End the check that runs, and forget those that wait. An ended check has a record that says so."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put(None)
        if self._running is not None:
            self._running.terminate()
        self.join()

    def run(self) -> None:
        while (found := self._queue.get()) is not None:
            self._check(found)

    def _unnamed(self, found: Incident) -> facts.NotDiagnosed | None:
        try:
            allowed = environment.load_as_written(self._settings, found.environment).on_alert.check
        except OpsbookError as error:
            return facts.NotDiagnosed(runbook=found.runbook, why=error.message)
        if found.runbook in allowed:
            return None
        said = f"{found.environment} does not name it: on_alert: check, in environment.yml"
        return facts.NotDiagnosed(runbook=found.runbook, why=said)

    def _check(self, found: Incident) -> None:
        values = [word for name, value in found.parameters.items() for word in ("-p", f"{name}={value}")]
        place = ["-e", found.environment, "--check", "--incident", found.id]
        command = [sys.executable, "-P", "-m", "opsbook.cli.main", "run", found.runbook, *place, *values]
        self._running = subprocess.Popen(
            command,
            cwd=self._settings.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _, said = self._running.communicate(timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            self._running.terminate()
            _, said = self._running.communicate()
        code, self._running = self._running.returncode, None
        now = store.load(store.folder(self._settings) / found.id)
        if code and not now.runs:
            lines = [line for line in said.splitlines() if line.strip()]
            why = lines[0].removeprefix("opsbook: ") if lines else f"it ended with {code}"
            self._write(found, facts.NotDiagnosed(runbook=found.runbook, why=why))

    def _write(self, found: Incident, why: facts.NotDiagnosed) -> None:
        LOG.info("%s: %s is not checked by itself: %s", found.id, found.runbook or "nothing", why.why)
        path = store.folder(self._settings) / found.id
        known = partial(acting.redactor, self._settings)
        try:
            store.change(self._settings, path, lambda now: [] if now.over else [why], known)
        except OpsbookError as error:
            LOG.warning("%s cannot be written: %s", found.id, error.message)
