"""A run whose terminal goes away, or that never had one, goes on; whoever comes later watches it and answers."""

import json
import signal
from collections.abc import Iterator

import psutil
import pytest

from tests.support.project import Project, Result, assert_all_gone, until
from tests.support.terminals import (
    Pane,
    Tmux,
    did,
    end_all_of,
    ended,
    hold,
    journal,
    locked,
    opened,
    told,
    without_terminal,
)

pytestmark = pytest.mark.slow

PAGE = """\
## Steps

### Work

```python timeout=60
from opsbook import command, confirm, playbook
{work}
```

### Agree

```python
if confirm("agree", "Shall it go on?"):
    command(["sh", "-c", "echo agreed >> done.txt"])
```
"""
WORK = "echo begun >> done.txt; until test -e go; do sleep 0.05; done; echo worked >> done.txt"
PLAYBOOK = f"""\
- hosts: web-1
  gather_facts: false
  tasks:
    - name: Work
      ansible.builtin.shell: {{cmd: "{WORK}", chdir: "{{{{ playbook_dir | dirname }}}}"}}
"""
RUN = ("run", "page", "-e", "dev", "--yes")
FAILING = """\
## Steps

### Work

```python
from opsbook import command
command(["sh", "-c", "echo worked >> done.txt"])
raise ValueError("no luck")
```
"""


@pytest.fixture
def tmux(project: Project) -> Iterator[Tmux]:
    with opened(project) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_stays(project: Project) -> Iterator[None]:
    yield
    end_all_of(project)


def page(project: Project, work: str = f'command(["sh", "-c", "{WORK}"])', *, go: bool = False) -> None:
    """The page; with `go` its first effect need not wait."""
    project.write("playbooks/work.yml", PLAYBOOK)
    project.page(PAGE.replace("{work}", work), front='rollback: manual\nlock: ["{environment}/web"]\n')
    if go:
        (project.root / "go").touch()


def detached(project: Project, *options: str) -> str:
    """Start the page without a terminal; the id of its run."""
    given = json.loads(project.opsbook("run", "page", "-e", "dev", "--detach", "--json", *options, check=True).out)
    assert given == {"run": project.records()[-1].name, "detached": True}
    return str(given["run"])


def asking(project: Project) -> str:
    """A run without a terminal, once it asks; its id."""
    page(project, go=True)
    run = detached(project)
    project.wait_for_event("detached")
    return run


def assert_agreed(project: Project) -> None:
    """The run succeeded, everything was done once, and one person answered once."""
    ended(project)
    assert did(project) == ["begun", "worked", "agreed"]
    (answer,) = told(project, "question-answered")
    assert (answer["name"], answer["value"]) == ("agree", "yes")
    assert "@" in answer["by"]
    assert not locked(project)


# -- a terminal that is killed


def killed_at(project: Project, pane: Pane, moment: str, how: str) -> None:
    """Kill the terminal at the moment, see that the run lives, and let it go on to its question."""
    if moment == "lock":
        release = hold(project)
        project.wait_for_event("waiting-for-lock")
    elif moment == "question":
        pane.wait_for("[yes/no]")
    else:
        until(lambda: did(project) == ["begun"], "the effect")
    pane.kill(how)
    without_terminal(project)
    said = project.opsbook("status", check=True).out
    assert said.startswith("running")
    assert {"lock": "dev/web is locked by another-run", "question": "asks agree"}.get(moment, "Steps, Work") in said
    if moment == "lock":
        release()
    (project.root / "go").touch()


@pytest.mark.parametrize(
    ("moment", "how", "then"),
    [
        ("effect", "pane", "answer"),
        ("effect", "shell", "attach"),
        ("playbook", "session", "answer"),
        ("question", "session", "attach"),
        ("lock", "server", "attach"),
    ],
)
def test_a_run_outlives_its_terminal(project: Project, tmux: Tmux, moment: str, how: str, then: str) -> None:
    if moment == "playbook":
        page(project, 'playbook("work.yml")')
    else:
        page(project, go=moment != "effect")
    release = hold(project) if moment == "lock" else None
    start = tmux.shell if how == "shell" else tmux.open
    pane = start(*RUN, *(["--wait"] if release else []))
    killed_at(project, pane, moment, "pane" if how == "shell" else how)
    project.wait_for_event("detached")
    run = project.records()[-1].name
    said = project.opsbook("status").out
    for part in ("asks agree: Shall it go on? [yes/no]", "its terminal is gone", f"opsbook attach {run}"):
        assert part in said
    if then == "answer":
        project.opsbook("answer", run, "agree=yes", check=True)
    else:
        later = tmux.open("attach", run)
        later.wait_for("[yes/no]")
        later.type("y")
        assert later.wait() == 0, later.screen
    assert_agreed(project)
    assert len(told(project, "detached")) == 1


