"""The journal: one event a line, each line holding the SHA-256 of the line before.

It is the truth about a run. Everything else in the record is derived from it or named by it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.errors import Fault, InputError
from opsbook.model.event import Data, Event
from opsbook.model.redact import Redactor

NAME = "journal.jsonl"
START = "0" * 64
"""What the first line names as the line before."""

Listener = Callable[[Event], None]


class Journal:
    """Writes one journal, and the files of its record that events name. Implements model.event.Sink."""

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self.folder = folder
        self.listeners: list[Listener] = []
        self._redactor = redactor
        self._descriptor = os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        files.sync_folder(folder)
        self._seq = 0
        self._head = START

    @property
    def head(self) -> str:
        """Hex SHA-256 of the last line."""
        return self._head

    def write(self, kind: str, data: Data, *, durable: bool = False) -> Event:
        """Append an event; with `durable` it is on disk when this returns."""
        event = Event(self._seq + 1, now(), kind, self._redactor.value(data))
        line = _line(event, self._head)
        _write_all(self._descriptor, line)
        if durable:
            os.fdatasync(self._descriptor)
        self._seq, self._head = event.seq, hashlib.sha256(line).hexdigest()
        for listener in list(self.listeners):
            try:
                listener(event)
            except OSError:
                # Whoever watched is gone: a closed pipe, a lost terminal. The run is not theirs.
                self.listeners.remove(listener)
        return event

    def blob(self, folder: str, name: str, data: bytes) -> Data:
        """Store a file of the record; returns its path in the record, SHA-256 and size in bytes."""
        path = self.folder / folder / name
        files.write_atomic(path, data)
        return {"path": f"{folder}/{name}", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}

    def stream(self, folder: str, name: str) -> "GrowingFile":
        """Open a file of the record that grows."""
        return GrowingFile(self.folder, f"{folder}/{name}")

    def close(self) -> None:
        os.fsync(self._descriptor)
        os.close(self._descriptor)


class GrowingFile:
    """A file of the record that grows while the run goes on. Implements model.event.Stream."""

    def __init__(self, record: Path, name: str) -> None:
        self._name = name
        (record / name).parent.mkdir(exist_ok=True)
        self._file = (record / name).open("xb")
        self._hash = hashlib.sha256()
        self._size = 0

    def append(self, text: str) -> None:
        data = text.encode("utf-8", errors="surrogateescape")
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def close(self) -> Data:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        files.sync_folder(Path(self._file.name).parent)
        return {"path": self._name, "sha256": self._hash.hexdigest(), "bytes": self._size}


def now() -> str:
    """UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(path: Path) -> list[Event]:
    """The events of a journal, up to the last whole line. Raises InputError at the first line that does not fit."""
    return [event for event, _ in chain(path)]


def chain(path: Path) -> Iterator[tuple[Event, str]]:
    """Each event with the SHA-256 of its line. A last line without its end was never acknowledged: it is left out."""
    head, offset = START, 0
    for seq, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            return
        event, before = _parse(line, path, offset)
        if before != head or event.seq != seq:
            raise InputError(
                f"{path.name}: event {event.seq} at byte {offset} does not follow the one before it.",
                "The journal was changed after it was written; opsbook records verify says more.",
            )
        head = hashlib.sha256(line).hexdigest()
        offset += len(line)
        yield event, head


def _parse(line: bytes, path: Path, offset: int) -> tuple[Event, str]:
    try:
        raw: dict[str, Any] = json.loads(line)
        return Event(raw["seq"], raw["time"], raw["type"], raw["data"]), raw["prev"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path.name}: the line at byte {offset} is no event.",
            "The journal was changed after it was written; opsbook records verify says more.",
        ) from error


def _line(event: Event, before: str) -> bytes:
    fields = {"seq": event.seq, "time": event.time, "type": event.type, "data": event.data, "prev": before}
    return (json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=str) + "\n").encode(
        "utf-8", errors="replace"
    )


def _write_all(descriptor: int, line: bytes) -> None:
    try:
        while line:
            line = line[os.write(descriptor, line) :]
    except OSError as error:
        raise Fault(
            f"The journal cannot be written: {error.strerror}.", "Make room, then look at the record."
        ) from error
