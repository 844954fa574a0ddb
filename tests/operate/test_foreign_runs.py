"""Pages of others, run as they are: in order, with what is by hand asked for, and what is left out said."""

import shutil

import pytest

from tests.support import ROOT
from tests.support.project import Project

pytestmark = pytest.mark.slow

PAGES = ROOT / "tests/core/source/pages"


def test_pages_run_as_they_are(project: Project) -> None:
    for path in PAGES.glob("*.md"):
        shutil.copy(path, project.root / "runbooks" / path.name)
    done = project.opsbook("check")
    assert done.code == 0, done.out
    assert "20 documents (37 commands, 5 by hand, 10 examples), 0 errors" in done.err

    given = ("-e", "dev", "--yes", "--answer")
    done = project.opsbook("run", "numbered-list", *given, "tell-the-team-in-the-channel=done", check=True)
    order = ["| drain", "? tell-the-team-in-the-channel", "| restart", "| look", "every step succeeded"]
    assert [done.out.index(each) for each in order] == sorted(done.out.index(each) for each in order)

    done = project.opsbook("run", "prompts", "-e", "dev", "--yes", check=True)
    assert "1 command succeeded; 3 examples were not run (lines 5, 10, 14)" in done.out
    assert "1 command, 3 examples" in (said := project.opsbook("show", "prompts", check=True).out)
    assert "not run: line 5, since it begins with a prompt" in said

    done = project.opsbook("run", "tabs", *given, "restart-2=done", check=True)
    assert "every step succeeded" in done.out
    assert done.out.index("| before") < done.out.index("? restart-2") < done.out.index("| after")

    done = project.opsbook("run", "jupytext", "-e", "dev", "--yes")
    assert "| 3.14159" in done.out