def test_a_terminal_that_is_killed_before_the_run_begins_leaves_nothing(project: Project, tmux: Tmux) -> None:
    page(project)
    pane = tmux.open("run", "page", "-e", "dev")
    pane.wait_for("Run it? [y/N]")
    process = pane.process
    pane.kill()
    until(lambda: not process.is_running(), "the end of the command")
    assert project.records() == []


def test_a_rollback_outlives_its_terminal(project: Project, tmux: Tmux) -> None:
    back = f'```python\ncommand(["sh", "-c", "{WORK}"])\n```'
    look = "## Prerequisites\n\n### Look\n\n```python\nfrom opsbook import command\n```\n\n"
    body = FAILING.replace("from opsbook import command\n", "") + f"\n## Rollback\n\n### Back\n{back}\n"
    project.page(look + body, front="rollback: automatic\n")
    pane = tmux.open(*RUN)
    until(lambda: did(project) == ["worked", "begun"], "the rollback")
    pane.kill()
    without_terminal(project)
    assert "Rollback, Back" in project.opsbook("status").out
    (project.root / "go").touch()
    ended(project, "rolled-back")
    assert did(project) == ["worked", "begun", "worked"]


# -- started without a terminal


def test_detach_says_how_to_come_back(project: Project, tmux: Tmux) -> None:
    page(project)
    pane = tmux.open(*RUN, "--detach")
    assert pane.wait() == 0
    run = project.records()[-1].name
    assert f"{run} goes on without this terminal." in pane.screen
    assert f"opsbook attach {run}" in pane.screen
    until(lambda: did(project) == ["begun"], "the effect")
    pane.kill("server")
    without_terminal(project)
    (project.root / "go").touch()
    project.wait_for_event("detached")
    project.opsbook("answer", run, "agree=yes", check=True)
    assert_agreed(project)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_detached_run_that_cannot_begin_says_so_here(project: Project, as_json: bool) -> None:
    page(project)
    json_too = ("--json",) if as_json else ()
    wrong = project.opsbook("run", "page", "-e", "dev", "--detach", "-p", "word=x", *json_too)
    assert (wrong.code, project.records()) == (2, [])
    hold(project)
    refused = project.opsbook("run", "page", "-e", "dev", "--detach", *json_too)
    assert refused.code == 4
    said = [_error(result, as_json=as_json) for result in (wrong, refused)]
    assert "word" in said[0]
    assert "dev/web is locked by another-run (eve@host)" in said[1]
    assert "goes on" not in refused.out
    ended(project, "refused")
    assert did(project) == []


def _error(result: Result, *, as_json: bool) -> str:
    if not as_json:
        return result.err
    told_it = json.loads(result.err)
    assert told_it["exit_code"] == result.code
    return "\n".join(told_it["error"])


def test_a_detached_run_that_waits_for_a_lock_says_so_here(project: Project) -> None:
    page(project, go=True)
    release = hold(project)
    result = project.opsbook("run", "page", "-e", "dev", "--detach", "--wait", "--answer", "agree=yes", check=True)
    assert "waiting: dev/web is locked by another-run" in result.out
    assert "opsbook attach " in result.out
    release()
    ended(project)
    assert did(project) == ["begun", "worked", "agreed"]


def test_a_run_that_is_resumed_can_be_detached(project: Project) -> None:
    body = FAILING.replace("raise ", "import os\nif not os.path.exists('ok'):\n    raise ")
    project.page(f"{body}\n## Rollback\n\n### Back\nBy hand.\n", front="rollback: manual\n")
    assert project.opsbook("run", "page", "-e", "dev").code == 3, "its changes are left behind"
    (project.root / "ok").touch()
    given = project.opsbook("resume", "last", "--detach", check=True)
    assert "goes on without this terminal" in given.out
    ended(project)
    assert did(project) == ["worked"]


# -- attached to it


def test_attach_shows_what_was_and_what_comes(project: Project, tmux: Tmux) -> None:
    page(project)
    run = detached(project)
    until(lambda: did(project) == ["begun"], "the effect")
    pane = tmux.open("attach", run)
    pane.wait_for("Work")
    assert "✓ Work" not in pane.screen
    (project.root / "go").touch()
    pane.wait_for("[yes/no]")
    assert "✓ Work" in pane.screen
    pane.type("maybe")
    pane.wait_for("Please answer yes, no.")
    pane.type("yes")
    assert pane.wait() == 0
    assert "✓ Agree" in pane.screen and "every step succeeded" in pane.screen
    assert_agreed(project)


