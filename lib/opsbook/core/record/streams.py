"""Event streams and long output of a record, read piece by piece: they may be larger than memory."""

import json
from collections.abc import Iterator
from typing import Any

from opsbook import files
from opsbook.core.model.tasks import Tasks
from opsbook.core.model.text import slug
from opsbook.core.record.store import Record
from opsbook.files import is_plain

_PIECE = 64 * 1024
_LONGEST = 64 * 1024 * 1024
"""Bytes of one event. No effect reports a longer one."""


def name_of(intent: int, kind: str) -> str:
    """The file, in the record, of the events of an effect; `intent` is the number of its intent."""
    return f"effects/{intent:04d}-{slug(kind)}.jsonl"


def exists(record: Record, intent: int, kind: str) -> bool:
    """Whether an effect has reported anything."""
    return is_plain(record.folder / name_of(intent, kind))


def text(record: Record, name: str) -> Iterator[str]:
    """The text of a file of the record, in pieces that end with whole lines, if these are not too long.

    Raises InputError if the file is missing.
    """
    with record.read(name, files.opened) as file:
        while piece := file.read(_PIECE):
            yield (piece + file.readline(_PIECE)).decode("utf-8", errors="replace")


def samples(record: Record, name: str) -> Iterator[dict[str, Any]]:
    """The events of a stream. The last line of a stream that was cut off is skipped.

    Raises InputError if the file is missing or damaged.
    """
    with record.read(name, files.opened) as file:
        while (line := file.readline(_LONGEST)).endswith(b"\n"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise record.damaged(name) from error
            if isinstance(found, dict):
                yield found
        if len(line) >= _LONGEST:
            raise record.damaged(name)


def where(record: Record, intent: int, kind: str) -> str:
    """The last task of a playbook that never reported its end, and the hosts on which it may still run."""
    tasks = Tasks()
    for sample in samples(record, name_of(intent, kind)) if exists(record, intent, kind) else ():
        tasks.take(sample)
    return tasks.where()
