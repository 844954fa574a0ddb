"""What `status` says of every state in which a run that is not done with can be, in words and as JSON."""

import json
import signal
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psutil
import pytest

from tests.support.project import Project, Terminal, assert_all_gone, until
from tests.support.terminals import did, end_all_of, ended, hold, journal

pytestmark = pytest.mark.slow

PAGE = """\
## Prerequisites

### Look

```python
from opsbook import ask, command, confirm
```

## Steps

### Work

```python timeout=60
{body}
```

### By hand
Turn the key.

## Rollback

### Undo

```python
command(["sh", "-c", "echo undone >> done.txt; until test -e go; do sleep 0.05; done"])
```
"""
HANGS = 'command(["sh", "-c", "echo begun >> done.txt; until test -e go; do sleep 0.05; done"])'
ASKS = 'command(["true"])\nask("colour", "Which one?", choices=["red", "blue"])'
HIDDEN = 'command(["true"])\ngetattr(__import__("opsbook"), "ask")("colour", "Which one?")'
FAILS = 'command(["sh", "-c", "echo begun >> done.txt"])\nraise ValueError("no luck")'
KEYS = {"run", "title", "environment", "operator", "state", "since", "doing", "asks", "detached", "reason", "mode"}


@pytest.fixture(autouse=True)
def _nothing_stays(project: Project) -> Iterator[None]:
    yield
    end_all_of(project)


def page(project: Project, body: str, name: str = "page", rollback: str = "manual") -> None:
    text = PAGE.replace("{body}", body)
    project.page(text, name, front=f'rollback: {rollback}\nlock: ["{{environment}}/{name}"]\n')


def status(project: Project) -> tuple[str, list[dict[str, Any]]]:
    """What it says in words, and the runs it gives as JSON."""
    runs = json.loads(project.opsbook("status", "--json", check=True).out)["runs"]
    for run in runs:
        assert set(run) == KEYS
        assert run["state"] == "damaged" or datetime.fromisoformat(run["since"]).tzinfo is not None
    return project.opsbook("status", check=True).out, runs


def begun(project: Project, *options: str, name: str = "page") -> str:
    """A run without a terminal; its id."""
    given = project.opsbook("run", name, "-e", "dev", "--detach", "--json", *options, check=True)
    return str(json.loads(given.out)["run"])


def asks(project: Project, run: str) -> Callable[[], bool]:
    """Whether the run has put a question."""
    (record,) = (each for each in project.records() if each.name == run)
    return lambda: any(event["type"] == "detached" for event in journal(record))


def test_nothing_is_there(project: Project) -> None:
    result = project.opsbook("status", check=True)
    assert result.out == "Nothing runs, and nothing waits for anybody.\n\nNothing is locked.\n"
    assert json.loads(project.opsbook("status", "--json", check=True).out) == {
        "on_call": {},
        "runs": [],
        "plans": [],
        "reviews": [],
        "ended": [],
        "locks": [],
        "incidents": [],
    }


def test_what_is_done_with_is_shown_only_as_ended(project: Project) -> None:
    page(project, 'command(["true"])')
    project.opsbook("run", "page", "-e", "dev", "--answer", "by-hand=done", check=True)
    ended(project)
    said, runs = status(project)
    assert runs == []
    first, over, *_ = said.split("\n")
    assert first == "Nothing runs, and nothing waits for anybody."
    assert over.startswith("succeeded  A page  dev, ended ")


def test_from_the_first_effect_to_the_last_answer(project: Project) -> None:
    """Running; asking at a terminal that is there; done with."""
    page(project, HANGS)
    terminal = Terminal(project.command("run", "page", "-e", "dev", "--yes"), project)
    until(lambda: did(project) == ["begun"], "the effect")
    run = project.records()[-1].name
    said, (now,) = status(project)
    assert (now["run"], now["state"], now["doing"]) == (run, "running", "Steps, Work")
    assert (now["asks"], now["detached"], now["reason"]) == (None, False, "")
    assert now["operator"] in said and f"opsbook attach {run}" in said
    assert "dev/page" in said, "its lock"
    (project.root / "go").touch()
    terminal.wait_for("done/skip/problem")
    said, (now,) = status(project)
    since = now["asks"].pop("since")
    assert now["asks"] == {"name": "by-hand", "text": "By hand", "choices": ["done", "skip", "problem"]}
    assert datetime.fromisoformat(since) >= datetime.fromisoformat(now["since"])
    assert (now["doing"], now["detached"]) == ("Steps, By hand", False)
    assert "asks by-hand: By hand [done/skip/problem]" in said
    assert "terminal is gone" not in said
    terminal.type("done\n")
    assert terminal.wait() == 0, terminal.screen
    assert status(project)[1] == []


