"""Checks of the machine: versions, tools, folders, disk, clock."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import psutil

from opsbook.core.engine.process import spare
from opsbook.core.planning.context import ansible_bin
from opsbook.core.record import store
from opsbook.doctor.finding import Finding, fine, warning, wrong
from opsbook.scaffold.origin import requirement
from opsbook.settings import Settings

_LITTLE, _TOO_LITTLE = 1024**3, 100 * 1024**2
"""Bytes of free disk below which a run may fail, and below which none should start."""

_REMOTE = ("nfs", "cifs", "smb", "9p", "fuse.", "afs", "ceph", "gluster", "lustre")
"""Prefixes of network file systems: their locks and renames may not hold on all machines."""

_SKEW = timedelta(minutes=2)


def versions() -> Iterator[Finding]:
    """Python and every library have a version that opsbook supports."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    python = ".".join(map(str, sys.version_info[:3]))
    asked = metadata.metadata("opsbook")["Requires-Python"] or ""
    if python not in SpecifierSet(asked):
        yield wrong(f"Python {python}: opsbook needs {asked}", "Make the virtual environment anew with another Python.")
    wanted = [Requirement(text) for text in metadata.requires("opsbook") or ()]
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    bad = {one.name: found for one in needed if (found := _installed(one.name)) not in one.specifier}
    for one in needed:
        if one.name in bad:
            text = f"{one.name} {bad[one.name] or 'is missing'}: opsbook needs {one.specifier}"
            yield wrong(text, f"Install again: make install in a clone of opsbook, or pip install '{requirement()}'.")
    if not bad:
        yield fine(f"Python {python}, ansible-core {metadata.version('ansible-core')}")


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def tools() -> Iterator[Finding]:
    """The programs that opsbook calls exist."""
    for name in ("ansible-playbook", "ansible"):
        path = ansible_bin() / name
        if not os.access(path, os.X_OK):
            yield wrong(f"{name} is not beside this Python, nor on the PATH", "Install ansible-core again.")
    for name, what in (("git", "which changes are committed"), ("ssh-keygen", "signatures")):
        if shutil.which(name) is None:
            yield warning(f"there is no {name}: {what} cannot be looked at", f"Install {name}.")
    yield fine(f"programs in {ansible_bin()}")


def private() -> Iterator[Finding]:
    """The folder for sockets and for Ansible's variables should be in memory."""
    folder = spare.private_folder()
    folder.rmdir()
    kind = _file_system(folder.parent)
    if kind in ("tmpfs", "ramfs", ""):
        yield fine(f"private folders are made in {folder.parent}")
    else:
        hint = "Make /dev/shm usable, or set XDG_RUNTIME_DIR: what Ansible is handed would lie on a disk for a while."
        yield warning(f"private folders are made in {folder.parent}, which is on {kind}", hint)


def _file_system(path: Path) -> str:
    """The type of the path's file system; empty if unknown."""
    try:
        holding = [each for each in psutil.disk_partitions(all=True) if path.is_relative_to(each.mountpoint)]
    except OSError:
        return ""
    return max(holding, key=lambda each: len(each.mountpoint)).fstype if holding else ""


def folders(settings: Settings) -> Iterator[Finding]:
    """Records and state are writable by this user only, on a file system with reliable locks."""
    for name, folder in (("records", settings.records), ("state", settings.state)):
        yield from list(_unfit(name, folder)) or [fine(f"{name} in {folder}")]


def _present(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _unfit(name: str, folder: Path) -> Iterator[Finding]:
    present = _present(folder)
    try:
        with tempfile.TemporaryFile(dir=present):
            pass
    except OSError as error:
        text = f"{name}: nothing can be written in {present}: {error.strerror}"
        yield wrong(text, f"Correct the rights of that folder, or {name} in opsbook.toml.")
    kind = _file_system(present)
    if kind.startswith(_REMOTE):
        text = f"{name}: {present} is on {kind}, where a lock may not hold on every machine"
        yield warning(text, f"Name a folder on a disk of this machine: {name} in opsbook.toml.")
    # Nobody else may write, or read what is in quarantine. Other records have no secrets: everybody may read them.
    if _mode(folder) & 0o002:
        yield wrong(f"{name}: everybody may write in {folder}", f"chmod o-w {folder}")
    quarantine = folder / store.QUARANTINE
    if name == "records" and _mode(quarantine) & 0o077:
        yield wrong(f"{name}: others can read what is in quarantine", f"chmod 700 {quarantine}")


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def disk(settings: Settings) -> Iterator[Finding]:
    """There is disk space for the next records."""
    folder = _present(settings.records)
    free = shutil.disk_usage(folder).free
    text = f"{free / 1024**3:.1f} GiB free in {folder}"
    if free < _TOO_LITTLE:
        yield wrong(text, "Make room: a run that cannot write its journal stops half-way.")
    elif free < _LITTLE:
        yield warning(text, "Make room, or let opsbook records prune remove old records.")
    else:
        yield fine(text)


def clock(settings: Settings) -> Iterator[Finding]:
    """The newest run did not start in the future."""
    now = datetime.now(UTC)
    newest = next(store.newest(settings.records), None)
    started = (store.began(newest.name) if newest else None) or now
    if started > now + _SKEW:
        text = f"the clock says {now:%Y-%m-%d %H:%M} UTC, but the newest run started {started:%Y-%m-%d %H:%M}"
        yield warning(text, "Set the clock: timedatectl shows whether it is kept right.")
    else:
        yield fine(f"clock: {now:%Y-%m-%d %H:%M} UTC")
