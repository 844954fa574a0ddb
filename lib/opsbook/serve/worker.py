"""Takes what was accepted into incidents, and starts the checks of their pages."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opsbook.errors import InputError
from opsbook.incidents import intake
from opsbook.incidents.incident import Incident
from opsbook.incidents.intake import Intake, Notification
from opsbook.serve import LOG
from opsbook.serve.heartbeat import Heartbeats
from opsbook.serve.spool import Spool
from opsbook.settings import Settings

_MOST, _BYTES = 500, 8 * 1024 * 1024
"""Notifications, and their bytes, that are taken at once: each incident is then written once for all of them."""

_AGAIN = 5.0
"""Seconds until what could not be written is tried again."""


@dataclass
class Counted:
    """What the server did since it started.

    `failing`: why incidents cannot be written now. `last_refusal`: why a notification with the token was refused.
    """

    accepted: int = 0
    refused: int = 0
    opened: int = 0
    put_aside: int = 0
    failing: str = ""
    last_refusal: str = ""


class Worker(threading.Thread):
    """One thread that writes incidents. Whoever accepts a notification calls `wake`."""

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        counted: Counted,
        heartbeats: Heartbeats,
        on_opened: Callable[[Incident], None],
    ) -> None:
        super().__init__(daemon=True, name="opsbook-incidents")
        self._settings = settings
        self._intake = Intake(settings)
        self._spool = spool
        self._counted = counted
        self._heartbeats = heartbeats
        self._on_opened = on_opened
        self._wake = threading.Event()
        self._end = threading.Event()

    def wake(self) -> None:
        self._wake.set()

    def end(self) -> None:
        """Finish what is being written, and end."""
        self._end.set()
        self._wake.set()
        self.join()

    def run(self) -> None:
        try:
            # What another process has opened, and not told of.
            for found in intake.unfinished(self._settings):
                self._on_opened(found)
        except Exception:
            LOG.exception("a fault in opsbook itself")
        while not self._end.is_set():
            self._wake.clear()
            if self._written():
                self._wake.wait()
            else:
                self._end.wait(_AGAIN)

    def _written(self) -> bool:
        """Write all that waits; whether that went well. What did not stays, and is tried again."""
        try:
            while not self._end.is_set() and (failed := self._once()) is not None:
                if failed:
                    # Somebody keeps an incident locked, or the disk is full.
                    self._counted.failing = failed
                    break
            else:
                self._counted.failing = ""
                return True
        except OSError as error:
            self._counted.failing = str(error)
        except Exception as error:
            # A fault here must not end the thread: alerts would be kept for ever, and nobody would hear of it.
            self._counted.failing = f"a fault in opsbook itself: {type(error).__name__}: {error}"
            LOG.exception("a fault in opsbook itself")
        LOG.warning("incidents cannot be written: %s", self._counted.failing)
        return False

    def _once(self) -> str | None:
        """Write a batch; why a part of it could not be written, empty if all was; None without anything to write."""
        found = list(self._spool.batch(_MOST, _BYTES))
        if not found:
            return None
        read = [(path, self._parsed(path, data)) for path, data in found]
        good = [(path, told) for path, told in read if told is not None]
        self._heartbeats.hear([told for _, told in good])
        failed = self._intake.take(((self._spool.accepted(path), told) for path, told in good), self._tell)
        for path, told in good:
            # Forgotten only now: after a kill they come again, and what is known of them is not written twice.
            if told.groupKey not in failed:
                path.unlink(missing_ok=True)
        return self._intake.failing

    def _tell(self, found: Incident) -> None:
        self._counted.opened += 1
        LOG.info("%s opened: %s", found.id, found.title)
        self._on_opened(found)

    def _parsed(self, path: Path, data: bytes) -> Notification | None:
        try:
            return intake.parsed(data)
        except InputError:
            LOG.warning("%s cannot be read, and was put aside: %s", path.name, self._spool.put_aside(path))
            self._counted.put_aside += 1
            return None
