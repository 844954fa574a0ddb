"""Run a page in a process of its own: where nobody sits, and what ends it must not end who asked for it."""

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

    def reason(self) -> str:
        """Why the run ended as it did, from what `--json` printed; empty if it did not come to an end."""
        events = (json.loads(line) for line in self.out.splitlines() if line.startswith("{"))
        ends = [event["data"]["reason"] for event in events if event.get("type") == "run-finished"]
        return str(ends[-1]) if ends else ""


def carry(
    root: Path, page: str, words: Sequence[str], pause: Pause | None = None, *, live: bool = False
) -> Carried | None:
    """Run the page with these arguments. Where `pause` says so, a check ends, and what is `live` goes on: then None."""
    command = [sys.executable, "-P", "-m", "opsbook.cli.main", "run", page, *words]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, start_new_session=True
        )
        try:
            if not _ended(process, pause or threading.Event().wait, live):
                return None
        except KeyboardInterrupt:
            _end(process)
            raise
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
    return "" if not code else lines[0] if lines else f"it ended with {code}"
