"""The inbox: requests of other processes, one file each, written whole and taken in order of their names."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVERY = 0.25
"""Seconds between two looks."""

KINDS = ("cancel", "answer", "note")


async def watch(folder: Path, take: Callable[[dict[str, Any]], None], refuse: Callable[[str, str], None]) -> None:
    """Hand every request to `take`, and every file that is none to `refuse` with the reason. Never returns."""
    while True:
        for path in sorted(folder.glob("*.json")):
            try:
                take(_request(path))
            except ValueError as error:
                refuse(path.name, str(error))
            path.unlink(missing_ok=True)
        await asyncio.sleep(EVERY)


def _request(path: Path) -> dict[str, Any]:
    if path.is_symlink() or path.stat().st_size > 65536:
        raise ValueError("not a plain small file")
    request = json.loads(path.read_bytes())
    if not isinstance(request, dict) or request.get("kind") not in KINDS:
        raise ValueError(f"not a request; kinds are {', '.join(KINDS)}")
    if not _has_texts(request, "by"):
        raise ValueError("it does not say who sent it")
    if request["kind"] == "answer" and not _has_texts(request, "name", "value"):
        raise ValueError("an answer needs a name and a value")
    return request


def _has_texts(request: dict[str, Any], *keys: str) -> bool:
    return all(isinstance(request.get(key), str) for key in keys)
