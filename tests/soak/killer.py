"""`python killer.py AIM COMMAND …`: opsbook's command line, in which one process is killed at one boundary.

AIM is JSON: the `victim` (runner, keeper, kernel), the `boundary`, the word by which the summary of the effect is
known, and the file `struck` that is there as soon as the kill was done. The boundary is that of a line in the
journal: before it is written, when half of it is, or when it is durable. Everything else is what it always is.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from opsbook.core.model.event import Event
from opsbook.core.record.journal import Journal

LINES = {
    "before-intent": ("effect-intent", "before"),
    "torn-intent": ("effect-intent", "torn"),
    "after-intent": ("effect-intent", "after"),
    "before-result": ("effect-result", "before"),
    "torn-result": ("effect-result", "torn"),
    "after-result": ("effect-result", "after"),
    "before-end": ("run-finished", "before"),
    "after-end": ("run-finished", "after"),
}
"""Boundaries that are hit from inside the runner: the line of the journal, and when."""


class Killer:
    """Stands before the journal's own write, and kills once."""

    def __init__(self, aim: dict[str, str]) -> None:
        self._victim, self._name, self._struck = aim["victim"], aim["name"], Path(aim["struck"])
        self._kind, self._when = LINES[aim["boundary"]]
        self._kernel = 0
        self._intents: set[int] = set()
        self._write, self._append = Journal.put, Journal._append

    def arm(self) -> None:
        """From now on every line of a journal comes here first."""
        killer = self

        def put(book: Journal, kind: str, data: dict[str, Any], *, durable: bool = False) -> Event:
            return killer.write(book, kind, data, durable=durable)

        Journal.put = put  # type: ignore[method-assign, assignment]

    def write(self, book: Journal, kind: str, data: dict[str, Any], *, durable: bool) -> Event:
        hit = kind == self._kind and self._meant(kind, data) and not self._struck.exists()
        if hit and self._when == "before":
            self._kill()
        if hit and self._when == "torn":
            book._append = self._tear  # type: ignore[method-assign]
            self._book = book
        event = self._write(book, kind, data, durable=durable)
        self._follow(event)
        if hit and self._when == "after":
            self._kill()
        return event

    def _meant(self, kind: str, data: dict[str, Any]) -> bool:
        if kind == "effect-intent":
            return self._is_it(data)
        return kind == "run-finished" or data["intent"] in self._intents

    def _is_it(self, data: dict[str, Any]) -> bool:
        return data["changes"] is True and self._name in data["summary"]

    def _follow(self, event: Event) -> None:
        """Whose result is whose, and which kernel lives."""
        if event.type == "kernel-started":
            self._kernel = event.data["pid"]
        elif event.type == "effect-intent" and self._is_it(event.data):
            self._intents.add(event.seq)

    def _tear(self, line: bytes) -> None:
        self._append(self._book, line[: len(line) // 2])
        self._kill()

    def _kill(self) -> None:
        self._struck.touch()
        pid = {"runner": os.getpid, "kernel": lambda: self._kernel, "keeper": self._keeper}[self._victim]()
        os.kill(pid, signal.SIGKILL)
        while _lives(pid):
            time.sleep(0.001)

    def _keeper(self) -> int:
        return int(psutil.Process(self._kernel).ppid())


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def main() -> int:
    """The exit code of the command."""
    Killer(json.loads(sys.argv[1])).arm()
    from opsbook.cli.main import main as command

    return command(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
