"""`arcade build`: a release as a tarball that is the same bytes for the same source and version."""

import fcntl
import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arcade.checks import check
from arcade.errors import BuildError
from arcade.manifest import MANIFEST, SBOM, manifest, read_needs, sbom

FOLDERS = ("arcade", "handlers", "migrations", "ui")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){1,3}(-[a-z0-9.]+)?")


@dataclass(frozen=True)
class BuildReport:
    """The tarball, its SHA-256, how many files it holds, and whether it was there already."""

    path: str
    sha256: str
    files: int
    unchanged: bool


def build(source: Path, version: str, output: Path) -> BuildReport:
    """Check `source` and write `output/version.tar.gz`.

    Raises BuildError for a bad version, a problem found by the check (as file:line: message lines),
    or an existing tarball of that version with other content; MigrationError for wrongly named
    migrations. Nothing is written in these cases.
    """
    if not _VERSION.fullmatch(version):
        raise BuildError(f"{version!r} is no version: it must be like 1.2.0 or 1.2.0-rc.1")
    files = collect(source, version)
    problems = check(source).problems
    if problems:
        raise BuildError("\n".join(problems))
    content = pack(files, f"arcade-{version}")
    digest = hashlib.sha256(content).hexdigest()
    path = output.absolute() / f"{version}.tar.gz"
    output.mkdir(parents=True, exist_ok=True)
    with _locked(output):
        unchanged = _stands(path, digest)
        if not unchanged:
            _write(path, content)
    return BuildReport(str(path), digest, len(files), unchanged)


def collect(source: Path, version: str) -> dict[str, bytes]:
    """The release's files by name, with VERSION, MANIFEST.json and SBOM.cdx.json. Raises BuildError for a wrong source,
    MigrationError for wrongly named migrations.
    """
    files: dict[str, bytes] = {}
    for folder in FOLDERS:
        if not (source / folder).is_dir():
            raise BuildError(f"{source} has no folder {folder}")
        for path in sorted((source / folder).rglob("*")):
            if _belongs(path.relative_to(source)) and not path.is_dir():
                files[path.relative_to(source).as_posix()] = _read(path)
    files["VERSION"] = f"{version}\n".encode()
    files[SBOM] = _json(sbom(version, read_needs(source)["packages"]))
    files[MANIFEST] = _json(manifest(source, version, files))
    return files


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def pack(files: dict[str, bytes], top: str) -> bytes:
    """A gzipped tar of `files` below `top`. Nothing of the machine or the time gets into it."""
    names = {f"{top}/{name}" for name in files}
    folders = {str(parent) for name in names for parent in Path(name).parents} - {"."}
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(names | folders):
            content = None if name in folders else files[name.removeprefix(f"{top}/")]
            archive.addfile(_entry(name, content), io.BytesIO(content or b""))
    return buffer.getvalue()


def _entry(name: str, content: bytes | None) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mtime, entry.uid, entry.gid = 0, 0, 0
    if content is None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    else:
        entry.size, entry.mode = len(content), 0o644
    return entry


def _belongs(path: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return not hidden and path.suffix != ".pyc"


def _read(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise BuildError(f"{path} is no regular file: a release holds only those")
    return path.read_bytes()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _stands(path: Path, digest: str) -> bool:
    if not path.exists():
        return False
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise BuildError(f"{path} exists with other content: a version is never rebuilt, choose a new one")
    return True


def _write(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
            file.flush()
            os.fsync(file.fileno())
        Path(name).rename(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
