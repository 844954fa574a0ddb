"""Commands of an incident: with their output, whatever happens to them, and as a page afterwards."""

import json
import os
import signal
from typing import Any

import pytest

from tests.support.project import Project, until

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(project: Project) -> Project:
    project.opsbook("incident", "open", "The disk is <script>alert(1)</script> full", "-e", "dev", check=True)
    return project


def shown(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.opsbook("incident", "show", "last", "--json", check=True).out)
    return found


def test_a_command_is_kept_with_output_and_exit_code(opened: Project) -> None:
    done = opened.opsbook("exec", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert done.code == 3 and done.out == "out\nerr\n"
    # Nothing interprets it.
    assert opened.opsbook("exec", "--incident", "last", "echo", "$(id)", "--check", ";").out == "$(id) --check ;\n"
    assert opened.opsbook("exec", "nosuchprogram").code == 127
    commands = shown(opened)["commands"]
    assert [each["exit"] for each in commands] == [3, 0, 127]
    folder = opened.root / "records/incidents" / shown(opened)["incident"]
    assert (folder / commands[0]["output"]).read_text() == "out\nerr\n"
    assert "command 2 (exit 0): echo '$(id)' --check ';'" in opened.opsbook("incident", "show", "last").out
    opened.opsbook("incident", "resolve", "last", "emptied", check=True)
    assert opened.opsbook("incident", "verify").code == 0
    assert opened.opsbook("exec", "--incident", "last", "touch", "late").code == 4
    assert not (opened.root / "late").exists()
    (folder / commands[0]["output"]).write_text("other")
    assert "outputs/1.txt: was changed after the seal" in opened.opsbook("incident", "verify").out


def test_without_an_open_incident_or_with_several_nothing_runs(project: Project) -> None:
    assert "No incident is open." in project.opsbook("exec", "touch", "x").err
    for _ in range(2):
        project.opsbook("incident", "open", "x", check=True)
    assert "2 incidents are open." in project.opsbook("exec", "touch", "x").err
    assert project.opsbook("exec", "--incident", "last", "--").code == 2
    assert not (project.root / "x").exists()


def test_a_secret_is_neither_shown_nor_kept(opened: Project) -> None:
    opened.env["TOKEN"] = "correct-horse-battery"
    policy = opened.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text() + "secrets: {token: 'env:TOKEN'}\n")
    done = opened.opsbook("exec", "sh", "-c", "printf correct-ho; sleep 0.2; echo rse-battery; echo end")
    assert "horse" not in done.out and "end" in done.out
    opened.opsbook("exec", "echo", "correct-horse-battery", check=True)
    for path in (opened.root / "records").rglob("*"):
        assert not path.is_file() or b"horse" not in path.read_bytes()
    assert not list((opened.root / ".opsbook/exec").iterdir())


def test_ctrl_c_ends_the_command_and_is_written_down(opened: Project) -> None:
    process = opened.start("exec", "sh", "-c", "echo ready; exec sleep 100", start_new_session=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert shown(opened)["commands"][0]["exit"] == 130


def test_one_that_was_killed_is_unknown(opened: Project) -> None:
    process = opened.start("exec", "sh", "-c", "echo ready; exec sleep 1")
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.kill()
    process.wait(60)
    assert shown(opened)["commands"][0]["exit"] is None
    assert "nobody knows how it ended" in opened.opsbook("incident", "show", "last").out
    assert opened.opsbook("exec", "echo", "on").code == 0


def test_it_may_be_resolved_while_a_command_runs(opened: Project) -> None:
    process = opened.start("exec", "sh", "-c", "echo ready; until [ -e go ]; do sleep 0.1; done; echo done")
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    opened.opsbook("incident", "resolve", "last", "emptied", check=True)
    (opened.root / "go").touch()
    assert process.wait(60) == 0
    assert opened.opsbook("incident", "verify").code == 0
    assert shown(opened)["commands"][0]["exit"] == 0


def test_what_was_run_becomes_a_page(opened: Project) -> None:
    opened.opsbook("exec", "sh", "-c", "echo 'a  b' && true", check=True)
    opened.opsbook("incident", "note", "last", "# it was the log", check=True)
    until(lambda: shown(opened)["commands"], "it is there")
    name = shown(opened)["incident"]
    opened.opsbook("new", "empty-log", "--from", name, check=True)
    opened.opsbook("check", "empty-log", check=True)
    text = (opened.root / "runbooks/empty-log.md").read_text()
    assert "<script>" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "sh -c 'echo '\"'\"'a  b'\"'\"' && true'" in text and "- \\# it was the log" in text
    run = opened.opsbook("run", "empty-log", "-e", "dev", "--yes", "--incident", "last", check=True)
    assert "a  b" in opened.opsbook("records", "show", "last", "--output", check=True).out, run.out
    opened.opsbook("new", "third", "--from", "last", check=True)
    assert opened.opsbook("new", "other", "--from", "inc-20260101T000000Z-000000").code == 2
