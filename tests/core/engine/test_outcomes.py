"""Outcomes that must not be better than the truth, and rollbacks that must work whatever happened before."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from tests.support.project import Project, Terminal, assert_all_gone, until
from tests.support.terminals import end_all_of

pytestmark = pytest.mark.slow

PAGE = """\
## Prerequisites

### Look

```python
from opsbook import EffectFailed, ask, attach, command, confirm, done, http, note, playbook, value, wait_until
import os, sys, threading, time
{before}
```

## Steps

### First

```python
command(["sh", "-c", "echo one >> done.txt"])
```

### Second

```python timeout=TIMEOUT
{body}
```

## Rollback

### Undo

```python
if done("First"):
    command(["sh", "-c", "sleep 1; echo undone >> done.txt"])
```
"""

LOCK = 'lock: ["{environment}/web"]\n'
BESIDE = """\
late = ["sh", "-c", "touch began; sleep 600; echo late >> done.txt"]
threading.Thread(target=command, args=(late,)).start()
while not os.path.exists("began"):
    time.sleep(0.05)"""
"""An effect goes on in a thread when the cell is over."""


def page(project: Project, body: str, *, before: str = "pass", rollback: str = "automatic", timeout: int = 20) -> None:
    text = PAGE.replace("TIMEOUT", str(timeout))
    for name, code in (("{before}", before), ("{body}", body)):
        text = text.replace(name, textwrap.dedent(code).strip())
    project.page(text, front=f"{LOCK}rollback: {rollback}\n")


def effects(project: Project) -> list[str]:
    path = project.root / "done.txt"
    return path.read_text().split() if path.is_file() else []


@pytest.mark.parametrize(
    ("body", "timeout"),
    [
        pytest.param("time.sleep(60)", 1, marks=pytest.mark.soak),
        ("while True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass", 1),
        pytest.param("command(['sleep', '60'])", 1, marks=pytest.mark.soak),
        ("command(['sleep', '60'], timeout=0.5)", 20),
        (BESIDE, 60),
        pytest.param(f"{BESIDE}\nraise ValueError", 60, marks=pytest.mark.soak),
        ("try:\n    command(['sleep', '60'], timeout=0.5)\nexcept BaseException:\n    pass", 20),
        pytest.param("attach('a' * 300 + '.txt', 'x')\nraise ValueError", 20, marks=pytest.mark.soak),
        ("from opsbook.core.effects.channel import channel\nchannel()._socket.shutdown(2)\nnote('x')", 20),
        ("os.kill(os.getpid(), 9)", 20),
        pytest.param("getattr(os, 'close')(1); getattr(os, 'close')(2)\nraise ValueError", 20, marks=pytest.mark.soak),
    ],
)
def test_the_rollback_works_after(project: Project, body: str, timeout: int) -> None:
    page(project, body, timeout=timeout)
    result = project.opsbook("run", "page", "-e", "dev")
    told = project.summary()
    assert (result.code, told["outcome"]) == (1, "rolled-back"), result.out
    assert effects(project) == ["one", "undone"]
    assert "Second" in told["reason"]
    assert project.opsbook("locks").out == "Nothing is locked.\n"
    assert_all_gone(told["run"])


def test_nothing_of_the_failed_step_goes_on_into_the_rollback(project: Project) -> None:
    page(project, f"{BESIDE}\nraise ValueError", timeout=60)
    project.opsbook("run", "page", "-e", "dev")
    assert_all_gone(project.records()[-1].name)
    assert effects(project) == ["one", "undone"]


def test_a_child_without_the_mark_ends_with_a_killed_kernel(project: Project) -> None:
    """sudo gives a program a new environment; it is the run's all the same."""
    late = "echo $$ > pid; sleep 600; echo late >> done.txt"
    page(project, f"command(['env', '-u', 'OPSBOOK_RUN', 'sh', '-c', '{late}'])", timeout=600)
    process = project.start("run", "page", "-e", "dev")
    written = project.root / "pid"
    child = psutil.Process(int(until(lambda: written.exists() and written.read_text().strip(), "the child")))
    kernel = psutil.Process(project.wait_for_event("kernel-started")["data"]["pid"])
    keeper = kernel.parent()
    assert keeper is not None
    before = keeper.num_ctx_switches().voluntary
    # It looks at what runs below the kernel whenever a second has gone by without anything to do.
    until(lambda: keeper.num_ctx_switches().voluntary >= before + 4, "several looks of the keeper")
    kernel.kill()
    try:
        process.communicate(timeout=180)
        child.wait(180)
    finally:
        end_all_of(project)
    assert effects(project) == ["one", "undone"]


