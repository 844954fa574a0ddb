"""Secrets, answers and results in awkward places: nothing of them is kept, lost or mistaken where it may not be."""

import json
import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.hard import FREE, LOCK, RUN, STOP, content, echo, failed, hangs, killed, page
from tests.support.project import POLICY, Project, assert_all_gone, until
from tests.support.resumed import assert_whole, did
from tests.support.terminals import end_all_of, ended, told

pytestmark = pytest.mark.slow

SECRET = "s3cr3t-ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789"
GET = "import os\nfrom opsbook import command, secret\n"
LEFT = 8
"""Characters of a secret of which so many are enough to be of use."""
TEAM = """\
    from opsbook import command, effect, http, note

    @effect(changes=True)
    def refused():
        command(["sh", "-c", "echo one >> done.txt"])
        http("POST", "http://127.0.0.1:9/")

    @effect(changes=True)
    def noted():
        command(["sh", "-c", "echo one >> done.txt"])
        note("x")
"""


@pytest.fixture(autouse=True)
def _nothing_stays(project: Project) -> Iterator[None]:
    yield
    end_all_of(project)


def named(project: Project, name: str = "pw", value: str = SECRET) -> None:
    """The environment's policy has a secret of this name."""
    project.env["PW"] = value
    project.write("playbooks/inventories/dev/environment.yml", f"{POLICY}secrets:\n  {name}: env:PW\n")


def looks(project: Project, get: str, use: str) -> None:
    """A page that finds something out first."""
    first = f"## Prerequisites\n\n### Get\n\n```python\n{GET}{get}\n```\n"
    steps = f"## Steps\n\n### Stop\n\n```python\n{STOP}\n```\n\n### Use\n\n```python\n{use}\n```\n"
    project.page(f"{first}\n{steps}")


def assert_no_part_is_kept(project: Project) -> None:
    """Neither beginning nor end of the secret is anywhere in the newest record."""
    for path, data in content(project).items():
        text = data.decode(errors="replace")
        found = [part for part in (SECRET[:LEFT], SECRET[-LEFT:]) if part in text]
        assert not found, f"{path}: {text[max(0, text.index(found[0]) - 200) :][:400]}"


# -- secrets


def test_a_secret_in_another_form_is_not_given_back_as_it_is(project: Project) -> None:
    """It was found out in base64, and not kept: no step runs behind that."""
    named(project, value="hunter2-very-secret-x")  # 21 bytes: nothing is padded
    get = 'token = command(["base64", "-w0"], stdin=secret("pw"), changes=False).stdout'
    looks(project, get, 'command(["sh", "-c", "cat > sent.txt"], stdin=token)')
    run = failed(project)
    assert project.opsbook("resume", run, "--accept-changes").code in (1, 3, 5)
    assert not (project.root / "sent.txt").exists()
    assert "its result was not kept" in project.summary()["reason"]
    resumed = project.events()[next(n for n, e in enumerate(project.events()) if e["type"] == "run-resumed") :]
    assert "use" not in [event["data"]["step"] for event in resumed if event["type"] == "step-started"]


def test_a_secret_that_was_renamed_since_has_its_name_of_then(project: Project) -> None:
    named(project)
    undo = 'command(["sh", "-c", "cat > .opsbook/undone.txt"], stdin=secret("pw"))'
    use = 'command(["sh", "-c", "cat > .opsbook/sent.txt"], stdin=secret("pw"))'
    page(project, use, STOP, undo=undo, front="rollback: manual\n")
    run = failed(project)
    named(project, "other")
    done = project.opsbook("rollback", run)
    assert done.code == 0, done.out + done.err
    assert (project.root / ".opsbook/undone.txt").read_text() == (project.root / ".opsbook/sent.txt").read_text()


def test_what_differs_shows_no_part_of_a_secret(project: Project) -> None:
    named(project)
    looks(project, 'command(["sh", "-c", "cat state.txt; cat"], stdin=secret("pw"), changes=False)', "print(1)")
    state = project.write("state.txt", "state one is here, padding, ")
    run = failed(project)
    state.write_text("state two is here, padding, ")
    told_ = project.opsbook("resume", run)
    assert told_.code == 5 and SECRET[:LEFT] not in told_.out
    assert_no_part_is_kept(project)


@pytest.mark.parametrize("dots", [380, 1980])
def test_why_a_command_failed_shows_no_part_of_a_secret(project: Project, dots: int) -> None:
    named(project)
    fails = f"cat >&2; head -c {dots} /dev/zero | tr '\\\\0' . >&2; exit 1"
    page(project, f'command(["sh", "-c", "{fails}"], stdin=secret("pw"))')
    done = project.opsbook(*RUN)
    assert done.code == 1 and "exit code 1" in done.out
    assert SECRET[-LEFT:] not in done.out
    assert_no_part_is_kept(project)


# -- answers


