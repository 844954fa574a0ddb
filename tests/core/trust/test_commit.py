"""From which commit a run is: what the record says of it."""

import subprocess
from pathlib import Path

from opsbook.core.planning.git import commit_of


def _git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
    return subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def test_a_page_is_as_it_was_committed_or_not(tmp_path: Path) -> None:
    assert commit_of(tmp_path, "page.md", "text\n") == ""
    _git(tmp_path, "init", "-q")
    assert commit_of(tmp_path, "page.md", "text\n") == ""
    (tmp_path / "page.md").write_text("text\n")
    _git(tmp_path, "add", "page.md")
    _git(tmp_path, "commit", "-q", "-m", "A page")
    head = _git(tmp_path, "rev-parse", "HEAD")[:12]
    assert commit_of(tmp_path, "page.md", "text\n") == head
    assert commit_of(tmp_path, "page.md", "other\n") == f"{head}, page changed since"
    assert commit_of(tmp_path, "never.md", "text\n") == f"{head}, page changed since"