def test_a_service_started_on_purpose_survives(project: Project) -> None:
    page(
        project, "command(['env', '-u', 'OPSBOOK_RUN', 'sh', '-c', 'setsid sleep 30 >/dev/null 2>&1 & echo $! > pid'])"
    )
    project.opsbook("run", "page", "-e", "dev", check=True)
    service = psutil.Process(int((project.root / "pid").read_text()))
    assert service.is_running()
    service.kill()


def test_a_prerequisite_that_handled_a_failure_can_be_rebuilt(project: Project) -> None:
    handled = """
        try:
            command(["false"], changes=False)
        except EffectFailed:
            pass
    """
    page(project, "os.kill(os.getpid(), 9)", before=handled)
    assert project.opsbook("run", "page", "-e", "dev").code == 1
    assert effects(project) == ["one", "undone"]


def test_values_of_the_prerequisites_come_from_the_journal(project: Project) -> None:
    page(project, "os.kill(os.getpid(), 9)", before="now = value('now', lambda: time.time())\nprint('at', now)")
    project.opsbook("run", "page", "-e", "dev")
    said = [e["data"]["output"].get("text", "") for e in project.events() if e["type"] == "output"]
    times = [text for text in said if text.startswith("at ")]
    assert len(times) == 2 and times[0] == times[1]


@pytest.mark.parametrize(
    ("body", "code", "outcome"),
    [("raise ValueError", 1, "failed"), ("ask('na' + 'me', 'Which?')", 5, "waiting")],
)
def test_without_rollback_changes_are_still_told(project: Project, body: str, code: int, outcome: str) -> None:
    page(project, "pass", rollback="none")
    path = project.root / "runbooks/page.md"
    path.write_text(path.read_text().replace("pass\n```\n\n## Rollback", f"{body}\n```\n\n## Rollback"))
    if outcome == "waiting":
        path.write_text(
            path.read_text().replace(
                "ask('na' + 'me', 'Which?')", "getattr(__import__('opsbook'), 'ask')('x', 'Which?')"
            )
        )
    result = project.opsbook("run", "page", "-e", "dev")
    assert result.code == code, result.out + result.err
    end = project.events()[-1]["data"]
    assert end["outcome"] == outcome
    assert end["changed"] is True
    assert end["keeps_lock"] is (outcome == "waiting")


@pytest.mark.parametrize(
    ("answer", "outcome"), [("problem", "rolled-back"), ("skip", "succeeded"), ("done", "succeeded")]
)
def test_a_step_by_hand_counts(project: Project, answer: str, outcome: str) -> None:
    project.page(
        "## Steps\n\n### By hand\nTurn the key.\n\n## Rollback\n\n### Back\n```python\nprint('back')\n```\n",
        front=f"{LOCK}rollback: automatic\n",
    )
    project.opsbook("run", "page", "-e", "dev", "--answer", f"by-hand={answer}")
    told = project.summary()
    assert told["outcome"] == outcome
    assert ("skipped: By hand" in told["reason"]) == (answer == "skip")


def test_a_skipped_rollback_is_no_rollback(project: Project) -> None:
    body = '## Steps\n\n```python\nfrom opsbook import command\ncommand(["true"])\nraise ValueError\n```\n\n'
    project.page(body + "## Rollback\n\n### Back\nTurn it back.\n", front=f"{LOCK}rollback: automatic\n")
    result = project.opsbook("run", "page", "-e", "dev", "--answer", "back=skip")
    assert (result.code, project.summary()["outcome"]) == (3, "rollback-failed")
    assert "dev/web" in project.opsbook("locks").out


def test_a_thread_refused_behind_the_last_cell_fails_the_run(project: Project) -> None:
    body = """
        def late():
            while not os.path.exists("go"):
                time.sleep(0.05)
            note("late")

        threading.Thread(target=late).start()
    """
    page(project, textwrap.dedent(body))
    path = project.root / "runbooks/page.md"
    path.write_text(
        path.read_text().replace("## Rollback", "### Third\n\n```python\n0\n```\n\n### Wait\nA moment.\n\n## Rollback")
    )
    terminal = Terminal(project.command("run", "page", "-e", "dev", "--yes"), project)
    terminal.wait_for("done/skip/problem")
    (project.root / "go").touch()
    project.wait_for_event("effect-refused")
    terminal.type("done\n")
    assert terminal.wait() == 1, terminal.screen
    assert "no cell is running" in project.summary()["reason"]


