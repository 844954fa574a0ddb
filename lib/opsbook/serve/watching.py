"""Looks at open incidents now and then, and reminds people of what is late; and whether alerts still arrive."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from opsbook.core.model.events import Fact
from opsbook.core.record import journal
from opsbook.errors import OpsbookError
from opsbook.incidents import store, telling
from opsbook.incidents.incident import Incident
from opsbook.serve import LOG
from opsbook.serve.heartbeat import Heartbeats
from opsbook.settings import Settings

_EVERY = 5.0
"""Seconds between two looks."""


class Watching(threading.Thread):
    """One look after the other."""

    def __init__(self, settings: Settings, heartbeats: Heartbeats, on_opened: Callable[[Incident], None]) -> None:
        super().__init__(daemon=True, name="opsbook-watching")
        self._heartbeats = heartbeats
        self._on_opened = on_opened
        self._settings = settings
        self._end = threading.Event()
        self._told: set[Path] = set()
        self._unwritten: dict[Path, Fact] = {}
        self._known: dict[Path, tuple[int, Incident]] = {}

    @property
    def failing(self) -> str:
        """What cannot be written, and was told; empty if there is nothing."""
        names = [path.name for path in list(self._unwritten)]
        return f"these incidents cannot be written: {', '.join(names)}" if names else ""

    def end(self) -> None:
        self._end.set()
        self.join(5)

    def run(self) -> None:
        while not self._end.wait(_EVERY):
            try:
                self._listen()
                open_ = [path for path in store.every(self._settings.records) if not store.sealed(path)]
                self._known = {path: self._known[path] for path in open_ if path in self._known}
                self._unwritten = {path: self._unwritten[path] for path in open_ if path in self._unwritten}
                for path in open_:
                    if not self._end.is_set():
                        self._look(path)
            except Exception:
                # A fault here must not end the thread: nobody would be reminded of anything.
                LOG.exception("a fault in opsbook itself")

    def _listen(self) -> None:
        try:
            for found in self._heartbeats.silent(time.time()):
                LOG.warning("%s opened: %s", found.id, found.title)
                self._on_opened(found)
        except (OSError, OpsbookError) as error:
            LOG.warning("an incident cannot be opened: %s", error)

    def _look(self, path: Path) -> None:
        try:
            # Told before it is written: a channel may hang, and meanwhile people have to be able to act. What cannot be
            # written is kept for the next look, so that nobody is told the same again and again.
            found = self._unwritten.get(path) or telling.late(self._settings, self._loaded(path), datetime.now(UTC))
            if found is not None:
                self._unwritten[path] = found
                store.change(self._settings, path, lambda now: [] if now.over else [found])
                del self._unwritten[path]
        except (OSError, OpsbookError) as error:
            if path not in self._told:
                LOG.warning("%s cannot be watched: %s", path.name, error)
                self._told.add(path)

    def _loaded(self, path: Path) -> Incident:
        """The incident; read again only if its journal has grown."""
        size = (path / journal.NAME).stat().st_size
        known = self._known.get(path)
        if known is None or known[0] != size:
            known = self._known[path] = (size, store.load(path))
        return known[1]
