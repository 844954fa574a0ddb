"""The files with the database's credentials: what libpq calls a service file, of one role each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Credentials:
    """A role and its password, and the service that they are for."""

    service: str
    role: str
    password: str

    def text(self) -> str:
        return f"[{self.service}]\nuser={self.role}\npassword={self.password}\n"


def read(path: Path) -> Credentials | None:
    """The credentials in a file, None without it. Raises ValueError for other content."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    pairs = dict(line.split("=", 1) for line in lines[1:] if "=" in line)
    if not lines or not lines[0].startswith("[") or {"user", "password"} - pairs.keys():
        raise ValueError(f"{path} has no role and password: it is no service file of libpq")
    return Credentials(lines[0].strip("[] "), pairs["user"], pairs["password"])


def write(path: Path, credentials: Credentials) -> None:
    """Write them for their owner only, whole or not at all, and onto the disk."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(credentials.text())
        file.flush()
        os.fsync(file.fileno())
    move(new, path)


def move(old: Path, new: Path) -> None:
    """Rename, and have the folder on the disk, too."""
    old.replace(new)
    descriptor = os.open(new.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
