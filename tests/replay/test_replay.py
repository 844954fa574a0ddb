"""Recordings, and pages that run against them: real runs, recorded, replayed with nothing behind the gate."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from opsbook import settings
from opsbook.replay import dependencies
from opsbook.replay import recordings as recording
from tests.support.project import HOSTS, POLICY, Project, Result

pytestmark = pytest.mark.slow

ENVIRONMENT = "playbooks/inventories/dev/environment.yml"
PLAYBOOK = """
- hosts: all
  gather_facts: false
  roles: [leave]
"""
TASKS = """
- name: Leave a line
  ansible.builtin.lineinfile:
    path: "{{ inventory_dir }}/../../../left"
    line: "{{ line }}"
    create: true
    mode: "0644"
"""
PAGE = """
    ## Parameters

    ```python tags=["parameters"]
    line: str = "one"  # What to leave
    ```

    ## Prerequisites

    ### Look
    ```python
    from opsbook import ask, attach, command, here, playbook, secret, value, wait_until
    folder = command(["pwd"], changes=False).stdout.strip()
    ```

    ## Steps

    ### Leave it
    ```python
    playbook("leave.yml", vars={"line": line})
    number = value("number", lambda: __import__("random").random())
    command(["sh", "-c", "cat > token"], stdin=secret("token"))
    colour = ask("colour", "Which?", ["red", "green"])
    ```

    ### By hand
    Look at it.

    ### Count
    ```python
    command(["sh", "-c", f"echo {colour} {folder} {number} >> counted; test ! -e {folder}/bad"])
    print('counted')
    ```

    ## Validation

    ### It is there
    ```python
    wait_until("it is there", lambda: command(["cat", "left"], changes=False).stdout, timeout=5)
    ```

    ## Rollback

    ### Take it away
    ```python
    command(["rm", "-f", "left"])
    ```
"""
RUN = ("run", "leave", "-e", "dev", "--answer", "colour=red", "--answer", "by-hand=done")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a recording of a good run, and one of a run that failed and rolled back; nothing else is left."""
    project = Project(tmp_path_factory.mktemp("original") / "project")
    project.write("opsbook.toml", "")
    project.write("playbooks/inventories/dev/hosts.yml", HOSTS)
    project.write("token.txt", "hunter2-hunter2\n")
    project.write(ENVIRONMENT, POLICY + "secrets:\n  token: file:token.txt\n")
    project.write("playbooks/leave.yml", PLAYBOOK)
    project.write("playbooks/roles/leave/tasks/main.yml", TASKS)
    project.write("playbooks/other.yml", PLAYBOOK.replace("leave", "other"))
    project.page(PAGE, "leave", "rollback: automatic\n")
    ok(project.opsbook(*RUN))
    record(project)
    project.write("bad", "")
    ok(project.opsbook(*RUN), 1)
    record(project, "rolled-back")
    for name in ("left", "counted", "bad", "token"):
        (project.root / name).unlink(missing_ok=True)
    shutil.rmtree(project.root / "records")
    return project


@pytest.fixture
def made(original: Project, tmp_path: Path) -> Project:
    """The same on another machine: another folder."""
    return Project(shutil.copytree(original.root, tmp_path / "copy"))


def ok(done: Result, code: int = 0) -> Result:
    assert done.code == code, done.out + done.err
    return done


def record(project: Project, name: str = "good") -> Path:
    ok(project.opsbook("records", "export", "last", "--recording", name))
    return project.root / f"runbooks/recordings/leave.{name}.json"


