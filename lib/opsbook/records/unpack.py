"""Unpack an untrusted export: nothing in it is trusted, and nothing is written outside the staging folder.

- Only regular files, once each, with plain names below YYYY/MM/RUN/ or incidents/INCIDENT/, and sidecars of runs.
- tarfile reads only what a header needs, and never backwards: sizes in headers are not trusted.
- An archive too large for the disk, by the sizes in its headers, is refused before it is written.
"""

import gzip
import os
import shutil
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.filesize import decimal as size_of

from opsbook.core.record import sidecars, store
from opsbook.errors import InputError
from opsbook.records import export
from opsbook.records.export import Manifest, Tell

MOST = 100_000
"""Files that one record may have."""

_HEADER = 1024 * 1024
_MANIFEST = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_DEEPEST = 32
_BLOCK = 4096
_RESERVE = 64 * 1024 * 1024
"""Bytes, except `_DEEPEST`, the most names in a path: the largest header, the largest export.json, one read, the
space of an empty file, and what an import leaves free on the disk."""

_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, ValueError, OverflowError, IndexError, TypeError)
"""What gzip and tarfile raise for bytes that are no archive, or an incomplete one."""


class Unpacking:
    """Unpacks one archive into a staging folder. `runs` are those with files in the archive, with their numbers."""

    def __init__(self, archive: Path, staging: Path, tell: Tell) -> None:
        """`staging` must exist and be empty; each run becomes a folder in it."""
        self._archive = archive
        self._staging = staging
        self._tell = tell
        self._free = shutil.disk_usage(staging).free - _RESERVE
        self.runs: Counter[str] = Counter()
        self._seen: set[str] = set()

    def run(self) -> Manifest:
        """Unpack all of it. Raises InputError for an archive that is damaged, too large, or no export."""
        try:
            with self._archive.open("rb") as raw, gzip.GzipFile(fileobj=raw, mode="rb") as packed:
                total = os.fstat(raw.fileno()).st_size
                source = _Source(packed, lambda: self._tell(min(raw.tell(), total), total))
                return self._members(source)
        except _BROKEN as error:
            raise self._refused(f"is damaged, or no export: {error or type(error).__name__}") from error
        except OSError as error:
            raise self._refused(f"cannot be unpacked: {error.strerror or error}") from error

    def _members(self, source: "_Source") -> Manifest:
        source.allow(2 * _HEADER)
        told = None
        with tarfile.open(fileobj=source, mode="r:") as archive:  # type: ignore[call-overload]
            while member := archive.next():
                # tarfile keeps every header that it read: drop them.
                archive.members.clear()
                self._check_member(member)
                if told is None:
                    told = self._manifest(member, source)
                else:
                    self._unpack(member, source)
                source.allow(2 * _HEADER)
        source.finish()
        if told is None:
            raise self._refused("is damaged, or no export: there is nothing in it")
        return told

    def _check_member(self, member: tarfile.TarInfo) -> None:
        if member.type not in _PLAIN or member.sparse is not None:
            raise self._hostile(member, "is no plain file")
        if member.size < 0:
            raise self._hostile(member, "has a size that cannot be")
        if member.name in self._seen:
            raise self._hostile(member, "is in it twice")
        self._seen.add(member.name)
        self._free -= max(member.size, _BLOCK)
        if self._free < 0:
            free = size_of(shutil.disk_usage(self._staging).free)
            raise self._refused(f"needs more room than there is: {free} are free in {self._staging.parent.parent}")

    def _manifest(self, member: tarfile.TarInfo, source: "_Source") -> Manifest:
        if member.name != export.NAME or member.size > _MANIFEST:
            raise self._refused(f"is no export: it does not begin with {export.NAME}")
        try:
            return Manifest.model_validate_json(b"".join(source.pieces(member)))
        except ValueError as error:
            raise self._refused(f"has an {export.NAME} that cannot be read") from error

    def _unpack(self, member: tarfile.TarInfo, source: "_Source") -> None:
        path = self._staging / self._place(member)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:
            for piece in source.pieces(member):
                out.write(piece)

    def _place(self, member: tarfile.TarInfo) -> str:
        """The path in staging: below RUN/, or for a sidecar as beside the records. Raises InputError for others."""
        parts = member.name.split("/")
        if "\0" in member.name or len(parts) > _DEEPEST or any(part in ("", ".", "..") for part in parts):
            raise self._hostile(member, "has a name that no file of a record has")
        if export.is_record(sidecars.run_of(parts)):
            if member.size > sidecars.LARGEST:
                raise self._hostile(member, "is larger than anything that is said of a run")
            return member.name
        deep = 1 if parts[0] == store.INCIDENTS else 2
        run = parts[deep] if len(parts) > deep + 1 else ""
        if not export.is_record(run) or Path(*parts[: deep + 1]) != store.place(Path(), run):
            raise self._hostile(member, "does not lie in the folder of a record")
        self.runs[run] += 1
        if self.runs[run] > MOST:
            raise self._refused(f"has more than {MOST} files of {run}")
        return "/".join(parts[deep:])

    def _hostile(self, member: tarfile.TarInfo, what: str) -> InputError:
        return self._refused(f"is no export of opsbook: {member.name[:200]} {what}")

    def _refused(self, what: str) -> InputError:
        return InputError(f"{self._archive} {what}.", "Nothing was imported.")


class _Source:
    """The stream that tarfile reads: forward only, and at most the bytes allowed since the last member."""

    def __init__(self, packed: gzip.GzipFile, progress: Callable[[], None]) -> None:
        self._packed = packed
        self._progress = progress
        self._allowed = 0

    def allow(self, size: int) -> None:
        self._allowed = size

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._allowed:
            raise tarfile.ReadError("a header is too large")
        self._allowed -= size
        return self._packed.read(size)

    def seek(self, position: int) -> int:
        """Skip the padding of the last block, to the next header. tarfile never needs more."""
        if not 0 <= position - self._packed.tell() <= tarfile.BLOCKSIZE:
            raise tarfile.ReadError("a header points elsewhere")
        return self._packed.seek(position)

    def tell(self) -> int:
        return self._packed.tell()

    def pieces(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """The content of the member whose header was read last."""
        left = member.size
        while left:
            piece = self._packed.read(min(left, _PIECE))
            if not piece:
                raise EOFError("it ends in the middle of a file")
            left -= len(piece)
            self._progress()
            yield piece

    def finish(self) -> None:
        """Read to the end, where gzip verifies its checksum."""
        rest = self._packed.read(_HEADER)
        if rest.strip(b"\0") or self._packed.read(1):
            raise tarfile.ReadError("data follows its end")