def test_an_answer_of_a_killed_run_is_not_for_the_next(project: Project) -> None:
    page(project, hangs("one"))
    (project.root / "hang").touch()
    process = project.start(*RUN)
    until(lambda: did(project), "the effect")
    run = project.records()[-1].name
    os.kill(process.pid, signal.SIGSTOP)
    project.opsbook("cancel", run, check=True)
    project.opsbook("answer", run, "unknown=done", check=True)
    process.kill()
    process.communicate()
    assert_all_gone(run)
    (project.root / "hang").unlink()
    assert project.opsbook("resume", run).code == 5
    assert project.summary()["outcome"] == "waiting"
    assert len(told(project, "request-refused")) == 2
    project.opsbook("resume", run, "--answer", "unknown=done", check=True)
    assert did(project) == ["one"]


def test_an_answer_that_fits_no_question_is_refused(project: Project) -> None:
    page(project, hangs("one"))
    run = killed(project)
    before = content(project)
    for answer in ("unknwon=again", "unknown=banana"):
        refused = project.opsbook("resume", run, "--answer", answer)
        assert refused.code == 2 and "unknown" in refused.err
        assert content(project) == before


def test_one_cancel_ends_a_run_that_asks(project: Project) -> None:
    page(project, f'{echo("one")}\nconfirm("go", "Go?")\n{echo("two")}')
    project.opsbook(*RUN, "--detach", check=True)
    project.wait_for_event("question-asked")
    run = project.records()[-1].name
    project.opsbook("cancel", run, check=True)
    ended(project, "cancelled")
    project.opsbook("resume", run, "--answer", "go=yes", check=True)
    assert did(project) == ["one", "two"]
    assert_whole(project, run)


# -- what counts as changed


@pytest.mark.parametrize("effect", ["refused", "noted"])
def test_what_an_effect_of_a_team_did_before_it_failed_is_undone(project: Project, effect: str) -> None:
    project.write("lib/team/__init__.py", "")
    project.write("lib/team/effects.py", TEAM)
    cell = f"from team.effects import {effect}\n{effect}()"
    page(project, cell, undo=echo("undone"), front="rollback: automatic\n" + LOCK)
    done = project.opsbook(*RUN)
    assert done.code == 1 and "Nothing was changed" not in done.out
    assert did(project) == ["one", "undone"]
    assert_whole(project, project.records()[-1].name, "rolled-back")


def test_what_an_effect_of_a_team_did_before_it_failed_keeps_the_lock(project: Project) -> None:
    project.write("lib/team/__init__.py", "")
    project.write("lib/team/effects.py", TEAM)
    page(project, "from team.effects import refused\nrefused()", undo=echo("undone"), front="rollback: manual\n" + LOCK)
    done = project.opsbook(*RUN)
    assert done.code == 3 and "Nothing was changed" not in done.out
    assert project.records()[-1].name in project.opsbook("locks").out
    project.opsbook("rollback", "last", check=True)
    assert did(project) == ["one", "undone"]


def test_an_unknown_effect_still_counts_when_it_cannot_begin_again(project: Project) -> None:
    page(project, 'command(["./prog"], key="k")', undo=echo("undone"), front="rollback: ask\n" + LOCK)
    program = project.write("prog", "#!/bin/sh\necho one >> done.txt\nexec sleep 300\n")
    program.chmod(0o755)
    run = killed(project)
    program.unlink()
    done = project.opsbook("resume", run, "--answer", "unknown=again")
    assert done.code == 3 and run in project.opsbook("locks").out
    assert "Nothing was changed" not in done.out, "nobody knows"
    project.opsbook("rollback", run, check=True)
    assert did(project) == ["one", "undone"]
    assert_whole(project, run, "rolled-back")


def test_a_rollback_that_came_later_is_told(project: Project) -> None:
    cell = echo("one")
    page(project, cell, undo=echo("undone"), front="rollback: ask\n" + LOCK)
    page(project, cell, undo=echo("undone"), front="rollback: ask\n" + LOCK, name="other")
    first = _record(project, "other")
    second = _record(project, "page")
    project.opsbook("rollback", first, "--accept-changes", check=True)
    waits = project.opsbook("rollback", second)
    assert waits.code == 5 and f"{first} (A page, rolled-back)" in waits.out
    project.opsbook("rollback", second, "--accept-changes", check=True)


def _record(project: Project, name: str) -> str:
    """The id of a run of this page."""
    project.opsbook("run", name, "-e", "dev", check=True)
    return next(folder.name for folder in project.records() if f"-{name}-" in folder.name)


# -- locks


def test_no_lock_is_taken_away_without_its_reason(project: Project) -> None:
    locks = project.root / ".opsbook/locks"
    (locks / "unlocked.jsonl").mkdir(parents=True)
    lock = {"target": "dev/q", "run": "x", "operator": "o", "reason": "r", "since": "2026-11-20T00:00:00Z"}
    (locks / "dev+q.json").write_text(json.dumps(lock))
    refused = project.opsbook("unlock", "dev/q", "--reason", "a test")
    assert refused.code == 2 and "cannot be written" in refused.err
    assert "dev/q" in project.opsbook("locks").out
    (locks / "unlocked.jsonl").rmdir()
    project.opsbook("unlock", "dev/q", "--reason", "a test", check=True)
    assert project.opsbook("locks").out == FREE
