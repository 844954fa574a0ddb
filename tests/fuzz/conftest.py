"""What many examples share: one event loop, and folders that cost nothing."""

import asyncio
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def folders() -> Iterator[Iterator[Path]]:
    """A new folder each time; in memory where there is such a place, for what is tried here is no disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as base:
        yield (_made(Path(base) / str(number)) for number in itertools.count())


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
