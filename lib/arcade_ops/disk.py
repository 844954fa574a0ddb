"""What takes room on this machine's disk."""

import os
import shutil
from pathlib import Path
from typing import Any

from opsbook import EffectFailed, effect, here


@effect(changes=False)
def usage() -> dict[str, Any]:
    """The disk with the project: bytes in all, bytes free, and the bytes of each part of it that grows, most first.

    Parts are folders, as paths in the project. Raises EffectFailed if the disk cannot be asked.
    """
    root, state = Path(here.root), Path(here.state)
    try:
        disk = shutil.disk_usage(state)
        grows = [root / "records", *(path for path in state.iterdir() if path.is_dir())]
        sizes = {os.path.relpath(path, root): _bytes(path) for path in grows if path.exists()}
    except OSError as error:
        raise EffectFailed(f"{error.filename or state} cannot be read: {error.strerror}", untouched=True) from error
    ordered = dict(sorted(sizes.items(), key=lambda each: each[1], reverse=True))
    return {"bytes": disk.total, "free": disk.free, "parts": ordered}


def _bytes(folder: Path) -> int:
    found = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                found += Path(path, name).lstat().st_blocks * 512
            except FileNotFoundError:
                # It was just removed.
                continue
    return found
