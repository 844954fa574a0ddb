"""Drills through the command line, on a small service: a file that a drill breaks, and a runbook that mends it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from opsbook.core.record import store
from tests.support.project import POLICY, Project, Result, Terminal, until

pytestmark = pytest.mark.slow

DRILL = """
    ## Symptoms
    Nobody can read the file.

    ## Fault
    The file says what it should not.

    ## Parameters

    ```python tags=["parameters"]
    from opsbook.params import Duration

    par: Duration = "10m"  # Par time
    ```

    ## Prerequisites

    ### It is well
    ```python
    from opsbook import command, wait_until

    def well():
        return command(["cat", "file"], changes=False).stdout == "good\\n"

    assert well()
    ```

    ## Steps

    ### Break it
    ```python
    command(["sh", "-c", "echo bad > file"], idempotent=True)
    ```

    ## Validation

    ### The fault shows
    ```python
    wait_until("the fault shows", lambda: not well(), timeout=5)
    ```

    ### It is mended
    ```python timeout=600
    wait_until("it is mended", well, timeout=3 * par, every=0.1)
    ```

    ## Rollback

    ### Put it right
    ```python
    command(["sh", "-c", "echo good > file"], idempotent=True)
    ```
"""
FRONT = """\
rollback: ask
lock: ["drill/{environment}"]
environments: [dev]
drill:
  solved_by: [mend]
  hints: [Look at the file., It should say good.]
"""


def runbook(text: str) -> str:
    return f"""
    ## Steps

    ### Write it
    ```python
    from opsbook import command
    command(["sh", "-c", "echo {text} > file"], idempotent=True)
    ```
