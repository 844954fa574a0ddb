"""Append-only logs beside the records, one JSON object a line: holds, pruned and restored records."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.errors import InputError
from opsbook.files import sync_folder

HOLDS = "holds.jsonl"
PRUNED = "pruned.jsonl"
RESTORED = "restored.jsonl"


def append(path: Path, entry: dict[str, str]) -> None:
    """Add an entry; it is on disk when this returns."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        # A line cut short by a crash must not swallow this one.
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        os.write(descriptor, (("\n" if torn else "") + line).encode("utf-8", errors="backslashreplace"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def entries(path: Path) -> Iterator[dict[str, str]]:
    """Every entry, oldest first. Raises InputError for an invalid line."""
    if not os.path.lexists(path):
        return
    try:
        lines = files.read_text(path).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.", "Correct it; nothing is removed until then.") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _entry(line, f"{path}:{number}")


def _entry(line: str, place: str) -> dict[str, str]:
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()) or "run" not in entry:
        raise InputError(f"{place} cannot be read.", "Correct that line; nothing is removed until then.")
    return entry