def test_a_terminal_that_gives_no_more_lines_leaves_the_question_open(project: Project) -> None:
    page(project, "print('x')")
    path = project.root / "runbooks/page.md"
    path.write_text(path.read_text().replace("## Rollback", "### Wait\nA moment.\n\n## Rollback"))
    terminal = Terminal(project.command("run", "page", "-e", "dev", "--yes"), project)
    terminal.wait_for("done/skip/problem")
    terminal.type("\x04")
    project.wait_for_event("detached")
    assert "dev/web" in project.opsbook("locks").out
    assert "asks wait" in project.opsbook("status").out
    project.opsbook("answer", "last", "wait=done", check=True)
    assert terminal.wait() == 0, terminal.screen


def test_the_question_after_a_failure_can_be_cancelled(project: Project) -> None:
    page(project, "raise ValueError", rollback="ask")
    terminal = Terminal(project.command("run", "page", "-e", "dev", "--yes"), project)
    terminal.wait_for("What now?")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.wait() == 3, terminal.screen


def test_one_sigterm_ends_a_busy_cell_where_nobody_can_send_another(project: Project) -> None:
    with (project.root / "opsbook.toml").open("a") as settings:
        settings.write('stop_after = "500ms"\n')
    busy = """
        print("busy", flush=True)
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
        """
    page(project, busy, rollback="ask", timeout=600)
    process = project.start("run", "page", "-e", "dev", "--yes")
    project.wait_for_event("output", lambda data: "busy" in str(data))
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[0]
    cancels = [event["data"] for event in project.events() if event["type"] == "cancel-requested"]
    assert [each["level"] for each in cancels] == [1, 2, 3]
    assert cancels[-1]["by"].endswith("(SIGTERM), again after 0.5 s"), said
    assert project.summary()["outcome"] == "cancelled"
    assert_all_gone(project.records()[-1].name)


def test_a_signal_at_the_end_does_not_break_the_seal(project: Project) -> None:
    page(project, "print('x')")
    process = project.start("run", "page", "-e", "dev")
    project.wait_for_event("run-finished")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=180)
    until(lambda: project.opsbook("records", "verify", "last").code == 0, "the seal")
    assert project.summary()["outcome"] == "succeeded"
    assert project.opsbook("locks").out == "Nothing is locked.\n"


def test_odd_output_is_recorded_and_sealed(project: Project) -> None:
    page(
        project,
        r"""
        from IPython.display import publish_display_data as publish
        publish({'text/plain': 123, 'text/html': ['a']})
        publish({'application/vnd.opsbook.mark+json': {'id': 'x'}})
        publish({'application/vnd.opsbook.mark+json': 5})
        print('A' * 100); print('\ud800'); print('B' * 100)
        """,
    )
    project.opsbook("run", "page", "-e", "dev", check=True)
    assert project.opsbook("records", "verify", "last").code == 0
    text = (project.records()[-1] / "journal.jsonl").read_text()
    assert "A" * 100 in text and "B" * 100 in text


def test_much_rich_output_is_recorded_and_sealed(project: Project) -> None:
    publish = "for n in range(30):\n    publish({'text/plain': 'x' * 200_000})"
    page(project, f"from IPython.display import publish_display_data as publish\n{publish}")
    project.opsbook("run", "page", "-e", "dev", check=True)
    assert project.opsbook("records", "verify", "last").code == 0
    assert (project.records()[-1] / "runbook.ipynb").stat().st_size < 6_000_000


def test_a_huge_error_stays_small(project: Project) -> None:
    page(project, "raise ValueError('x' * 5_000_000)", rollback="none")
    project.opsbook("run", "page", "-e", "dev")
    assert (project.records()[-1] / "journal.jsonl").stat().st_size < 200_000


def test_raw_output_comes_once_and_whole(project: Project) -> None:
    page(
        project,
        """
        for byte in "ünïcode".encode():
            os.write(2, bytes([byte])); time.sleep(0.01)
        os.write(1, b"\\nraw-one\\n")
        getattr(__import__("subprocess"), "run")(["echo", "raw-two"])
        """,
    )
    project.opsbook("run", "page", "-e", "dev", check=True)
    text = "".join(
        e["data"]["output"]["text"]
        for e in project.events()
        if e["type"] == "output" and e["data"]["cell"] == "second/1" and "text" in e["data"]["output"]
    )
    assert [text.count(word) for word in ("ünïcode", "raw-one", "raw-two")] == [1, 1, 1]