"""


@pytest.fixture
def made(project: Project) -> Project:
    project.write("file", "good\n")
    project.page(DRILL, "broken", FRONT)
    path = project.root / "runbooks/broken.md"
    path.write_text(path.read_text().replace("kind: maintenance", "kind: training"))
    project.page(runbook("good"), "mend", 'lock: ["{environment}/file"]\nrollback: none\n')
    project.page(runbook("worse"), "meddle", 'lock: ["{environment}/file"]\nrollback: none\n')
    return project


def ok(done: Result, code: int = 0) -> Result:
    assert done.code == code, done.out + done.err
    return done


def told(project: Project, *arguments: str, code: int = 0) -> Any:
    return json.loads(ok(project.opsbook("drill", *arguments, "--json"), code).out)


def state(project: Project, wanted: str) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        now = dict(told(project, "status"))
        return now if now["state"] == wanted else None

    return dict(until(reached, wanted))


def test_a_drill_that_is_mended(made: Project) -> None:
    assert [each["name"] for each in told(made, "list")] == ["broken"]
    started = ok(made.opsbook("drill", "start", "broken"))
    assert "Nobody can read the file." in started.out
    assert "The file says" not in started.out
    assert "not mended yet" in started.out
    assert ok(made.opsbook("drill", "hint")).out == "Look at the file.\n"
    ok(made.opsbook("run", "meddle", "-e", "dev", "--yes"))
    assert ok(made.opsbook("drill", "diagnose", "meddle")).out == "Noted: meddle.\n"
    assert ok(made.opsbook("drill", "diagnose", "mend")).out == "Noted: mend.\n"
    until(lambda: told(made, "status")["diagnosed"], "the diagnosis")
    ok(made.opsbook("run", "mend", "-e", "dev", "--yes"))
    state(made, "mended")
    done = ok(made.opsbook("drill", "stop", "--feedback", "4 Good, but the alert said little."))
    assert "broken: mended in" in done.out
    assert "1 hint, 1 wrong change" in done.out
    assert "75 of 100 points" in done.out
    assert "What it was: The file says what it should not." in done.out
    (path,) = (made.root / "records/training").glob("*.json")
    drilled = json.loads(path.read_text())
    assert drilled["feedback"] == {"key": 4, "text": "Good, but the alert said little."}
    assert drilled["wrong"] == [next(r.name for r in made.records() if "-meddle-" in r.name)]
    assert 0 < drilled["diagnosed"] <= drilled["mended"] < 600
    assert ok(made.opsbook("records", "verify", "--all"))
    assert "No drill goes on." in ok(made.opsbook("drill", "status"), 2).err


def test_a_drill_that_nobody_mends_fails_at_three_times_par(made: Project) -> None:
    began = time.monotonic()
    run = told(made, "start", "broken", "--par", "1s", "--for", "tim")["run"]
    now = state(made, "failed")
    assert 2.5 < now["seconds"] < 120
    assert time.monotonic() - began > 3
    assert (made.root / "file").read_text() == "bad\n"
    done = ok(made.opsbook("drill", "stop"), 1)
    assert "broken: not mended. tim has no points." in done.out
    assert (made.root / "file").read_text() == "good\n"
    assert ok(made.opsbook("locks")).out == "Nothing is locked.\n"
    drilled = json.loads((made.root / f"records/training/{run}.json").read_text())
    assert (drilled["person"], drilled["mended"]) == ("tim", None)
    assert made.summary()["outcome"] == "rolled-back"


def test_a_drill_that_is_given_up(made: Project) -> None:
    told(made, "start", "broken")
    drilled = told(made, "stop", code=1)
    assert (drilled["passed"], drilled["points"]) == (False, 0)
    assert (made.root / "file").read_text() == "good\n"


def test_only_one_at_a_time(made: Project) -> None:
    first = told(made, "start", "broken")["run"]
    done = ok(made.opsbook("drill", "start", "broken"), 4)
    assert "drill/dev" in done.err
    refused = next(record for record in made.records() if record.name != first)
    assert (refused / "seal.json").exists()
    assert told(made, "status")["run"] == first
    told(made, "stop", code=1)
    told(made, "start", "broken")
    told(made, "stop", code=1)


def test_a_fault_that_does_not_show(made: Project) -> None:
    path = made.root / "runbooks/broken.md"
    path.write_text(path.read_text().replace("echo bad > file", "true"))
    done = ok(made.opsbook("drill", "start", "broken"), 2)
    assert "The fault did not show" in done.err
    assert "its fault never showed, so it was no drill" in ok(made.opsbook("drill", "stop"), 1).out
    assert "No drill goes on." in ok(made.opsbook("drill", "status"), 2).err


def test_going_on_with_a_drill_does_not_turn_its_clock_back(made: Project) -> None:
    run = told(made, "start", "broken", "--par", "1s")["run"]
    state(made, "failed")
    until(lambda: store.find(made.root / "records", run).state == "sealed", "the end of its run")
    (made.root / "file").write_text("good\n")
    ok(made.opsbook("resume", run, "--accept-changes"))
    first = told(made, "stop", code=1)
    assert (first["passed"], first["points"]) == (False, 0)
    # Stopped once more, with something else to say: what was written stays.
    assert told(made, "stop", run, "--feedback", "5 Mended!", code=1) == first


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("start", "brokn"), "There is no drill brokn. Did you mean broken?"),
        (("start", "mend"), "There is no drill mend."),
        (("start", "broken", "-e", "prod"), "There is no environment prod."),
        (("start", "broken", "--par", "soon"), "par"),
        (("start", "broken", "--par", "0s"), "0s is no par time"),
        (("start", "broken", "--par", "20000d"), "20000d is no par time"),
        (("hint",), "No drill goes on."),
        (("stop", "--feedback", "good"), "does not begin with a number from 1 to 5"),
    ],
)
def test_wrong_input(made: Project, arguments: tuple[str, ...], says: str) -> None:
    assert says in ok(made.opsbook("drill", *arguments), 2).err
    assert made.records() == []


def test_nothing_is_broken_where_somebody_could_be_hurt(made: Project) -> None:
    made.write("playbooks/inventories/dev/environment.yml", POLICY.replace("sandbox: true", "sandbox: false"))
    assert "dev is no sandbox, and a drill breaks things." in ok(made.opsbook("drill", "start", "broken"), 2).err


def test_there_are_no_more_hints(made: Project) -> None:
    told(made, "start", "broken")
    for count in (1, 2):
        told(made, "hint")
        assert told(made, "status")["hints"] == count
    assert "You have had all 2 hints of broken." in ok(made.opsbook("drill", "hint"), 2).err
    told(made, "stop", code=1)


def test_feedback_is_one_key_and_a_sentence(made: Project) -> None:
    told(made, "start", "broken")
    ok(made.opsbook("run", "mend", "-e", "dev", "--yes"))
    state(made, "mended")
    terminal = Terminal(made.command("drill", "stop"), made)
    terminal.wait_for("How was it?")
    terminal.type("5 Well done\n")
    assert terminal.wait() == 0, terminal.screen
    (path,) = Path(made.root / "records/training").glob("*.json")
    assert json.loads(path.read_text())["feedback"] == {"key": 5, "text": "Well done"}


def test_without_drills(project: Project) -> None:
    assert "There is no drill." in ok(project.opsbook("drill", "list")).out


def test_a_drill_without_a_par_time(made: Project) -> None:
    path = made.root / "runbooks/broken.md"
    text = path.read_text().replace("par: Duration", "limit: Duration").replace("3 * par", "3 * limit")
    path.write_text(text)
    assert "F007 the drill cannot be started: it has no par time" in ok(made.opsbook("drill", "start", "broken"), 2).err
    assert made.records() == []
