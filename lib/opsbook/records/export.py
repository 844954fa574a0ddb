"""Sealed records as one archive: reproducible (same records, same bytes) and written atomically.

It holds export.json, the files of each record below YYYY/MM/RUN/ or incidents/INCIDENT/, and its sidecars.
"""

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field

from opsbook import files
from opsbook.core.record import seal, sidecars, store
from opsbook.errors import InputError

NAME = "export.json"
_RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[^/\0]+-[0-9a-z]{4}")
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Sealed(BaseModel):
    """SHA-256 of a record's seal, and of its signature if it has one."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    seal: _Digest
    signature: _Digest | None


class Manifest(BaseModel):
    """The content of export.json: when and by whom, and the seal of every run."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    format: Literal[1] = 1
    exported: str
    by: str
    records: dict[str, Sealed]

    def text(self) -> bytes:
        return (self.model_dump_json(indent=2) + "\n").encode("utf-8", errors="backslashreplace")


def sealed(folder: Path) -> Sealed:
    """Digests of the seal that a record has now. Raises OSError if it has none."""
    signature = folder / store.SIGNATURE
    return Sealed(
        seal=files.sha256(folder / store.SEAL),
        signature=files.sha256(signature) if files.is_plain(signature) else None,
    )


def is_record(name: str) -> bool:
    """Whether a run or an incident can have this id."""
    return _RUN.fullmatch(name) is not None or store.is_incident(name)


# -- the archive


Tell = Callable[[int, int], None]
"""Takes progress: the amount done, and the total."""


def check(records: Sequence[store.Record], tell: Tell) -> None:
    """Raises InputError with every record that does not match its seal."""
    problems = []
    for number, record in enumerate(records):
        tell(number, 2 * len(records))
        if flaws := seal.verify(record.folder):
            problems.append(f"{record.id} is not as it was sealed: {flaws[0].file}: {flaws[0].message}.")
    if problems:
        hint = "Nothing was written. opsbook records verify RUN says more; --without RUN leaves one out."
        raise InputError(problems, hint)


def write(path: Path, root: Path, records: Sequence[store.Record], told: Manifest, tell: Tell, *, force: bool) -> None:
    """Write the archive of records below `root`.

    Raises InputError, and leaves no file, if that fails or a record changed meanwhile.
    """
    try:
        with files.replacing(path, anew=not force) as out, gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed:
            _pack(packed, root, records, told, tell)
    except FileExistsError as error:
        raise InputError(f"{path} is there already.", "Name another file, or write over it with --force.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.", "No file was left behind.") from error


def _pack(packed: gzip.GzipFile, root: Path, records: Sequence[store.Record], told: Manifest, tell: Tell) -> None:
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        content = told.text()
        newest = max((_sealed_at(record.folder) for record in records), default=0)
        archive.addfile(_header(NAME, len(content), newest), io.BytesIO(content))
        for number, record in enumerate(records):
            tell(len(records) + number, 2 * len(records))
            _add(archive, record, told.records[record.id])
            for path in sidecars.there(root, record.id):
                _copy(archive, path, str(path.relative_to(root)), newest)
            # tarfile keeps every written header: drop them, since a record may have very many files.
            archive.members = []  # type: ignore[attr-defined]


def _add(archive: tarfile.TarFile, record: store.Record, told: Sealed) -> None:
    """Add all files of the record, each compared with its verified digest: the run may be resumed meanwhile."""
    folder = store.place(Path(), record.id)
    try:
        time = _sealed_at(record.folder)
        expected = dict(json.loads(files.read(record.folder / store.SEAL))["files"]) | {store.SEAL: told.seal}
        expected |= {store.SIGNATURE: told.signature} if told.signature else {}
        written = {
            name: _copy(archive, path, f"{folder}/{path.relative_to(record.folder)}", time)
            for name, path in _files(record.folder)
        }
    except (OSError, ValueError, KeyError) as error:
        raise _changed(record) from error
    if written != expected:
        raise _changed(record)


def _changed(record: store.Record) -> InputError:
    return InputError(f"{record.id} was changed while it was exported.", "Nothing was written. Export it again.")


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*"), key=os.fsencode):
        if files.is_plain(path):
            yield os.fsencode(path.relative_to(folder)).decode("utf-8", errors="backslashreplace"), path


def _sealed_at(folder: Path) -> int:
    """Time of sealing in seconds since 1970; every file of the record gets it in the archive."""
    told = json.loads(files.read(folder / store.SEAL))["sealed"]
    return int(datetime.fromisoformat(told).timestamp())


def _copy(archive: tarfile.TarFile, path: Path, name: str, time: int) -> str:
    """Add one file; returns the SHA-256 of the written content."""
    with files.opened(path) as source:
        digesting = _Digesting(source)
        archive.addfile(_header(name, os.fstat(source.fileno()).st_size, time), digesting)
        return digesting.sha256.hexdigest()


def _header(name: str, size: int, time: int) -> tarfile.TarInfo:
    """A header without this machine's owner and permissions."""
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = size, time, 0o644
    return header


class _Digesting(io.RawIOBase):
    """Reads a file and computes its digest."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.sha256.update(data)
        return data
