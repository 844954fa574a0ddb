"""Places for anchors."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(params=["file", pytest.param("git", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Both kinds of places."""
    if request.param == "file":
        return str(tmp_path / "anchor.jsonl")
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "anchor.git"], check=True)
    return f"git:{tmp_path / 'anchor.git'}"


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "anchor.jsonl")
