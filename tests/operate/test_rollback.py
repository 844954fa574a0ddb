"""A run is rolled back later, by whoever may write its record, and goes on with that if it is stopped."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.project import Project, assert_all_gone, until
from tests.support.resumed import STOP, assert_whole, did, page, stopped

pytestmark = pytest.mark.slow


def test_a_run_that_succeeded_is_rolled_back_later(project: Project) -> None:
    page(project)
    project.opsbook("run", "page", "-e", "dev", check=True)
    run = project.records()[-1].name
    project.opsbook("rollback", "last")
    assert did(project) == ["one", "two", "three", "undone"]
    lines = (project.root / "done.txt").read_text().split()
    assert lines[-1] == lines[3], "the value of then, from the journal"
    assert_whole(project, run, "rolled-back")
    assert project.opsbook("rollback", "last").code == 2
    assert project.opsbook("resume", "last").code == 2


def test_a_failed_run_is_rolled_back_later(project: Project) -> None:
    run = stopped(project)
    assert project.opsbook("rollback", run).code == 0
    assert did(project) == ["one", "two", "undone"]
    assert_whole(project, run, "rolled-back")


def test_a_rollback_does_not_wait_for_a_playbook_to_be_put_back(project: Project) -> None:
    run = stopped(project)
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text() + "# saved\n")
    told = project.opsbook("rollback", run)
    assert told.code == 0 and "changed since, and not used: playbooks/inventories/dev/environment.yml" in told.out
    assert_whole(project, run, "rolled-back")


def test_a_rollback_that_was_killed_goes_on(project: Project) -> None:
    page(project, rollback="automatic")
    path = project.root / "runbooks/page.md"
    undo = 'command(["sh", "-c", f"echo undone {made} >> done.txt"])'
    path.write_text(path.read_text().replace(undo, f"{undo}\n    command(['sh', '-c', 'test ! -e hang || sleep 300'])"))
    (project.root / "stop").touch()
    (project.root / "hang").touch()
    process = project.start("run", "page", "-e", "dev")
    project.wait_for_event("effect-intent", lambda data: "sleep" in data["summary"])
    process.kill()
    process.communicate()
    run = project.records()[-1].name
    assert_all_gone(run)
    (project.root / "hang").unlink()
    assert project.opsbook("resume", run, "--answer", "unknown=again").code == 1
    assert did(project) == ["one", "two", "undone"]
    assert_whole(project, run, "rolled-back")


def test_there_is_nothing_to_roll_back(project: Project) -> None:
    steps = "## Steps\n\n### Do\n\n```python\nprint(1)\n```\n\n## Rollback\n\n### Undo\n\n```python\nprint(2)\n```\n"
    project.page(steps, front="rollback: manual\n")
    project.opsbook("run", "page", "-e", "dev", check=True)
    refused = project.opsbook("rollback", "last")
    assert refused.code == 2 and "changed nothing" in refused.err


def test_a_lock_is_free_when_its_run_gave_it_back_without_coming_to_it(project: Project) -> None:
    """Killed between the seal and the moment in which it gives its locks back."""
    page(project)
    project.opsbook("run", "page", "-e", "dev", check=True)
    run = project.records()[-1].name
    lock = {"target": "dev/web", "run": run, "operator": "x", "reason": "y", "since": "2026-11-20T00:00:00Z"}
    folder = project.root / ".opsbook/locks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dev+web.json").write_text(json.dumps(lock))
    project.opsbook("run", "page", "-e", "dev", check=True)


def _intents(project: Project) -> list[str]:
    return [event["data"]["summary"] for event in project.events() if event["type"] == "effect-intent"]


def test_sigterm_to_a_resumed_run_leaves_it_resumable(project: Project) -> None:
    run = stopped(project, "command(['sleep', '2'])\ncommand(['sleep', '1'])\n" + STOP)
    process = project.start("resume", run, "--from", "second")
    project.wait_for_event("run-resumed")
    # Until it listens again, the signal would be lost.
    until(lambda: _intents(project).count("sleep 2") == 2, "the effect, once more")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=180)
    assert process.returncode in (3, 5)
    project.opsbook("resume", run, check=True)
    assert_whole(project, run)


def test_a_record_of_another_folder_is_found_by_its_path(project: Project, tmp_path: Path) -> None:
    """Records in a place of their own, as a team on one host has them."""
    shared = tmp_path / "shared"
    (project.root / "opsbook.toml").write_text(f'records = "{shared}"\nstate = "{tmp_path}/state"\n')
    page(project)
    (project.root / "stop").touch()
    assert project.opsbook("run", "page", "-e", "dev").code == 3
    (project.root / "stop").unlink()
    os.chdir(project.root)
    project.opsbook("resume", "last", check=True)