def results(project: Project, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    told = json.loads(ok(project.opsbook("test", "--json", *arguments), code).out)
    assert told["passed"] is (code == 0)
    return list(told["tests"])


def test_a_good_and_a_failing_run_replay_with_nothing_there(made: Project, original: Project) -> None:
    (made.root / "token.txt").unlink()
    done = ok(made.opsbook("test"))
    assert "passed  leave good" in done.out
    assert "passed  leave rolled-back" in done.out
    assert "2 recordings replayed, 1 playbook parsed, 0 not well" in done.out
    # Nothing was reached, and nothing is left.
    assert not any((made.root / name).exists() for name in ("left", "counted", "token", "records"))
    for path in (made.root / "runbooks/recordings").glob("*.json"):
        text = path.read_text()
        assert "hunter2" not in text
        assert str(original.root) not in text
        assert len(text) < 16_000


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('vars={"line": line}', 'vars={"line": line + "!"}', "vars.line: 'one' -> 'one!'"),
        pytest.param('["red", "green"]', '["red"]', "choices", marks=pytest.mark.soak),
        pytest.param('"rm", "-f"', '"rm", "-rf"', "argv.1: '-f' -> '-rf'", marks=pytest.mark.soak),
        ('command(["rm", "-f", "left"])', "pass", "rm -f left in take-it-away was recorded, and is not asked for"),
        ('{folder}/bad"])', '{folder}/bad"])\n    command(["true"])', "is not in the recording"),
        ("    ### By hand\n    Look at it.\n", "", "step by-hand: succeeded in the recording, not reached now"),
        pytest.param(
            'playbook("leave.yml"',
            'playbook("other.yml"',
            "playbook: 'leave.yml' -> 'other.yml'",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_a_call_that_differs_fails_with_what_differs(made: Project, before: str, after: str, says: str) -> None:
    made.page(PAGE.replace(before, after), "leave", "rollback: automatic\n")
    failed = [each for each in results(made, code=1) if each["status"] == "failed"]
    assert any(says in str(problem) for each in failed for problem in list(each["problems"])), failed


def test_a_recording_older_than_its_playbook_is_stale(made: Project) -> None:
    made.write("playbooks/other.yml", PLAYBOOK + "\n# Something else\n")
    assert {each["status"] for each in results(made)} == {"passed"}
    made.write("playbooks/roles/leave/tasks/main.yml", TASKS.replace("Leave a", "Leave one"))
    stale = [each for each in results(made, code=1) if each["status"] == "stale"]
    assert [each["problems"] for each in stale] == [["playbooks/roles/leave/tasks/main.yml was changed"]] * 2
    done = ok(made.opsbook("test", "--accept-stale"))
    assert "0 not well" in done.out


def test_a_playbook_that_does_not_parse_any_more(made: Project) -> None:
    made.write("playbooks/leave.yml", PLAYBOOK + "  tasks: 7\n")
    done = ok(made.opsbook("test", "--accept-stale"), 1)
    assert "failed  leave playbooks/leave.yml" in done.out


def test_a_person_who_decided_then_decides_again(made: Project) -> None:
    made.page(PAGE, "leave", "rollback: ask\n")
    made.write("bad", "")
    ok(made.opsbook(*RUN, "--answer", "failed=skip"))
    record(made, "skipped")
    (skipped,) = [each for each in results(made, "leave", code=1) if each["name"] == "skipped"]
    assert skipped["status"] == "passed", skipped


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "leave", "-e", "dev", "--check"), "was no real run, but a check"),
        (("run", "leave", "-e", "dev", "--answer", "colour=red", "--answer", "by-hand=problem"), ""),
    ],
)
def test_what_cannot_be_recorded(made: Project, arguments: tuple[str, ...], says: str) -> None:
    made.opsbook(*arguments)
    done = made.opsbook("records", "export", "last", "--recording", "new")
    assert done.code == (2 if says else 0), done.out + done.err
    assert says in done.err
    assert len(list((made.root / "runbooks/recordings").iterdir())) == (2 if says else 3)


def test_a_recording_of_surroundings_that_are_gone(made: Project) -> None:
    ok(made.opsbook(*RUN))
    made.write("playbooks/leave.yml", PLAYBOOK + "\n# Changed\n")
    done = ok(made.opsbook("records", "export", "last", "--recording"), 2)
    assert "leave.yml was changed" in done.err
    assert "Run it again, and record that." in done.err


def test_what_the_page_of_now_does_not_replay_is_no_recording(made: Project) -> None:
    ok(made.opsbook(*RUN))
    made.page(PAGE.replace("    ### By hand\n    Look at it.\n", ""), "leave", "rollback: automatic\n")
    done = ok(made.opsbook("records", "export", "last", "--recording", "new"), 2)
    assert "step by-hand: succeeded in the recording, not reached now" in done.err
    assert not (made.root / "runbooks/recordings/leave.new.json").exists()


def test_a_recording_that_lacks_something_fails_alone(made: Project) -> None:
    path = made.root / "runbooks/recordings/leave.good.json"
    content = json.loads(path.read_text())
    del content["context"]["groups"]
    path.write_text(json.dumps(content))
    told = {str(each["name"]): each for each in results(made, code=1)}
    assert "groups" in str(told["good"]["problems"])
    assert told["rolled-back"]["status"] == "passed"


