"""What is done by itself for a new incident: the check of its page, and then, where all agree, the page.

The check (`opsbook run PAGE --check`) reads and changes nothing; `on_alert: check` of the environment names its pages.
Whether the page may run is decided in `incidents.recovery`. Whatever is decided is in the incident.
"""

import queue
import threading
from datetime import UTC, datetime

from opsbook.core.model.events import Fact
from opsbook.core.planning import environment
from opsbook.errors import OpsbookError
from opsbook.incidents import facts, intake, recovery, store, telling
from opsbook.incidents.incident import Incident
from opsbook.operate import own_process
from opsbook.serve import LOG
from opsbook.settings import Settings

_WAITING = 20
"""Incidents that may wait for their turn: in a storm of alerts the others are left to people."""


class Diagnosis(threading.Thread):
    """One at a time: in an incident the machine has other things to do, and what was done is counted."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True, name="opsbook-diagnosis")
        self._settings = settings
        self._queue: queue.Queue[Incident | None] = queue.Queue(_WAITING)
        self._end = threading.Event()

    def ask(self, found: Incident) -> None:
        """Check the page of a new incident, or write down why not; once."""
        if found.runs or found.has(facts.NotDiagnosed):
            return
        why = intake.no_page(found) or self._unnamed(found)
        if why is not None and why.runbook and recovery.wanted(self._settings, found):
            # Not checked, and yet it may be run.
            self._write(found, why)
            why = None
        if why is None:
            try:
                self._queue.put_nowait(found)
            except queue.Full:
                why = facts.NotDiagnosed(runbook=found.runbook, why=f"{_WAITING} others wait already")
        if why is not None:
            self._write(found, why)

    def end(self) -> None:
        """End a check that runs, let a page that runs go on, and forget what waits."""
        self._end.set()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put(None)
        self.join()

    def run(self) -> None:
        while (found := self._queue.get()) is not None:
            try:
                self._handle(found)
            except (OSError, ValueError, OpsbookError) as error:
                self._write(found, facts.NotDiagnosed(runbook=found.runbook, why=str(error)))
            except Exception:
                # A fault here must not end the thread: nobody would hear of it.
                LOG.exception("a fault in opsbook itself")

    def _unnamed(self, found: Incident) -> facts.NotDiagnosed | None:
        try:
            allowed = environment.load_as_written(self._settings, found.environment).on_alert.check
        except OpsbookError as error:
            return facts.NotDiagnosed(runbook=found.runbook, why=error.message)
        if found.runbook in allowed:
            return None
        said = f"{found.environment} does not name it: on_alert: check, in environment.yml"
        return facts.NotDiagnosed(runbook=found.runbook, why=said)

    def _handle(self, found: Incident) -> None:
        if self._unnamed(found) is None and not found.runs:
            said = self._opsbook(found, "--check")
            if said and not self._now(found).runs:
                self._write(found, facts.NotDiagnosed(runbook=found.runbook, why=said))
        if recovery.wanted(self._settings, found) and not self._end.is_set():
            self._mitigate(found)

    def _mitigate(self, found: Incident) -> None:
        """Run the page, if nothing speaks against it in this moment."""
        now = datetime.now(UTC)
        why = recovery.refusal(self._settings, self._now(found), now)
        if why is not None:
            self._write(found, why)
            if recovery.stopped(self._settings, found, now):
                self._page(found)
            return
        said = self._opsbook(found, "--yes", "--no-wait", "--label", f"{recovery.LABEL}={found.id}", live=True)
        if said:
            self._write(found, facts.NotMitigated(runbook=found.runbook, why=said))
            self._page(found)

    def _page(self, found: Incident) -> None:
        """Tell people that it did not help by itself."""
        now = self._now(found)
        if now.reached:
            # Whoever was paged has not had the time that the severity gives.
            self._write(found, telling.escalate(self._settings, now, datetime.now(UTC), onward=False))

    def _opsbook(self, found: Incident, *more: str, live: bool = False) -> str:
        """Run the page in a process of its own; the first sentence of its error, empty if all went well.

        Where this server ends, a check ends with it, and what is `live` goes on: half a change helps nobody.
        """
        values = [word for name, value in found.parameters.items() for word in ("-p", f"{name}={value}")]
        words = ["-e", found.environment, "--incident", found.id, *more, *values]
        return own_process.carry(self._settings.root, found.runbook, words, self._end.wait, live=live).said

    def _now(self, found: Incident) -> Incident:
        return store.load(store.folder(self._settings) / found.id)

    def _write(self, found: Incident, fact: Fact) -> None:
        LOG.info("%s: %s", found.id, fact.data())
        path = store.folder(self._settings) / found.id
        try:
            store.change(self._settings, path, lambda now: [] if now.over else [fact])
        except (OSError, OpsbookError) as error:
            LOG.warning("%s cannot be written: %s", found.id, error)
