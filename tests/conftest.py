"""A project in a temporary folder, and a team's, for every test."""

import compileall
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, forked, modules
from tests.support.hooks import (  # noqa: F401  (pytest finds them by their names)
    pytest_configure,
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_terminal_summary,
)
from tests.support.project import Project
from tests.support.team import keys, team  # noqa: F401


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project.made(tmp_path / "project")
    yield made
    made.end()


def pytest_sessionstart(session: pytest.Session) -> None:
    """A kernel writes no bytecode: what belongs to kernels alone would be compiled at each start."""
    if not hasattr(session.config, "workerinput"):
        compileall.compile_dir(ROOT / "lib/opsbook", quiet=2)
        modules.begin()


def pytest_sessionfinish() -> None:
    forked.end()
    modules.end()
