"""What a person decides about a failed step, and how a run is stopped: at real terminals, all of it in the journal."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.project import Project, names_of, processes_of, until
from tests.support.terminals import Pane, Tmux, did, end_all_of, ended, hold, locked, opened, told, without_terminal

pytestmark = pytest.mark.slow

PAGE = """\
## Prerequisites

### Look

```python
from opsbook import command, confirm
import os, time
```

## Steps

### First

```python
command(["sh", "-c", "echo one >> done.txt"])
```

### Second

```python timeout=60
{body}
```

### Third

```python
command(["sh", "-c", "echo three >> done.txt"])
```

## Rollback

### Undo

```python
command(["sh", "-c", "echo undone >> done.txt"])
```
"""
FAILS = 'command(["sh", "-c", "echo two >> done.txt"])\nif not os.path.exists("ok"):\n    raise ValueError("no luck")'
HANGS = 'command(["sh", "-c", "echo begun >> done.txt; until test -e go; do sleep 0.05; done; echo two >> done.txt"])'
DEAF = """\
command(["sh", "-c", "echo begun >> done.txt"])
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass"""
ASKS = 'if confirm("agree", "Shall it go on?"):\n    command(["sh", "-c", "echo two >> done.txt"])'
RUN = ("run", "page", "-e", "dev")
MENU = "[retry/skip/prompt/roll-back/stop]"


@pytest.fixture
def tmux(project: Project) -> Iterator[Tmux]:
    with opened(project) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_stays(project: Project) -> Iterator[None]:
    yield
    end_all_of(project)


def page(project: Project, body: str, rollback: str = "ask") -> None:
    project.page(PAGE.replace("{body}", body), front=f'rollback: {rollback}\nlock: ["{{environment}}/web"]\n')


def failed(project: Project, tmux: Tmux, rollback: str = "ask", *options: str) -> Pane:
    """A terminal at which a step failed, and that asks what now."""
    page(project, FAILS, rollback)
    pane = tmux.open(*RUN, "--yes", *options)
    pane.wait_for(MENU)
    assert "ValueError: no luck. What now?" in pane.screen
    return pane


def answers(project: Project) -> list[tuple[str, str, str]]:
    """Name, value and note of every answer in the journal; who gave it is always there."""
    given = told(project, "question-answered")
    assert all("@" in answer["by"] for answer in given)
    return [(answer["name"], answer["value"], answer["note"]) for answer in given]


def statuses(project: Project) -> dict[str, str]:
    """How each step of the run ended."""
    record = json.loads((project.records()[-1] / "record.json").read_text(encoding="utf-8"))
    return {step["step"]: step["status"] for step in record["steps"]}


# -- a step failed, and a person is there


def test_retry_runs_what_did_not_succeed(project: Project, tmux: Tmux) -> None:
    pane = failed(project, tmux)
    pane.type("retry")
    pane.wait_for("What now?", 2)
    (project.root / "ok").touch()
    pane.type("ret")
    assert pane.wait() == 0, pane.screen
    ended(project)
    assert did(project) == ["one", "two", "three"], "what succeeded in the step was not done again"
    assert answers(project) == [("failed", "retry", "")] * 2
    assert [e["status"] for e in told(project, "step-finished") if e["step"] == "second"] == [
        "failed",
        "failed",
        "succeeded",
    ]


def test_skip_needs_a_reason_and_is_told_at_the_end(project: Project, tmux: Tmux) -> None:
    pane = failed(project, tmux)
    pane.type("skip")
    pane.wait_for("why?")
    pane.type("")
    pane.wait_for("why?", 2)
    pane.type("it was done yesterday")
    assert pane.wait() == 0, pane.screen
    found = ended(project)
    assert "skipped: Second" in found["reason"]
    assert answers(project) == [("failed", "skip", "it was done yesterday")]
    assert statuses(project)["second"] == "skipped"
    last = [e for e in told(project, "step-finished") if e["step"] == "second"][-1]
    assert last["why"].endswith(": it was done yesterday") and "@" in last["why"]
    assert did(project) == ["one", "two", "three"]


def test_the_prompt_puts_it_right_by_hand_and_in_the_journal(project: Project, tmux: Tmux) -> None:
    pane = failed(project, tmux)
    pane.type("prompt")
    pane.wait_for(">>>")
    pane.type('command(["touch", "ok"])')
    pane.wait_for(">>>", 2)
    assert (project.root / "ok").exists()
    pane.type("1 / 0")
    pane.wait_for(">>>", 3)
    pane.type("print('said'); 40 + 2")
    pane.wait_for(">>>", 4)
    echoed = r"touch ok -> 0 in [0-9.]+ s\n  >>> 1 / 0\n    ZeroDivisionError: division by zero\n  >>> print"
    assert re.search(echoed, pane.screen), pane.screen
    assert "40 + 2\n    said\n    42\n  >>>" in pane.screen
    pane.type("")
    pane.wait_for("What now?", 2)
    pane.type("retry")
    assert pane.wait() == 0, pane.screen
    ended(project)
    lines = ['command(["touch", "ok"])', "1 / 0", "print('said'); 40 + 2", ""]
    typed = [("prompt", line, "") for line in lines]
    assert answers(project) == [("failed", "prompt", ""), *typed, ("failed", "retry", "")]
    cells = {e["cell"]: e["status"] for e in told(project, "cell-finished")}
    assert (cells["second/prompt-1"], cells["second/prompt-2"]) == ("succeeded", "failed")
    assert "touch ok" in [e["summary"] for e in told(project, "effect-intent") if e["cell"] == "second/prompt-1"]


def test_roll_back(project: Project, tmux: Tmux) -> None:
    pane = failed(project, tmux)
    pane.type("roll-back")
    assert pane.wait() == 1, pane.screen
    ended(project, "rolled-back")
    assert answers(project) == [("failed", "roll-back", "")]
    assert did(project) == ["one", "two", "undone"]
    assert not locked(project)


def test_stop_leaves_it_as_it_is_for_whoever_resumes(project: Project, tmux: Tmux) -> None:
    pane = failed(project, tmux)
    pane.type("stop")
    assert pane.wait() == 3
    run = project.records()[-1].name
    assert f"opsbook resume {run}" in pane.screen and f"opsbook rollback {run}" in pane.screen
    ended(project, "failed")
    assert answers(project) == [("failed", "stop", "")]
    assert did(project) == ["one", "two"]
    assert locked(project)
    (project.root / "ok").touch()
    project.opsbook("resume", run, check=True)
    ended(project)
    assert did(project) == ["one", "two", "three"]
    assert not locked(project)


def test_the_question_what_now_outlives_its_terminal(project: Project, tmux: Tmux) -> None:
    pane = failed(project, tmux)
    pane.kill()
    without_terminal(project)
    project.wait_for_event("detached")
    said = project.opsbook("status").out
    assert "asks failed: Steps, Second: ValueError: no luck. What now?" in said and "its terminal is gone" in said
    later = tmux.open("attach", "last")
    later.wait_for(MENU)
    later.type("skip")
    later.wait_for("why?")
    later.type("known")
    assert later.wait() == 0, later.screen
    ended(project)
    assert answers(project) == [("failed", "skip", "known")]


# -- a step failed, and nobody is there


@pytest.mark.parametrize(
    ("rollback", "code", "outcome"), [("automatic", 1, "rolled-back"), ("ask", 3, "failed"), ("manual", 3, "failed")]
)
def test_without_a_person_nothing_is_asked(project: Project, rollback: str, code: int, outcome: str) -> None:
    page(project, FAILS, rollback)
    assert project.opsbook(*RUN).code == code
    ended(project, outcome)
    assert told(project, "question-asked") == []
    assert did(project) == ["one", "two", *(["undone"] if outcome == "rolled-back" else [])]
    assert locked(project) == (outcome == "failed")


def test_pause_on_failure_waits_for_whoever_answers(project: Project) -> None:
    """The page would roll back by itself; nobody sits here, and somebody elsewhere decides."""
    page(project, FAILS, "automatic")
    project.opsbook(*RUN, "--detach", "--pause-on-failure", check=True)
    project.wait_for_event("detached")
    (now,) = json.loads(project.opsbook("status", "--json").out)["runs"]
    assert (now["asks"]["name"], now["detached"]) == ("failed", True)
    wrong = project.opsbook("answer", "last", "failed=perhaps", check=True)
    assert "was sent" in wrong.out
    refused = project.wait_for_event("request-refused")["data"]["why"]
    assert "'perhaps' does not answer failed: it takes retry, skip, prompt, roll-back, stop" in refused
    project.opsbook("answer", "last", "failed=roll-back", "--note", "not tonight", check=True)
    ended(project, "rolled-back")
    assert answers(project) == [("failed", "roll-back", "not tonight")]
    assert did(project) == ["one", "two", "undone"]


def test_pause_on_failure_at_a_terminal(project: Project, tmux: Tmux) -> None:
    pane = failed(project, tmux, "automatic", "--pause-on-failure")
    (project.root / "ok").touch()
    pane.type("retry")
    assert pane.wait() == 0, pane.screen
    ended(project)
    assert did(project) == ["one", "two", "three"]


# -- the cancel ladder


def under_way(project: Project, tmux: Tmux, body: str = HANGS) -> Pane:
    """A terminal at which the second step is in the middle of its work."""
    page(project, body)
    pane = tmux.open(*RUN, "--yes")
    ended_effects = 2 if body == DEAF else 1
    until(lambda: did(project) == ["one", "begun"] and len(results(project)) == ended_effects, "the work")
    pane.key("C-c")
    pane.wait_for("once more interrupts it")
    return pane


def results(project: Project) -> list[str]:
    return [result["status"] for result in told(project, "effect-result")]


def ended_cancelled(project: Project) -> None:
    """It stopped because somebody pressed Ctrl-C; nothing is unknown, and the target stays locked."""
    found = ended(project, "cancelled")
    assert found["unknown"] == []
    assert "SIGINT" in found["reason"]
    assert told(project, "cancel-requested")[0]["by"].endswith(" (SIGINT)")
    assert locked(project)


def test_one_ctrl_c_lets_the_effect_finish_and_offers_a_rollback(project: Project, tmux: Tmux) -> None:
    pane = under_way(project, tmux)
    assert results(project) == ["succeeded"], "it goes on"
    (project.root / "go").touch()
    pane.wait_for("Roll back what was changed?")
    pane.type("no")
    assert pane.wait() == 5, pane.screen
    ended_cancelled(project)
    assert did(project) == ["one", "begun", "two"]
    assert answers(project) == [("roll-back", "no", "")]
    project.opsbook("resume", "last", check=True)
    ended(project)
    assert did(project) == ["one", "begun", "two", "three"]


def test_two_interrupt_it_and_its_outcome_is_unknown(project: Project, tmux: Tmux) -> None:
    pane = under_way(project, tmux)
    pane.key("C-c")
    pane.wait_for("Roll back what was changed?")
    assert results(project) == ["succeeded", "interrupted"]
    assert "sh" not in names_of(project.records()[-1].name)
    pane.type("yes")
    assert pane.wait() == 1, pane.screen
    assert [summary.split()[0] for summary in ended(project, "rolled-back")["unknown"]] == ["sh"]
    assert answers(project) == [("roll-back", "yes", "")]
    assert did(project) == ["one", "begun", "undone"]


def test_three_end_every_process_and_the_next_ends_the_question(project: Project, tmux: Tmux) -> None:
    pane = under_way(project, tmux, DEAF)
    run = project.records()[-1].name
    kernel = told(project, "kernel-started")[0]["pid"]
    pane.key("C-c")
    # Two signals at once would be one.
    until(lambda: len(told(project, "cancel-requested")) == 2, "the second")
    pane.key("C-c")
    pane.wait_for("Roll back what was changed?")
    assert kernel not in [process.pid for process in processes_of(run)]
    pane.key("C-c")
    assert pane.wait() == 5, pane.screen
    ended_cancelled(project)
    assert answers(project) == []
    assert [each["level"] for each in told(project, "cancel-requested")] == [1, 2, 3, 4]
    assert did(project) == ["one", "begun"]


def test_the_offer_of_a_rollback_outlives_its_terminal(project: Project, tmux: Tmux) -> None:
    pane = under_way(project, tmux)
    pane.kill()
    without_terminal(project)
    (project.root / "go").touch()
    project.wait_for_event("detached")
    assert "asks roll-back: Roll back what was changed? [yes/no]" in project.opsbook("status").out
    project.opsbook("answer", "last", "roll-back=yes", check=True)
    ended(project, "rolled-back")
    assert did(project) == ["one", "begun", "two", "undone"]
    assert not locked(project)


@pytest.mark.parametrize("moment", ["effect", "question", "step by hand"])
def test_cancel_from_elsewhere(project: Project, tmux: Tmux, moment: str) -> None:
    """Once stops before the next effect, and whoever is asked is not asked any more; twice interrupts an effect."""
    body = {"effect": HANGS, "question": ASKS, "step by hand": "pass\n```\n\n### By hand\nTurn it.\n\n```text\nit"}
    page(project, body[moment], "manual")
    pane = tmux.open(*RUN, "--yes")
    if moment == "effect":
        until(lambda: did(project) == ["one", "begun"], "the effect")
    else:
        pane.wait_for("[yes/no]" if moment == "question" else "[done/skip/problem]")
    for _ in range(2 if moment == "effect" else 1):
        assert "was asked to stop" in project.opsbook("cancel", "last", check=True).out
    assert pane.wait() == 5, pane.screen
    found = ended(project, "cancelled")
    assert bool(found["unknown"]) == (moment == "effect")
    taken = told(project, "request-taken")
    assert [request["kind"] for request in taken] == ["cancel"] * (2 if moment == "effect" else 1)
    assert all("@" in request["by"] for request in taken)
    assert f"cancelled by {taken[0]['by']}" in pane.screen
    assert answers(project) == []
    over = project.opsbook("cancel", "last")
    assert (over.code, "does not run any more: it is cancelled" in over.err) == (2, True)


def test_cancel_at_a_lock(project: Project, tmux: Tmux) -> None:
    page(project, "pass")
    release = hold(project)
    pane = tmux.open(*RUN, "--yes", "--wait")
    pane.wait_for("waiting: dev/web is locked by another-run")
    pane.key("C-c")
    assert pane.wait() == 5, pane.screen
    assert "before it began" in ended(project, "cancelled")["reason"]
    assert did(project) == []
    release()
    assert not locked(project)
