"""Tells the channels of an environment that an incident was opened. Beside everything else: a channel may hang."""

import queue
import threading

from opsbook.errors import OpsbookError
from opsbook.incidents import store, telling
from opsbook.incidents.facts import MessageSent
from opsbook.incidents.incident import Incident
from opsbook.serve import LOG
from opsbook.settings import Settings


class Paging(threading.Thread):
    """One message after the other."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True, name="opsbook-paging")
        self._settings = settings
        self._queue: queue.Queue[Incident | None] = queue.Queue()

    def ask(self, found: Incident) -> None:
        """Tell of a new incident, unless that was done."""
        if not found.has(MessageSent):
            self._queue.put(found)

    def end(self) -> None:
        """Leave the rest: whoever starts again tells it."""
        self._queue.put(None)
        self.join(5)

    def run(self) -> None:
        while (found := self._queue.get()) is not None:
            try:
                self._tell(found)
            except (OSError, OpsbookError) as error:
                LOG.warning("%s: nobody was told: %s", found.id, error)
            except Exception:
                # A fault here must not end the thread: nobody would hear of anything.
                LOG.exception("a fault in opsbook itself")

    def _tell(self, found: Incident) -> None:
        sent = telling.tell(self._settings, found, telling.OPENED)
        LOG.info("%s: message %s", found.id, sent.said)
        store.change(self._settings, store.exact(self._settings, found.id), lambda _: [sent])
