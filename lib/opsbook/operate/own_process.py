"""Run a page in a process of its own: where nobody sits, and what ends it must not end who asked for it."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from opsbook.core.model import events as kinds
from opsbook.core.model.event import Event

_LIMIT = 900.0
"""Seconds that a check may take."""

_LOOK = 0.1
"""Seconds between two looks whether it has ended."""

Pause = Callable[[float], bool]
"""Waits for so many seconds; true as soon as whoever asked for the run ends."""


@dataclass(frozen=True)
class Carried:
    """The exit code, what it printed, and the first sentence of its error, empty if it has none."""

    code: int
    out: str
    said: str

    def facts(self) -> list[kinds.Fact]:
        """What happened in the run, as `--json` printed it."""
        lines = (line for line in self.out.splitlines() if line.startswith('{"seq"'))
        found: list[kinds.Fact] = []
        for line in lines:
            # The last one may be cut off.
            with contextlib.suppress(ValueError, TypeError, KeyError):
                if fact := kinds.read(Event(**json.loads(line)), lenient=True):
                    found.append(fact)
        return found


def carry(root: Path, page: str, words: Sequence[str], pause: Pause | None = None, *, live: bool = False) -> Carried:
    """Run the page with these arguments. Where `pause` says so, a check ends; what is `live` goes on, and is silent."""
    command = [sys.executable, "-P", "-m", "opsbook.cli.main", "run", page, *words]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, start_new_session=True
        )
        try:
            if not _ended(process, pause or threading.Event().wait, live):
                return Carried(0, "", "")
        finally:
            # Whoever asked may be ended, too.
            if not live and process.poll() is None:
                _end(process)
        return Carried(process.returncode, _read(out), _first(_read(errors), process.returncode))


def _ended(process: "subprocess.Popen[bytes]", pause: Pause, live: bool) -> bool:
    limit = time.monotonic() + _LIMIT
    while process.poll() is None:
        ending = pause(_LOOK)
        if ending and live:
            return False
        if not live and (ending or time.monotonic() > limit):
            _end(process)
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _first(said: str, code: int) -> str:
    lines = [line.removeprefix("opsbook: ") for line in said.splitlines() if line.strip()]
    first = lines[0] if lines else f"it ended with {code}"
    if first.startswith("{"):
        # With --json an error is JSON too: a list of sentences.
        with contextlib.suppress(ValueError, LookupError, TypeError):
            first = str(json.loads(first)["error"][0])
    return first if code else ""