def test_a_run_that_waits_for_a_lock(project: Project) -> None:
    page(project, 'command(["true"])')
    release = hold(project, "dev/page")
    run = begun(project, "--wait", "--answer", "by-hand=done")
    said, (now,) = status(project)
    assert (now["run"], now["state"]) == (run, "running")
    assert now["doing"].startswith("dev/page is locked by another-run (eve@host)")
    assert now["doing"] in said
    locks = json.loads(project.opsbook("status", "--json").out)["locks"]
    assert [(one["target"], one["run"], one["operator"]) for one in locks] == [("dev/page", "another-run", "eve@host")]
    release()
    ended(project)


def test_a_run_that_asks_is_lost(project: Project) -> None:
    """Without a terminal it asks; killed, nobody can answer it any more."""
    page(project, ASKS)
    run = begun(project)
    until(asks(project, run), "the question")
    said, (now,) = status(project)
    assert (now["state"], now["detached"], now["asks"]["choices"]) == ("running", True, ["red", "blue"])
    assert "asks colour: Which one? [red/blue]" in said and "; its terminal is gone" in said
    pid = journal(project.records()[-1])[0]["data"]["pid"]
    psutil.Process(pid).send_signal(signal.SIGKILL)
    assert_all_gone(run)
    until(lambda: status(project)[1][0]["state"] == "lost", "what became of it")
    said, (now,) = status(project)
    assert (now["asks"], now["detached"]) == (None, False)
    assert said.startswith("lost") and f"opsbook resume {run}" in said
    assert "asks" not in said
    assert "dev/page" in said.split("TARGET")[1], "it keeps its lock"


def test_a_run_that_stopped_because_nobody_was_there(project: Project) -> None:
    page(project, HIDDEN)
    assert project.opsbook("run", "page", "-e", "dev", "--answer", "by-hand=done").code == 5
    run = project.records()[-1].name
    said, (now,) = status(project)
    assert (now["run"], now["state"], now["asks"]) == (run, "waiting", None)
    assert "Work: colour needs an answer and nobody is there" in now["reason"]
    assert now["reason"] in said
    assert f"opsbook resume {run}, or opsbook rollback {run}" in said


def test_a_failed_run_is_shown_for_as_long_as_it_keeps_its_lock(project: Project) -> None:
    page(project, FAILS)
    assert project.opsbook("run", "page", "-e", "dev", "--answer", "by-hand=done").code == 3
    run = project.records()[-1].name
    said, (now,) = status(project)
    assert (now["run"], now["state"]) == (run, "failed")
    assert "no luck" in now["reason"]
    assert f"opsbook resume {run}, or opsbook rollback {run}" in said
    project.opsbook("unlock", "dev/page", "--reason", "put right by hand", check=True)
    assert status(project)[1] == []


def test_a_run_that_rolls_back(project: Project) -> None:
    page(project, FAILS, rollback="automatic")
    run = begun(project, "--answer", "by-hand=done")
    until(lambda: did(project) == ["begun", "undone"], "the rollback")
    _, (now,) = status(project)
    assert (now["run"], now["state"], now["doing"]) == (run, "running", "Rollback, Undo")
    (project.root / "go").touch()
    ended(project, "rolled-back")
    assert status(project)[1] == []


def test_several_at_once(project: Project) -> None:
    """Each with what it does; one that cannot be read hides no other."""
    page(project, HANGS, "one")
    page(project, ASKS, "two")
    page(project, FAILS, "three")
    project.opsbook("run", "three", "-e", "dev", "--answer", "by-hand=done")
    runs = {name: begun(project, "--answer", "by-hand=done", name=name) for name in ("one", "two")}
    until(asks(project, runs["two"]), "the question")
    said, found = status(project)
    states = {now["run"]: (now["state"], bool(now["asks"])) for now in found}
    assert states.pop(runs["one"]) == ("running", False)
    assert states.pop(runs["two"]) == ("running", True)
    assert list(states.values()) == [("failed", False)]
    assert [now["since"] for now in found] == sorted((now["since"] for now in found), reverse=True)
    assert all(f"dev/{name}" in said for name in ("one", "two", "three"))
    (broken,) = (record for record in project.records() if "three" in record.name)
    (broken / "record.json").write_text("{")
    said, found = status(project)
    assert sorted(now["state"] for now in found) == ["damaged", "running", "running"]
    assert f"opsbook records verify {broken.name}" in said
    (project.root / "go").touch()
    project.opsbook("answer", runs["two"], "colour=red", check=True)
    for run in runs.values():
        assert_all_gone(run)
