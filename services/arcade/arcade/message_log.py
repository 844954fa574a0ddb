"""What an instance keeps of the messages it answered: a few lines in a folder of its own, within a quota."""

import json
import logging
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

from arcade.errors import FullError

LOOK_EVERY_SECONDS = 1.0
# The log and the one before it take at most a quarter of the quota: only something else can fill the folder.
_PART = 8


class MessageLog:
    """A line of JSON for each message. Used from one event loop; without a folder it keeps nothing."""

    def __init__(self, folder: Path | None, quota: int) -> None:
        """Make the folder. Raises OSError when it cannot be made or written."""
        self._folder = folder
        self._quota = quota
        self._used = 0
        self._looked_at = float("-inf")
        self._log: logging.Logger | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            handler = RotatingFileHandler(folder / "messages.log", maxBytes=quota // _PART, backupCount=1)
            handler.setFormatter(logging.Formatter("%(message)s"))
            self._log = logging.Logger("arcade.messages")
            self._log.addHandler(handler)

    def problem(self) -> str | None:
        """What is wrong with the folder, at most a second ago."""
        if self._folder is None:
            return None
        if time.monotonic() - self._looked_at > LOOK_EVERY_SECONDS:
            self._used, self._looked_at = _bytes_in(self._folder), time.monotonic()
        if self._used < self._quota:
            return None
        return f"the message log is full: {self._used} bytes of {self._quota} in {self._folder}"

    def require_room(self) -> None:
        """Raises FullError when the folder is full."""
        problem = self.problem()
        if problem is not None:
            raise FullError(problem)

    def write(self, action: str, outcome: str, seconds: float) -> None:
        """Add a line. A full folder gets none."""
        if self._log is not None and self.problem() is None:
            line = {"time": round(time.time(), 3), "action": action, "outcome": outcome, "seconds": round(seconds, 4)}
            self._log.info(json.dumps(line))


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            # It was removed meanwhile: that makes room.
            continue
    return total
