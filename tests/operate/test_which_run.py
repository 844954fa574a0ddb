"""Which run is meant, what holds a lock, and what is asked before something happens to it."""

import json

import pytest

from tests.support.project import Project, Terminal, until

pytestmark = pytest.mark.slow

PAGE = """
    ## Prerequisites

    ### Be here
    ```python
    from opsbook import command, wait_until
    ```

    ## Steps

    ### Write it
    ```python
    command(["sh", "-c", "echo written > file"])
    {then}
    ```

    ## Rollback

    ### Take it away
    ```python
    command(["rm", "file"])
    ```
"""
FRONT = "rollback: ask\nlock: ['{environment}/app']\n"


def opsbook(project: Project, *arguments: str) -> Terminal:
    return Terminal(project.command(*arguments), project)


def test_a_run_that_failed_its_lock_and_its_rollback(project: Project) -> None:
    project.page(PAGE.format(then="raise ValueError"), front=FRONT)
    assert project.opsbook("run", "page", "-e", "dev").code == 3
    failed = project.records()[-1].name

    refused = project.opsbook("run", "page", "-e", "dev")
    assert refused.code == 4
    assert f"dev/app is locked by {failed}" in refused.out
    assert f"{failed} is failed. Go on with it: opsbook resume {failed}." in refused.out
    assert f"Undo it: opsbook rollback {failed}." in refused.out
    assert "wait for it" not in refused.out
    # What was refused never began: the last run is the one that matters.
    assert len(project.records()) == 2
    assert project.summary()["run"] == failed

    asking = opsbook(project, "rollback", "last")
    asking.wait_for("Roll it back? [y/N]")
    for text in (f"{failed}: A page in dev", "it is failed", "It changed", "echo written > file", "Take it away"):
        assert text in asking.screen
    asking.type("n\n")
    assert asking.wait() == 2
    assert (project.root / "file").exists()

    again = opsbook(project, "rollback", "last")
    again.wait_for("Roll it back? [y/N]")
    again.type("y\n")
    assert again.wait() == 0
    assert not (project.root / "file").exists()

    told = json.loads(project.opsbook("status", "--json").out)
    assert [(each["run"], each["outcome"]) for each in told["ended"]] == [(failed, "rolled-back")]
    assert f"{failed}, " in project.opsbook("status").out


def test_a_lock_of_a_run_that_goes_on_can_be_waited_for(project: Project) -> None:
    wait = "wait_until('go', __import__('pathlib').Path('go').exists, every=0.1)"
    project.page(PAGE.format(then=wait), front=FRONT)
    process = project.start("run", "page", "-e", "dev")
    until((project.root / "file").exists, "the step")
    run = project.records()[-1].name
    refused = project.opsbook("run", "page", "-e", "dev")
    assert f"It is still running: wait for it (--wait), or watch it: opsbook attach {run}." in refused.out
    (project.root / "go").touch()
    assert process.wait(timeout=60) == 0


def test_whoever_sits_there_is_asked_for_runbook_and_environment(project: Project) -> None:
    project.page(PAGE.format(then=""), front=FRONT)
    terminal = opsbook(project, "run", "--yes")
    terminal.wait_for("What to run? page")
    terminal.type("nothing\n")
    terminal.wait_for("There is no runbook nothing.")
    terminal.type("page\n")
    terminal.wait_for("Where? dev")
    terminal.type("d\n")
    assert terminal.wait() == 0
    assert (project.root / "file").read_text() == "written\n"


@pytest.mark.parametrize("command", ["run", "plan"])
def test_without_a_terminal_what_is_missing_is_named(project: Project, command: str) -> None:
    done = project.opsbook(command)
    assert done.code == 2
    assert "What to run? a RUNBOOK and -e ENV is missing." in done.err
