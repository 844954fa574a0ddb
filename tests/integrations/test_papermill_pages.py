"""papermill opsbook://ENV/RUNBOOK: the same run as `opsbook run`, by every door that papermill has."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.support import ROOT
from tests.support.papermill import papermill
from tests.support.team import Team

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(sys.prefix, "airflow/ready").exists(), reason="needs make airflow-packages"),
]

PAGE = """
    ## Parameters

    ```python tags=["parameters"]
    from typing import Annotated
    from opsbook.params import Between, Secret

    word: str                              # What to write
    count: Annotated[int, Between(1, 5)] = 2
    token: Secret
    ```

    ## Prerequisites

    ### Be here
    ```python
    from opsbook import command
    ```

    ## Steps

    ### Count it
    ```python
    command(["sh", "-c", "echo $0 >> $OPSBOOK_STATE_OF_TEST/counted", word])
    print(token.reveal(), count)
    if word == "bad":
        raise ValueError(word)
    ```

    ## Rollback

    ### Take it back
    ```python
    command(["sh", "-c", "echo undone >> $OPSBOOK_STATE_OF_TEST/counted"])
    ```
"""
ENGINE = ("--engine", "opsbook")
TOKEN = ("-p", "token", "env:WORD_TOKEN")
PYTHON = """
import sys
import papermill
given = {"word": sys.argv[1], "token": "env:WORD_TOKEN"}
papermill.execute_notebook("opsbook://prod/page", "out.ipynb", parameters=given, engine_name="opsbook")
"""


AIRFLOW = """
import sys
from airflow.providers.papermill.operators.papermill import PapermillOperator
lines, word = sys.argv[1:]
task = eval(lines)
task.input_nb, task.parameters = "opsbook://prod/page", {"word": word, "token": "env:WORD_TOKEN"}
task.output_nb = task.output_nb.removeprefix("/tmp/")
task.render_template_fields({"ds": "2026-12-01"})
task.execute({})
"""
"""What is in `lines` stands in the docs; page, values and folder are those of the test."""
OPERATOR = str(Path(sys.prefix, "airflow/bin/python"))


def of_the_docs() -> str:
    """The operator of the docs, as it is written there."""
    told = (ROOT / "docs/effects.md").read_text(encoding="utf-8")
    return "PapermillOperator(" + told.partition("\nPapermillOperator(")[2].partition("\n```")[0]


OPSBOOK = ["run", "page", "-e", "prod", "-y", "-p", "token=env:WORD_TOKEN"]
PAPERMILL = [sys.executable, "-m", "papermill", "opsbook://prod/page", "out.ipynb", *TOKEN]
DOORS: dict[str, list[str]] = {
    "run": OPSBOOK,
    "papermill": [*PAPERMILL, *ENGINE, "-p", "word"],
    "papermill from Python": [sys.executable, "-c", PYTHON],
    # As schedulers call it: none of their operators can name an engine.
    "another engine": [*PAPERMILL, "-p", "word"],
    "Airflow": [OPERATOR, "-c", AIRFLOW, of_the_docs()],
}
CODES = {"another engine": 1, "Airflow": 1}
"""Where a cell starts the run, papermill tells that the cell has failed."""


@pytest.fixture
def guarded(team: Team, tmp_path: Path) -> Team:
    team.env |= {"OPSBOOK_STATE_OF_TEST": str(tmp_path), "WORD_TOKEN": "a-secret-token"}
    team.env["AIRFLOW_HOME"] = str(tmp_path / "airflow")
    team.env["OPSBOOK_LABELS"] = "ticket=OPS-1"
    config = team.root / "opsbook.toml"
    kept = 'keep_environment = ["OPSBOOK_STATE_OF_TEST"]\n'
    config.write_text(kept + config.read_text())
    team.write("playbooks/inventories/prod/hosts.yml", (team.root / "playbooks/inventories/dev/hosts.yml").read_text())
    team.write("playbooks/inventories/prod/environment.yml", "protected: true\nlabels: [ticket]\n")
    team.page(PAGE, "page", "rollback: automatic\nlock: ['{environment}/page']\n")
    team.commit("Guard it")
    return team


def through(team: Team, door: str, word: str, *, real: bool = False) -> "subprocess.CompletedProcess[str]":
    """The run by this door; papermill has its labels from the environment. `real`: as a shell starts it."""
    environment = team.by("ann").environment()
    labels = [word for label in environment.get("OPSBOOK_LABELS", "").split() for word in ("--label", label)]
    if door == "run":
        done = team.by("ann").opsbook(*OPSBOOK, *labels, "-p", f"word={word}")
        return subprocess.CompletedProcess(OPSBOOK, done.code, done.out, done.err)
    # papermill's own dependencies warn on import.
    environment["PYTHONWARNINGS"] = "ignore"
    command = [*DOORS[door], word]
    if command[:3] == PAPERMILL[:3] and not real:
        return papermill(team.root, environment, *command[3:])
    return subprocess.run(command, cwd=team.root, env=environment, capture_output=True, text=True, check=False)


def counted(tmp_path: Path) -> list[str]:
    path = tmp_path / "counted"
    said = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return said


def record(team: Team) -> dict[str, Any]:
    """What is the same in the record of every such run."""
    told = team.summary()
    same = (
        "runbook",
        "environment",
        "operator",
        "parameters",
        "plan",
        "mode",
        "outcome",
        "exit_code",
        "labels",
        "commit",
    )
    return {name: told[name] for name in same} | {"effects": [effect["summary"] for effect in told["effects"]]}


def test_every_door_is_the_same_run(guarded: Team, tmp_path: Path) -> None:
    good: list[dict[str, Any]] = []
    for door in DOORS:
        done = through(guarded, door, "good", real=door != "another engine")
        assert done.returncode == 0, f"{door}: {done}"
        assert counted(tmp_path) == ["good"], door
        good.append(record(guarded))
        assert guarded.opsbook("records", "verify", "last").code == 0
        if door == "papermill":
            book = nbformat.read(guarded.root / "out.ipynb", as_version=4)
            assert (book.metadata.papermill.outcome, len(book.cells) > 4) == ("succeeded", True)
            assert "a-secret-token" not in (guarded.root / "out.ipynb").read_text()
    assert good[0]["mode"] == "live" and good[0]["labels"] == {"ticket": "OPS-1"}
    assert all(each == good[0] for each in good), good
    for door in DOORS:
        done = through(guarded, door, "bad")
        assert done.returncode == CODES.get(door, 1), f"{door}: {done}"
        assert counted(tmp_path) == ["bad", "undone"], "it is rolled back by every door"
        assert record(guarded)["outcome"] == "rolled-back"


REFUSALS: dict[str, tuple[Callable[[Team], object], str]] = {
    "a label is missing": (lambda team: team.env.pop("OPSBOOK_LABELS"), "needs the label ticket"),
    "nothing is committed": (lambda team: team.write("lib/mine.py", "x = 1\n"), "not everything is committed"),
    "Ansible is told something": (lambda team: team.env.update(ANSIBLE_FORKS="9"), "would change what Ansible does"),
}


@pytest.mark.parametrize(
    ("refusal", "doors"),
    [
        ("a label is missing", tuple(DOORS)),
        # One refusal shows that a door asks; these show, of one that does, that it is asked everything.
        *((refusal, ("papermill",)) for refusal in list(REFUSALS)[1:]),
        *(pytest.param(refusal, tuple(DOORS), marks=pytest.mark.soak) for refusal in list(REFUSALS)[1:]),
    ],
)
def test_every_door_refuses_alike(guarded: Team, tmp_path: Path, refusal: str, doors: tuple[str, ...]) -> None:
    prepare, said = REFUSALS[refusal]
    prepare(guarded)
    for door in doors:
        done = through(guarded, door, "good")
        assert done.returncode != 0, f"{door}: {done}"
        assert said in " ".join(f"{done.stdout} {done.stderr}".split()), f"{door}: {done}"
        assert counted(tmp_path) == [], door


def test_an_approval_is_waited_for_and_used_by_every_door(guarded: Team, tmp_path: Path) -> None:
    guarded.write("playbooks/inventories/prod/environment.yml", "protected: true\napprovals: 1\nlabels: [ticket]\n")
    guarded.commit("Want an approval")
    asked = ("plan", "page", "-e", "prod", "-p", "word=good", "-p", "token=env:WORD_TOKEN", "--label", "ticket=OPS-1")
    for door in ("papermill", "another engine", "Airflow"):
        done = through(guarded, door, "good")
        assert done.returncode == (4 if door == "papermill" else 1), done
        plan = json.loads(guarded.by("ann").opsbook(*asked, "--request", "--json", check=True).out)["id"]
        assert plan in done.stdout + done.stderr and counted(tmp_path) == [], done
        assert guarded.by("bob").opsbook("approve", plan, "-y").code == 0
        done = through(guarded, door, "good")
        assert done.returncode == 0 and counted(tmp_path) == ["good"], done
        assert guarded.summary()["approved_by"] == ["bob@example.org"]


def each_told(team: Team, *lines: tuple[str, ...]) -> list[tuple[int, str, str]]:
    """The exit code, the output and the errors of papermill with each of these arguments."""
    each = [papermill(team.root, {**team.environment(), "PYTHONWARNINGS": "ignore"}, *words) for words in lines]
    return [(done.returncode, done.stdout, done.stderr) for done in each]


def test_it_says_what_to_type(guarded: Team) -> None:
    said_to: tuple[tuple[tuple[str, ...], str], ...] = (
        (("runbooks/page.md", "out.ipynb"), "papermill opsbook://ENV/page OUT.ipynb --engine opsbook"),
        (("opsbook://prod", "out.ipynb", *ENGINE), "Write opsbook://ENV/RUNBOOK"),
        (("opsbook://prod/pge", "out.ipynb", *ENGINE), "Did you mean page?"),
        (("opsbook://prod/page", "out.ipynb", *ENGINE), "Parameter word is missing"),
        (("opsbook://prod/page", "out.ipynb", *ENGINE, *TOKEN, "-p", "word", "1.10"), "-r NAME VALUE keeps it"),
        (("opsbook://prod/page", "out.ipynb", *ENGINE, *TOKEN, "-y", "{word: [[x]]}"), "text is lost"),
        (
            ("opsbook://prod/page", "no/out.ipynb", *ENGINE, *TOKEN, "-p", "word", "x"),
            "There is no folder for no/out.ipynb",
        ),
        (
            ("opsbook://prod/page", "out.ipynb", *ENGINE, *TOKEN, "-p", "word", "x", "-p", "count", "9"),
            "Parameter count",
        ),
    )
    shown, lost, *refused = each_told(
        guarded,
        ("opsbook://prod/page", "out.ipynb", "--help-notebook"),
        (*PAPERMILL[3:], "-p", "word", "1.10"),
        *(words for words, _ in said_to),
    )
    assert not [err for _, _, err in (shown, *refused) if "Traceback" in err]
    code, said = shown[0], shown[1] + shown[2]
    assert code == 0 and "word: str" in said and "required: What to write" in said and "count: int (default 2)" in said
    assert lost[0] == 1 and "papermill has read 1.1: text is lost" in lost[2], lost
    for (words, sentence), (code, out, err) in zip(said_to, refused, strict=True):
        assert code == (1 if words[0].endswith(".md") else 2) and sentence in out + err, (words, out, err)
    assert not list((guarded.root / "records").glob("*/*/*"))