def test_of_two_who_are_attached_one_answers_and_the_other_is_told(project: Project, tmux: Tmux) -> None:
    run = asking(project)
    one, other = (tmux.open("attach", run) for _ in range(2))
    one.wait_for("[yes/no]")
    other.wait_for("[yes/no]")
    one.type("y")
    assert (one.wait(), other.wait()) == (0, 0)
    by = told(project, "question-answered")[0]["by"]
    assert f"answered by {by}: yes" in other.screen
    assert "answered by" not in one.screen
    assert_agreed(project)


def test_of_two_answers_at_once_one_counts(project: Project, tmux: Tmux) -> None:
    run = asking(project)
    panes = [tmux.open("attach", run) for _ in range(2)]
    for pane in panes:
        pane.wait_for("[yes/no]")
    keys = [("send-keys", "-t", pane.name, "yes", "Enter") for pane in panes]
    tmux.call(*keys[0], ";", *keys[1])
    assert [pane.wait() for pane in panes] == [0, 0]
    late = [pane for pane in panes if "came too late" in pane.screen or "answered by" in pane.screen]
    assert len(late) == 1
    assert_agreed(project)


def test_the_terminal_of_a_run_says_who_answered_elsewhere(project: Project, tmux: Tmux) -> None:
    page(project, go=True)
    here = tmux.open(*RUN)
    here.wait_for("[yes/no]")
    project.opsbook("answer", "last", "agree=yes", "--note", "by phone", check=True)
    assert here.wait() == 0
    (answer,) = told(project, "question-answered")
    assert answer["note"] == "by phone"
    assert f"answered by {answer['by']}: yes: by phone" in here.screen
    assert told(project, "detached") == []
    assert_agreed(project)


@pytest.mark.parametrize("how", ["Ctrl-C", "killed"])
def test_whoever_watches_may_leave(project: Project, tmux: Tmux, how: str) -> None:
    run = asking(project)
    pane = tmux.open("attach", run)
    pane.wait_for("[yes/no]")
    if how == "Ctrl-C":
        pane.key("C-c")
        assert pane.wait() == 0
        assert f"{run} goes on without you; opsbook cancel {run} stops it." in pane.screen
    else:
        process = pane.process
        pane.kill()
        until(lambda: not process.is_running(), "the end of attach")
    assert "asks agree" in project.opsbook("status").out
    again = tmux.open("attach", run)
    again.wait_for("[yes/no]")
    again.type("y")
    assert again.wait() == 0
    assert told(project, "cancel-requested") == []
    assert_agreed(project)


def test_attach_ends_as_the_run_ends(project: Project) -> None:
    """While it goes on, and when it is over; without a terminal it asks nothing."""
    page(project, 'command(["true"])')
    text = (project.root / "runbooks/page.md").read_text(encoding="utf-8")
    (project.root / "runbooks/page.md").write_text(text.replace("agreed >>", "agreed; exit 1 #"), encoding="utf-8")
    run = detached(project)
    project.wait_for_event("detached")
    watching = project.start("attach", run)
    assert watching.stdout is not None
    until(lambda: "? agree: Shall it go on?" in watching.stdout.readline(), "the question")  # type: ignore[union-attr]
    project.opsbook("answer", run, "agree=yes", check=True)
    project.wait_for_event("question-asked", lambda data: data["name"] == "failed")
    project.opsbook("answer", run, "failed=stop", check=True)
    said = watching.communicate(timeout=180)[0]
    assert watching.returncode == 3
    after = project.opsbook("attach", run)
    assert after.code == 3
    for text in (said, after.out):
        assert "FAILED in " in text and f"opsbook resume {run}" in text
    lines = [json.loads(line) for line in project.opsbook("attach", run, "--json").out.splitlines()]
    assert [line["type"] for line in lines][-2:] == ["run-finished", "record"]
    assert (lines[-1]["outcome"], lines[-1]["exit_code"]) == ("failed", 3)


def test_attach_to_a_run_that_is_killed_says_to_resume(project: Project, tmux: Tmux) -> None:
    run = asking(project)
    pane = tmux.open("attach", run)
    pane.wait_for("[yes/no]")
    psutil.Process(told(project, "run-started")[0]["pid"]).send_signal(signal.SIGKILL)
    assert pane.wait() == 5
    assert_all_gone(run)
    later = project.opsbook("attach", run)
    assert later.code == 5
    for said in (pane.screen, later.out):
        assert "its process was killed, or its machine went down" in said
        assert f"opsbook resume {run}" in said
    refused = project.opsbook("answer", run, "agree=yes")
    assert (refused.code, "lost" in refused.err) == (2, True)
    assert journal(project.records()[-1])[-1]["type"] != "run-finished"
    assert project.opsbook("attach", "no-such-run").code == 2
