"""Runs that stop in awkward places, and what is asked of them then: nothing happens twice, nothing is passed over."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support import resumed
from tests.support.hard import LOCK, RUN, STOP, content, echo, failed, hangs, killed, page
from tests.support.project import Project, Terminal, until
from tests.support.resumed import assert_whole, did
from tests.support.terminals import end_all_of, ended, hold, told

pytestmark = pytest.mark.slow

SWALLOWED = """\
try:
    http("GET", "http://127.0.0.1:9/")
except Exception:
    pass
"""
THREADS = """\
from concurrent.futures import ThreadPoolExecutor
def work(name):
    command(["sh", "-c", f"echo {name} >> done.txt; test ! -e hang || exec sleep 300"], key=name)
with ThreadPoolExecutor() as pool:
    list(pool.map(work, ["a", "b"]))"""
LOOKED_AT = """\
import subprocess, sys, time
from pathlib import Path
from opsbook.cli.main import main
from opsbook.core.record.journal import Journal
begin = Journal.__init__
look = 'flock --shared "$0" sh -c "touch in-time; sleep 0.1" &'
def begun(book, folder, *given, **options):
    begin(book, folder, *given, **options)
    subprocess.run(["sh", "-c", look, folder / "journal.jsonl"], check=True)
    while not Path("in-time").exists():
        time.sleep(0.001)
Journal.__init__ = begun
sys.exit(main(sys.argv[1:]))
"""
"""The command line, whose journal somebody looks at before the run can lock it."""
READER = """\
import fcntl, os, time
from pathlib import Path
from opsbook.core.record import store
seen = set()
while True:
    for path in set(Path("records").glob("*/*/*/journal.jsonl")) - seen:
        seen.add(path)
        number = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
            Path("in-time").touch()
            time.sleep(0.1)
        except OSError:
            pass
        os.close(number)
    list(store.records(Path("records")))
