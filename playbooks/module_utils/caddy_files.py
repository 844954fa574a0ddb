"""What the modules of the load balancer share: the small files that Caddy reads for each request."""

from __future__ import annotations

import tempfile
from pathlib import Path


def content(file: Path) -> str:
    """Answer what the file says; a file that is not there says nothing."""
    return file.read_text() if file.exists() else ""


def replace(file: Path, text: str) -> None:
    """Write so that Caddy reads the old content or the new one, never half of it."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".", delete=False) as scratch:
        scratch.write(text)
    Path(scratch.name).replace(file)
