"""Many documents are read by several processes; what is said of them is the same, in the same order."""

from datetime import date
from pathlib import Path

import pytest

from opsbook.core.catalog import catalog, surroundings
from opsbook.core.rules import lint
from opsbook.settings import Settings

pytestmark = pytest.mark.slow

GOOD = "---\ntitle: Page {n}\nkind: maintenance\nowner: ops\nreviewed: 2026-11-20\n---\n\n# Page {n}\n\n## Steps\n\n"
CELL = "### One\n\n```python\nx = {n}\n```\n"


def project(root: Path, count: int) -> Settings:
    for n in range(count):
        text = GOOD.format(n=n) + CELL.format(n=n)
        if n % 50 == 7:
            text += "\nSee [this](nowhere.md).\n"
        path = root / "runbooks" / f"page-{n:03}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "runbooks/page-100.md").write_bytes(b"\xff not text")
    return Settings(root, root / "records", root / ".opsbook")


def test_the_same_as_one_by_one(tmp_path: Path) -> None:
    settings = project(tmp_path, 260)
    there = catalog.paths(settings)
    known = lint.Known(frozenset(), today=date(2026, 11, 21))
    together = catalog.every(there, tmp_path, known)
    assert together == [catalog.document(path, tmp_path, known) for path in there]
    assert together[100][0] is None


def test_every_problem_is_found(tmp_path: Path) -> None:
    settings = project(tmp_path, 260)
    found, problems = surroundings.readable(settings)
    assert [runbook.name for runbook in found] == [f"page-{n:03}" for n in range(260) if n != 100]
    places = [(problem.path, problem.code) for problem in problems]
    dead = [(f"runbooks/page-{n:03}.md", "L002") for n in range(7, 260, 50)]
    assert places == sorted([*dead, ("runbooks/page-100.md", "D008")])