"""


@pytest.fixture(autouse=True)
def _nothing_stays(project: Project) -> Iterator[None]:
    yield
    end_all_of(project)


def editor(project: Project, change: str) -> None:
    """Whoever edits a page does this to it."""
    path = project.write("editor.sh", f"#!/bin/sh\n{change}\n")
    path.chmod(0o755)
    project.env["EDITOR"] = str(path)


# -- steps that were skipped


def test_a_step_that_was_skipped_never_does_its_rest(project: Project) -> None:
    page(project, f"{STOP}\n{echo('dangerous')}", f"{STOP}\n{echo('two')}")
    (project.root / "stop").touch()
    terminal = Terminal(project.command(*RUN, "--yes"), project)
    terminal.wait_for("stop]")
    terminal.type("skip\n")
    terminal.wait_for("why?")
    terminal.type("too dangerous\n")
    until(lambda: terminal.screen.count("stop]") == 2, "the next question")
    terminal.type("stop\n")
    terminal.wait()
    (project.root / "stop").unlink()
    project.opsbook("resume", "last", check=True)
    assert did(project) == ["two"]
    found = project.summary()
    assert found["outcome"] == "succeeded" and "skipped: First" in found["reason"]


def test_a_step_that_was_left_out_stays_so(project: Project) -> None:
    last = 'if os.path.exists("later"):\n    raise ValueError("no luck")'
    page(project, f"{STOP}\n{echo('one')}", echo("extra"), f"{last}\n{echo('three')}")
    run = failed(project)
    (project.root / "later").touch()
    assert project.opsbook("resume", run, "--from", "third").code == 1
    (project.root / "later").unlink()
    project.opsbook("resume", run, check=True)
    assert did(project) == ["three"]
    statuses = [step["status"] for step in project.summary()["steps"]]
    assert statuses == ["skipped", "skipped", "succeeded"]
    assert "skipped: First, Second" in project.summary()["reason"]


def test_a_step_that_was_left_out_still_gives_its_names(project: Project) -> None:
    page(project, f"word = 'two'\n{STOP}\n{echo('one')}", 'command(["sh", "-c", f"echo {word} >> done.txt"])')
    run = failed(project)
    project.opsbook("resume", run, "--from", "second", check=True)
    assert did(project) == ["two"]
    assert_whole(project, run)


def test_a_step_with_an_unknown_effect_is_not_repeated_by_from(project: Project) -> None:
    page(project, echo("one"), hangs("two"), echo("three"))
    run = killed(project, words=2)
    assert project.opsbook("resume", run, "--from", "second").code == 5
    assert did(project) == ["one", "two"]
    project.opsbook("resume", run, "--answer", "unknown=done", check=True)
    assert did(project) == ["one", "two", "three"]


def test_from_holds_for_the_next_resume_too(project: Project) -> None:
    page(project, echo("one"), hangs("two"), echo("three"), STOP)
    run = failed(project)
    killed(project, "resume", run, "--from", "second", words=4)
    assert did(project) == ["one", "two", "three", "two"]
    project.opsbook("resume", run, "--answer", "unknown=done", check=True)
    assert did(project) == ["one", "two", "three", "two", "three"]
    assert_whole(project, run)


# -- refused, and as it was


def test_a_rollback_that_a_lock_refuses_leaves_the_record_alone(project: Project) -> None:
    resumed.page(project)
    project.opsbook(*RUN, check=True)
    run, before = project.records()[-1].name, content(project)
    give_back = hold(project)
    refused = project.opsbook("rollback", run)
    assert refused.code == 4 and "another-run" in refused.out + refused.err
    assert content(project) == before
    give_back()
    project.opsbook("rollback", run, check=True)
    assert did(project) == ["one", "two", "three", "undone"]
    assert_whole(project, run, "rolled-back")


def test_a_rollback_that_nobody_agrees_to_has_not_begun(project: Project) -> None:
    resumed.page(project)
    project.opsbook(*RUN, check=True)
    run = project.records()[-1].name
    project.page("## Steps\n\n### Do\n\n```python\nprint(1)\n```\n", name="other", front='lock: ["dev"]\n')
    project.opsbook("run", "other", "-e", "dev", check=True)
    told = ("records", "show", run, "--json")
    assert project.opsbook("rollback", run).code == 5
    assert json.loads(project.opsbook(*told).out)["outcome"] == "succeeded"
    project.opsbook("rollback", run, "--accept-changes", check=True)
    assert json.loads(project.opsbook(*told).out)["outcome"] == "rolled-back"
    project.opsbook("records", "verify", run, check=True)
    project.opsbook(*RUN, check=True)


def test_a_run_that_a_lock_refuses_keeps_its_others(project: Project) -> None:
    front = 'rollback: ask\nlock: ["{environment}/a", "{environment}/b"]\n'
    page(project, echo("one"), f"{STOP}\n{echo('two')}", undo=echo("undone"), front=front)
    run = failed(project)
    project.opsbook("unlock", "dev/a", "--reason", "a test", check=True)
    give_back, before = hold(project, "dev/a"), content(project)
    assert project.opsbook("resume", run).code == 4
    assert content(project) == before
    held = json.loads(project.opsbook("locks", "--json", check=True).out)
    assert {lock["target"]: lock["run"] for lock in held} == {"dev/a": "another-run", "dev/b": run}
    give_back()
    project.opsbook("resume", run, check=True)
    assert did(project) == ["one", "two"]
    assert_whole(project, run)


def test_a_run_that_went_on_while_its_page_was_edited(project: Project) -> None:
    page(project, echo("one"), f"{STOP}\n{echo('two')}")
    run = failed(project)
    other = f"{sys.executable} -m opsbook.cli.main resume {run} > other.log 2>&1"
    editor(project, f"{other}\nsed -i 's/echo two/echo zwei/' \"$1\"")
    refused = project.opsbook("resume", run, "--edit")
    assert refused.code == 4 and "went on meanwhile" in refused.err
    assert did(project) == ["one", "two"]
    assert_whole(project, run)


def _asked(terminal: Terminal, question: str, times: int) -> bool:
    return terminal.screen.count(question) == times


WAITS = 'command(["sh", "-c", "echo begun >> done.txt; until test -e go; do sleep 0.05; done"])'


def test_a_run_is_not_taken_for_lost_because_somebody_looked(project: Project) -> None:
    page(project, WAITS)
    command = [sys.executable, "-c", LOOKED_AT, *RUN]
    with subprocess.Popen(command, cwd=project.root, env=project.environment()) as running:
        until(lambda: did(project) or running.poll() is not None, "the effect")
        found = json.loads(project.opsbook("status", "--json", check=True).out)
        (project.root / "go").touch()
        assert running.wait(timeout=180) == 0
    assert (project.root / "in-time").exists(), "nobody looked at the moment in question"
    assert [each["state"] for each in found["runs"]] == ["running"]


@pytest.mark.soak
def test_no_run_is_taken_for_lost_because_somebody_looks_again_and_again(project: Project) -> None:
    page(project, WAITS)
    runs: list[subprocess.Popen[str]] = []
    in_time = project.root / "in-time"
    with subprocess.Popen([sys.executable, "-c", READER], cwd=project.root, env=project.environment()) as reader:
        try:
            while len(runs) < 5 or (len(runs) < 20 and not in_time.exists()):
                runs.append(project.start(*RUN))
                until(lambda: len(did(project)) == len(runs), "the next run")
            found = json.loads(project.opsbook("status", "--json", check=True).out)
            (project.root / "go").touch()
            said = [run.communicate(timeout=180)[0] for run in runs]
            lives = reader.poll() is None
        finally:
            reader.kill()
    assert [run.returncode for run in runs] == [0] * len(runs), said
    assert lives and in_time.exists(), "nobody looked at the moment in question"
    assert [each["state"] for each in found["runs"]] == ["running"] * len(runs)


# -- what nobody knows


def test_an_unknown_change_behind_a_swallowed_failure_is_asked(project: Project) -> None:
    page(project, SWALLOWED + echo("one") + "\n" + hangs("two"))
    run = killed(project, words=2)
    assert project.opsbook("resume", run).code == 5
    assert project.summary()["outcome"] == "waiting"
    project.opsbook("resume", run, "--answer", "unknown=done", check=True)
    assert did(project) == ["one", "two"]


def test_a_change_behind_a_swallowed_failure_happens_once(project: Project) -> None:
    reads = 'command(["sh", "-c", "until test -e go; do sleep 0.05; done"], changes=False)'
    page(project, f"{SWALLOWED}{echo('one')}\n{reads}\n{echo('two')}")
    process = project.start(*RUN)
    project.wait_for_event("effect-intent", lambda data: "test -e go" in data["summary"])
    process.send_signal(signal.SIGTERM)
    project.wait_for_event("cancel-requested")
    (project.root / "go").touch()
    process.communicate(timeout=180)
    assert project.summary()["outcome"] == "cancelled"
    project.opsbook("resume", "last", check=True)
    assert did(project) == ["one", "two"]


def test_two_unknown_effects_are_both_asked(project: Project) -> None:
    page(project, THREADS)
    run = killed(project, words=2)
    terminal = Terminal(project.command("resume", run), project)
    for number in (1, 2):
        until(partial(_asked, terminal, "look/again/done", number), "a question")
        terminal.type("again\n")
    assert terminal.wait() == 0, terminal.screen
    assert sorted(did(project)) == ["a", "a", "b", "b"]
    assert_whole(project, run)


def test_two_unknown_effects_are_both_answered_from_elsewhere(project: Project) -> None:
    page(project, THREADS)
    run = killed(project, words=2)
    project.opsbook("resume", run, "--detach", check=True)
    until(lambda: len(told(project, "question-asked")) == 2, "both questions")
    project.opsbook("answer", run, "unknown=again", check=True)
    project.opsbook("answer", run, "unknown=again", check=True)
    ended(project)
    assert sorted(did(project)) == ["a", "a", "b", "b"]


def test_an_edit_puts_nothing_in_the_place_of_an_unknown_effect(project: Project) -> None:
    page(project, hangs("deploy"))
    run = killed(project)
    editor(project, f"sed -i '/echo deploy/i {echo('backup')}' \"$1\"")
    done = project.opsbook("resume", run, "--edit", "--answer", "unknown=done")
    assert done.code == 1, done.out
    assert "asks for something else" in project.summary()["reason"]
    assert did(project) == ["deploy"]


def test_an_unknown_effect_of_a_rollback_is_not_passed_over(project: Project) -> None:
    undo = f"if os.path.exists('hang'):\n    {hangs('undone')}"
    page(project, echo("one"), undo=undo, front="rollback: ask\n" + LOCK)
    project.opsbook(*RUN, check=True)
    run = killed(project, "rollback", "last", words=2)
    assert project.opsbook("resume", run).code == 5
    assert project.summary()["outcome"] == "waiting"
    assert run in project.opsbook("locks").out
    project.opsbook("resume", run, "--answer", "unknown=done")
    assert did(project) == ["one", "undone"]
    assert_whole(project, run, "rolled-back")


def test_the_rest_by_hand_settles_what_nobody_knows(project: Project) -> None:
    page(project, hangs("one"), echo("two"), undo=echo("undone"), front="rollback: ask\n" + LOCK)
    run = killed(project)
    terminal = Terminal(project.command("resume", run, "--manual"), project)
    for number in (1, 2):
        until(partial(_asked, terminal, "done/skip/problem", number), "a question")
        terminal.type("done\n")
    assert terminal.wait() == 0, terminal.screen
    assert did(project) == ["one"]
    assert_whole(project, run)


def test_the_rest_by_hand_may_be_answered_ahead(project: Project) -> None:
    page(project, hangs("one"), echo("two"), undo=echo("undone"), front="rollback: ask\n" + LOCK)
    run = killed(project)
    project.opsbook("resume", run, "--manual", "--answer", "first=done", "--answer", "second=done", check=True)
    assert did(project) == ["one"]
    assert_whole(project, run)


# -- an edited page


def test_no_step_to_go_on_from_is_edited_away(project: Project) -> None:
    page(project, STOP, echo("two"))
    run = failed(project)
    before = content(project)
    editor(project, "sed -i 's/^### Second/### Zweite/' \"$1\"")
    refused = project.opsbook("resume", run, "--edit", "--from", "second")
    assert refused.code == 2 and "There is no step second" in refused.err
    assert content(project) == before


def test_an_edited_page_may_be_put_in_its_place(project: Project) -> None:
    page(project, echo("one"), STOP)
    run = failed(project)
    (project.root / "stop").touch()
    editor(project, "sed -i 's/ValueError/KeyError/' \"$1\"")
    assert project.opsbook("resume", run, "--edit").code == 1
    (project.root / "stop").unlink()
    (project.root / "runbooks/page.md").write_bytes((project.records()[-1] / "runbook.md").read_bytes())
    project.opsbook("resume", run, check=True)
    assert did(project) == ["one"]
    assert_whole(project, run)
