"""What was accepted and is not written down yet: a file for each notification, on disk before the sender hears yes."""

import itertools
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from opsbook import files

_SUFFIX = ".json"
_counter = itertools.count()


class Spool:
    """A folder of notifications, in the order in which they were accepted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._broken = folder / "broken"
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> None:
        """Keep a notification; it is on disk when this returns. Raises OSError."""
        # Two clocks of one process may say the same; and another process may have written before it.
        name = f"{time.time_ns():020d}-{next(_counter) % 1_000_000:06d}-{os.getpid()}{_SUFFIX}"
        files.write_atomic(self._folder / name, data)

    def waiting(self) -> list[Path]:
        """The notifications that are not written down, oldest first."""
        return sorted(path for path in self._folder.glob(f"*{_SUFFIX}") if path.name[0].isdigit())

    def batch(self, most: int, limit: int) -> Iterator[tuple[Path, bytes]]:
        """The oldest ones: at most so many, and not many more bytes than the limit together."""
        size = 0
        for path in self.waiting()[:most]:
            data = files.read(path)
            size += len(data)
            yield path, data
            if size > limit:
                return

    def accepted(self, path: Path) -> str:
        """When a notification was accepted (UTC, ISO 8601, milliseconds), by its name."""
        time = datetime.fromtimestamp(int(path.name[:20]) / 1e9, UTC)
        return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def put_aside(self, path: Path) -> Path:
        """Keep a notification that cannot be written down where nobody tries it again; returns where."""
        self._broken.mkdir(exist_ok=True)
        return path.rename(self._broken / path.name)
