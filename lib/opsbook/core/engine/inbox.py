"""The inbox: requests of other processes, one file each, written atomically and taken in order of their names."""

import asyncio
import json
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from opsbook.errors import NoRoom, OpsbookError

EVERY = 0.25
"""Seconds between two scans."""

LIMIT = 65536
"""Largest size of a request in bytes."""

KINDS = ("cancel", "answer", "note")


async def watch(
    folder: Path,
    take: Callable[[dict[str, Any]], None],
    refuse: Callable[[str, str], None],
    stale: Iterable[Path] = (),
) -> None:
    """Pass every request to `take`, and every invalid file to `refuse` with the reason. Never returns.

    `stale` files are ignored.
    """
    refused = set(stale)
    while True:
        for path in sorted(set(folder.glob("*.json")) - refused):
            try:
                take(_request(path))
                path.unlink(missing_ok=True)
            except (ValueError, OSError, RecursionError, OpsbookError) as error:
                # The file stays, as evidence.
                refused.add(path)
                with suppress(NoRoom):
                    refuse(path.name, str(error))
        await asyncio.sleep(EVERY)


def _request(path: Path) -> dict[str, Any]:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > LIMIT:
        raise ValueError("not a plain small file")
    request = json.loads(path.read_bytes())
    if not isinstance(request, dict) or request.get("kind") not in KINDS:
        raise ValueError(f"not a request; kinds are {', '.join(KINDS)}")
    if not _has_texts(request, "by"):
        raise ValueError("it does not say who sent it")
    if request["kind"] == "answer" and not _has_texts(request, "name", "value"):
        raise ValueError("an answer needs a name and a value")
    if type(request.get("asked", 0)) is not int:
        raise ValueError("asked is not an event number")
    return request


def _has_texts(request: dict[str, Any], *keys: str) -> bool:
    return all(isinstance(request.get(key), str) for key in keys)
