"""The journal: one event a line; each line holds the SHA-256 of the line before.

It is the source of truth about a run. Everything else in the record is derived from it or named in it.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsbook import files
from opsbook.core.model.event import Data, Event
from opsbook.core.model.redact import Redactor
from opsbook.core.record.room import FULL, ROOM, Room
from opsbook.errors import Fault, InputError, NoRoom, OpsbookError

if TYPE_CHECKING:
    from opsbook.core.model.events import Fact
    from opsbook.core.model.sink import Listener

NAME = "journal.jsonl"
START = "0" * 64
"""The digest that the first line has for the line before."""

_SHAPE = (int, str, str, dict, str)
"""Exact types of a line's number, time, type, data and digest: in Python True equals 1, but is no number here."""

_ORDINARY = frozenset(
    {
        "effect-intent",
        "effect-output",
        "effect-progress",
        "output",
        "output-between",
        "output-progress",
        "step-started",
        "cell-started",
    }
)
"""Events that may not use the space reserved for results and for the end of the run."""


class Journal:
    """Writes one journal, and the files of its record that events name. Implements model.sink.RunSink."""

    def __init__(self, folder: Path, redactor: Redactor, *, again: bool = False) -> None:
        """Begin a journal; or with `again`, reopen one that ended or was cut off, and whose lock the caller holds.

        `earlier` are the events it had, `cut` the bytes of an incomplete last line, which is removed, and `head` the
        hex SHA-256 of the last line, now and later.
        Raises FileExistsError, or InputError if the existing journal is damaged.
        """
        path = folder / NAME
        lines = list(_walk(path)) if again else []
        whole = lines[-1][2] if lines else 0
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | (0 if again else os.O_CREAT | os.O_EXCL)
        self.folder = folder
        self.listeners: list[Listener] = []
        self.earlier = tuple(event for event, _, _ in lines)
        self._redactor = redactor
        self._descriptor = os.open(path, flags, 0o666)
        self.cut = os.fstat(self._descriptor).st_size - whole
        os.ftruncate(self._descriptor, whole)
        os.fsync(self._descriptor)
        files.sync_folder(folder)
        self._room = Room(self._descriptor)
        self._seq = len(lines)
        self.head = lines[-1][1] if lines else START

    def write(self, fact: "Fact", *, durable: bool = False) -> Event:
        """Append an event; with `durable` it is on disk when this returns."""
        return self.put(fact.type, fact.data(), durable=durable)

    def put(self, kind: str, data: Data, *, durable: bool = False) -> Event:
        """Append an event of any kind: the journal does not validate its data."""
        event = Event(self._seq + 1, now(), kind, self._redactor.value(data))
        line = _line(event, self.head)
        self._room.take(len(line), last=kind not in _ORDINARY)
        self._append(line)
        if durable:
            os.fdatasync(self._descriptor)
        self._seq, self.head = event.seq, hashlib.sha256(line).hexdigest()
        for listener in list(self.listeners):
            try:
                listener(event)
            except OSError:
                # The listener is gone: a closed pipe, a lost terminal. The run continues without it.
                self.listeners.remove(listener)
        return event

    def _append(self, line: bytes) -> None:
        """Append the whole line or nothing: half a line would break the chain."""
        try:
            _write(self._descriptor, line)
        except OSError as error:
            os.ftruncate(self._descriptor, self._room.size)
            raise _cannot(error) from error
        self._room.size += len(line)

    def reserve(self, results: int) -> None:
        """Reserve space for this many results. Raises NoRoom if the disk is full."""
        self._room.reserve(results)

    def blob(self, folder: str, name: str, data: bytes) -> Data:
        """Store a file of the record; returns its path in the record, SHA-256 and size in bytes."""
        try:
            files.write_atomic(self.folder / folder / name, data)
        except OSError as error:
            raise _cannot(error) from error
        return {"path": f"{folder}/{name}", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}

    def stream(self, folder: str, name: str) -> "GrowingFile":
        """Open a file of the record that grows."""
        return GrowingFile(self.folder, f"{folder}/{name}")

    def close(self) -> None:
        """Release the reserved space, and make everything durable."""
        os.ftruncate(self._descriptor, self._room.size)
        os.fsync(self._descriptor)
        os.close(self._descriptor)


class GrowingFile:
    """A file of the record that grows during the run. Implements model.sink.Stream."""

    def __init__(self, record: Path, name: str) -> None:
        (record / name).parent.mkdir(exist_ok=True)
        path = record / name
        # A resumed run counts its cells anew, so the name may be taken.
        while os.path.lexists(path):
            path = path.with_stem(f"{path.stem}-again")
        self._name = str(path.relative_to(record))
        # Unbuffered: if the runner is killed, whoever resumes the run needs everything the effect has reported.
        self._file = path.open("xb", buffering=0)
        self._hash = hashlib.sha256()
        self._size = 0

    def append(self, text: str) -> None:
        data = text.encode("utf-8", errors="surrogateescape")
        try:
            _write(self._file.fileno(), data)
        except OSError as error:
            raise _cannot(error) from error
        self._hash.update(data)
        self._size += len(data)

    def close(self) -> Data:
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            files.sync_folder(Path(self._file.name).parent)
        except OSError as error:
            raise _cannot(error) from error
        return {"path": self._name, "sha256": self._hash.hexdigest(), "bytes": self._size}


def now() -> str:
    """UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(path: Path) -> list[Event]:
    """The events of a journal, up to the last whole line. Raises InputError at the first line that breaks the chain."""
    return [event for event, _ in chain(path)]


def chain(path: Path) -> Iterator[tuple[Event, str]]:
    """Each event with the SHA-256 of its line. An incomplete last line was never acknowledged, and is skipped."""
    for event, head, _ in _walk(path):
        yield event, head


def _walk(path: Path) -> Iterator[tuple[Event, str, int]]:
    """Each event with the SHA-256 of its line, and the offset after it."""
    head, offset = START, 0
    # Split only at line feeds: a tampered line must not end at any other byte.
    with files.opened(path) as lines:
        for seq, line in enumerate(lines, 1):
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
            yield event, head, offset


def _parse(line: bytes, path: Path, offset: int) -> tuple[Event, str]:
    event, before = None, None
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        raw: dict[str, Any] = json.loads(line)
        event, before = Event(raw["seq"], raw["time"], raw["type"], raw["data"]), raw["prev"]
    if event and tuple(map(type, (event.seq, event.time, event.type, event.data, before))) == _SHAPE:
        return event, str(before)
    raise InputError(
        f"{path.name}: the line at byte {offset} is no event.",
        "The journal was changed after it was written; opsbook records verify says more.",
    )


def _line(event: Event, before: str) -> bytes:
    fields = {"seq": event.seq, "time": event.time, "type": event.type, "data": event.data, "prev": before}
    return (json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=str) + "\n").encode(
        "utf-8", errors="replace"
    )


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _cannot(error: OSError) -> OpsbookError:
    said = f"The journal cannot be written: {error.strerror}."
    return NoRoom(said, ROOM) if error.errno in FULL else Fault(said, "Look at the record and its disk.")


class JournalFollower:
    """Yields the events of a journal as they arrive. It does not check the chain; `verify` does."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._at = 0

    def new(self) -> list[Event]:
        """The events since the last call. Raises InputError or OSError for a journal that cannot be read."""
        with files.opened(self._path) as source:
            source.seek(self._at)
            data = source.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        read = (json.loads(line) for line in whole.split(b"\n") if line)
        return [Event(raw["seq"], raw["time"], raw["type"], raw["data"]) for raw in read]