def test_a_recording_whose_page_was_renamed_is_not_forgotten(made: Project) -> None:
    (made.root / "runbooks/leave.md").rename(made.root / "runbooks/go.md")
    assert "There is no runbook or procedure named leave." in ok(made.opsbook("test"), 1).out


def test_the_folder_of_the_project_is_a_path_and_no_part_of_one(tmp_path: Path) -> None:
    before = recording._folder(Path("/app"))
    texts = {"/app": "⟦project⟧", "cat /app/x": "cat ⟦project⟧/x", "'/app'": "'⟦project⟧'"}
    same = ("http://h:1/app/health", "/app2/x", "/srv/app/x", "/app.old")
    for text, wanted in {**texts, **dict(zip(same, same, strict=True))}.items():
        assert recording._replaced(text, before, "⟦project⟧") == wanted


def test_a_template_and_variables_that_nobody_names_count(made: Project) -> None:
    for name in ("group_vars/all.yml", "templates/line.conf.j2", "filter_plugins/own.py", "templates/other.conf.j2"):
        made.write(f"playbooks/{name}", "")
    made.write("playbooks/leave.yml", PLAYBOOK + "  vars: {text: templates/line.conf.j2}\n")
    found = dependencies.read(settings.load(made.root, given=True)).of(["leave.yml"])
    assert set(found) == {
        "leave.yml",
        "roles/leave/tasks/main.yml",
        "group_vars/all.yml",
        "templates/line.conf.j2",
        "filter_plugins/own.py",
    }


def test_what_is_no_recording(made: Project) -> None:
    odd = ("[" * 9000, "", "{}", '{"format": 2}', '{"format": 1, "runbook": 7}')
    for number, text in enumerate(odd):
        made.write(f"runbooks/recordings/leave.odd-{number}.json", text)
    told = {str(each["name"]): str(each["problems"]) for each in results(made, code=1)}
    assert [name for name in told if "is no recording" in told[name]] == [f"odd-{n}" for n in range(len(odd))]


def test_without_recordings(made: Project) -> None:
    shutil.rmtree(made.root / "runbooks/recordings")
    done = ok(made.opsbook("test"), 2)
    assert "There is no recording of any runbook." in done.err
    assert "opsbook records export last --recording good" in done.err
    assert "There is no runbook" in ok(made.opsbook("test", "nothing"), 2).err


def pytested(project: Project, *arguments: str) -> str:
    """What pytest says of the project's pages, as somebody runs it there."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False).stdout


def test_pytest_collects_the_pages(made: Project) -> None:
    made.page("## Steps\n\n### Nothing to run\nBy hand.\n", "manual")
    said = pytested(made, "runbooks/", "-v", "--junitxml=told.xml")
    for name in ("good", "rolled-back", "playbooks"):
        assert f"runbooks/leave.md::{name} PASSED" in said, said
    assert "3 passed" in said
    told = ElementTree.parse(made.root / "told.xml").getroot()
    assert [case.get("name") for case in told.iter("testcase")] == ["good", "rolled-back", "playbooks"]
    made.page(PAGE.replace('"rm", "-f"', '"rm", "-rf"'), "leave", "rollback: automatic\n")
    said = pytested(made, "runbooks/")
    assert "1 failed, 2 passed" in said
    assert "argv.1: '-f' -> '-rf'" in said
    assert "Traceback" not in said


def test_an_exported_notebook_passes_under_nbval(made: Project) -> None:
    ok(made.opsbook(*RUN))
    made.write("bad", "")
    ok(made.opsbook("records", "export", "last", "--recording", "once", "--notebook"))
    book = made.root / "runbooks/recordings/leave.once.ipynb"
    cells = [cell for cell in json.loads(book.read_text())["cells"] if cell["cell_type"] == "code"]
    assert "".join(cells[0]["source"]).startswith("from opsbook import replay")
    assert len(cells) == 7, "the Rollback did not run"
    for name in ("left", "counted", "token", "token.txt"):
        (made.root / name).unlink()
    said = pytested(made, "-p", "no:opsbook", "--nbval", str(book))
    assert "7 passed" in said, said
    assert not (made.root / "left").exists()
    book.write_text(book.read_text().replace("print('counted')", "print('something else')"))
    assert "1 failed" in pytested(made, "-p", "no:opsbook", "--nbval", str(book))
