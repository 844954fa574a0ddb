"""What git refuses to say, and what to do about it."""

import os
import subprocess
from pathlib import Path

import pytest

from opsbook.core.planning import git
from opsbook.errors import Refused


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to somebody else")
def test_in_a_clone_of_another_user_it_says_how_to_trust_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "-q", "-b", "main", str(clone)], check=True)
    for path in (clone, clone / ".git"):
        os.chown(path, 65534, 65534)
    with pytest.raises(Refused) as refused:
        git.protected(clone, "main")
    assert "dubious ownership" in refused.value.message
    assert refused.value.hint == f"If you trust its owner: git config --global --add safe.directory {clone}"
    subprocess.run(["git", "config", "--global", "--add", "safe.directory", str(clone)], check=True)
    assert git.protected(clone, "main") is None