def test_a_command_over_its_time_is_ended_even_if_a_child_keeps_its_pipe(project: Project) -> None:
    page(project, "command(['sh', '-c', 'setsid sleep 600 & sleep 600'], timeout=1)", timeout=600)
    started = time.monotonic()
    project.opsbook("run", "page", "-e", "dev")
    assert time.monotonic() - started < 120
    assert "timed out" in project.summary()["reason"]


def test_a_forked_process_cannot_use_effects(project: Project) -> None:
    page(
        project,
        """
        child = os.fork()
        if child == 0:
            try:
                note("from the child")
            except BaseException as refused:
                getattr(os, "_exit")(7 if "forked" in str(refused) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        """,
    )
    project.opsbook("run", "page", "-e", "dev", check=True)


def test_an_untouched_target_is_not_called_changed(project: Project) -> None:
    body = '## Steps\n\n```python\nfrom opsbook import command\ncommand(["no-such-program"])\n```\n\n'
    project.page(f"{body}## Rollback\nBy hand.\n", front=f"{LOCK}rollback: manual\n")
    result = project.opsbook("run", "page", "-e", "dev")
    assert result.code == 1
    assert "Nothing was changed." in result.out


def test_a_key_is_used_once(project: Project) -> None:
    page(project, "value('v', lambda: 1)\nvalue('v', lambda: 2)")
    assert project.opsbook("run", "page", "-e", "dev").code == 1
    assert "used the key second/1/value/v before" in project.summary()["reason"]


def test_hostile_inbox(project: Project) -> None:
    """Whatever lies in the inbox, the run goes on, and real requests still arrive."""
    page(project, "command(['sleep', '5'])\nif confirm('go', 'Go on?'):\n    note('went on')", timeout=60)
    terminal = Terminal(project.command("run", "page", "-e", "dev", "--yes"), project)
    project.wait_for_event("effect-intent", lambda data: "sleep" in data["summary"])
    inbox = project.records()[-1] / "inbox"
    (inbox / "0-folder.json").mkdir()
    os.mkfifo(inbox / "1-fifo.json")
    (inbox / "2-deep.json").write_text("[" * 60_000)
    (inbox / "3-link.json").symlink_to("/etc/passwd")
    (inbox / "4-text.json").write_text('{"kind": "answer", "by": 5}')
    (inbox / "5-other.json").write_text('{"kind": "answer", "by": "mallory@x", "name": "go", "value": "maybe"}')
    terminal.wait_for("Go on?")
    project.opsbook("answer", "last", "go=yes", "--note", "by phone", check=True)
    assert terminal.wait() == 0, terminal.screen
    events = project.events()
    refused = [e["data"]["file"] for e in events if e["type"] == "request-refused"]
    assert {name[0] for name in refused} >= {"0", "1", "2", "3", "4"}
    (answer,) = [e["data"] for e in events if e["type"] == "question-answered"]
    assert (answer["value"], answer["note"]) == ("yes", "by phone")


def test_a_session_answers_at_once(project: Project) -> None:
    code = (
        "import time; from opsbook import command, note, value; t = time.monotonic()\n"
        "note('a'); value('b', lambda: 1); command(['true'])\n"
        "print(time.monotonic() - t)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 60


def test_a_session_does_not_change_what_is_no_sandbox(project: Project) -> None:
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text().replace("sandbox: true", "sandbox: false"))
    code = "from opsbook import command; command(['touch', 'changed'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=False)
    assert "sandbox: true" in done.stderr
    assert not (project.root / "changed").exists()


def test_the_notebook_pairs_cells_by_place(project: Project) -> None:
    body = "print('from second')\n"
    page(project, body)
    path = project.root / "runbooks/page.md"
    path.write_text(path.read_text().replace("## Steps", "```console\nprint('from second')\n```\n\n## Steps"))
    assert project.opsbook("check", "page").code == 0
    project.opsbook("run", "page", "-e", "dev", check=True)
    book = json.loads((Path(project.records()[-1]) / "runbook.ipynb").read_text())
    shown = {"".join(c["source"]): json.dumps(c["outputs"]) for c in book["cells"] if c["cell_type"] == "code"}
    assert "from second" in next(outputs for source, outputs in shown.items() if "print" in source)
