"""A project in a temporary folder, and a team's, for every test."""

import compileall
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, forked, modules
from tests.support.hooks import (  # noqa: F401  (pytest finds them by their names)
    pytest_collection,
    pytest_configure,
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_terminal_summary,
)
from tests.support.project import Project
from tests.support.team import keys, team  # noqa: F401

LONGEST = (
    "integrations/test_papermill_pages.py",
    "operate/test_resume.py",
    "lab/test_lab.py",
    "lint/test_check.py",
    "cli/test_completion.py",
    "replay/test_replay.py",
    "core/engine/test_hard_cases.py",
    "site/test_everybody.py",
    "site/test_browser.py",
    "core/trust/test_what_runs.py",
    "core/engine/test_kill_matrix.py",
    "core/engine/test_partial_failure.py",
    "core/engine/test_outcomes.py",
    "operate/test_failure_menu.py",
    "core/engine/test_hard_values.py",
    "integrations/test_papermill.py",
    "training/test_drills.py",
    "operate/test_detach.py",
    "core/effects/test_shell_cells.py",
    "core/engine/test_violence.py",
    "site/test_form.py",
)
"""The files that take longest, the longest first. `tests/platform` has a list of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left with one at the end."""
    here = Path(__file__).parent
    longest = {here / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: longest.get(item.path, len(longest)))


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
