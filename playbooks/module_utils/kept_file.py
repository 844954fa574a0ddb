"""A JSON file of an environment, with what it said before the run that changed it: so that the run can undo it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def read(file: Path) -> Any:
    """Answer what the file says; None if it is not there. Raises ValueError if that is not JSON."""
    return json.loads(file.read_text()) if file.exists() else None


def text_of(content: Any) -> str:
    """Answer the text of a file with this content; of none, nothing."""
    return "" if content is None else json.dumps(content, indent=2, sort_keys=True) + "\n"


def write(file: Path, content: Any, before: Any, run: str) -> None:
    """Write it, and keep what the file said before the first change of this run."""
    kept = _beside(file)
    if _kept(kept).get("run") != run:
        _replace(kept, text_of({"run": run, "content": before}))
    _replace(file, text_of(content))


def kept_of(file: Path, run: str) -> tuple[bool, Any]:
    """Answer whether this run changed the file, and what it said before."""
    kept = _kept(_beside(file))
    return kept.get("run") == run, kept.get("content")


def restore(file: Path, content: Any) -> None:
    """Write what was kept; the file goes if there was none."""
    if content is None:
        file.unlink(missing_ok=True)
    else:
        _replace(file, text_of(content))


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.stem}.before.json")


def _kept(file: Path) -> dict[str, Any]:
    try:
        found = read(file)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _replace(file: Path, text: str) -> None:
    """Whoever reads it reads the old content or the new one, never half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".", delete=False) as scratch:
        scratch.write(text)
        scratch.flush()
        os.fsync(scratch.fileno())
        os.fchmod(scratch.fileno(), 0o644)
    Path(scratch.name).replace(file)
