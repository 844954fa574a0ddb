"""Every rule about what may run, at every door: what one refuses, all refuse, and nothing is done."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jupytext
import nbformat
import pytest

from tests.support import papermill as forked
from tests.support.project import Result, until
from tests.support.team import Team

pytestmark = pytest.mark.slow

PAGE = """
    ## Parameters

    ```python tags=["parameters"]
    from opsbook.params import Duration

    par: Duration = "5m"
    ```

    ## Steps

    ### Count it
    ```python
    from opsbook import command

    command(["sh", "-c", "echo run >> .opsbook/counted"])
    ```

    ## Validation

    ### It shows
    ```python
    from opsbook import command, wait_until
    wait_until("it shows", lambda: command(["cat", ".opsbook/counted"], changes=False).stdout != "", timeout=5)
    ```

    ### It is mended
    ```python
    wait_until("it is mended", lambda: True, timeout=5)
    ```
"""
DRILL = "drill:\n  solved_by: [count]\n"
CELL = 'from opsbook import command\ncommand(["sh", "-c", "echo run >> .opsbook/counted"])\n'


def run(team: Team) -> Result:
    return team.by("ann").opsbook("run", "page", "-e", "dev", "--yes")


def detached(team: Team) -> Result:
    return team.by("ann").opsbook("run", "page", "-e", "dev", "--yes", "--detach")


def drill(team: Team) -> Result:
    return team.by("ann").opsbook("drill", "start", "page", "-e", "dev")


def papermill(team: Team) -> Result:
    book = jupytext.read(team.root / "runbooks/page.md")
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, team.root / "records-in.ipynb")
    arguments = ("--engine", "opsbook", "records-in.ipynb", "records-out.ipynb")
    # papermill's own dependencies warn on import.
    done = forked.papermill(team.root, environment(team, PYTHONWARNINGS="ignore"), *arguments)
    return Result(done.returncode, done.stdout, done.stderr)


def session(team: Team) -> Result:
    """A notebook outside a run; in a lab the same gate answers."""
    return called(team, [sys.executable, "-c", CELL])


def environment(team: Team, **more: str) -> dict[str, str]:
    return {**team.by("ann").environment(), "OPSBOOK_ENVIRONMENT": "dev", **more}


def called(team: Team, command: list[str]) -> Result:
    done = subprocess.run(command, cwd=team.root, env=environment(team), capture_output=True, text=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


DOORS: dict[str, Callable[[Team], Result]] = {
    "run": run,
    "detached": detached,
    "drill": drill,
    "papermill": papermill,
    "session": session,
}


@dataclass(frozen=True)
class Rule:
    """A rule: the environment's policy and the page's front matter, and a word of the refusal.

    `prepare` does what else has to be so. Doors in `open` know nothing of what the rule is about, or wait.
    """

    policy: str
    said: str
    front: str = DRILL
    prepare: Callable[[Team], None] = lambda team: None
    open: tuple[str, ...] = ()


def closed() -> str:
    """A window that opens in two days."""
    day = (datetime.now(UTC) + timedelta(days=2)).strftime("%a").lower()
    return f"sandbox: true\nwindows:\n  - days: [{day}]\n    begin: '09:00'\n    end: '10:00'\n"


def hold(team: Team) -> None:
    """Another run has the environment, and left it half-way."""
    steps = f"## Steps\n\n### Fail\n```python\n{CELL}raise ValueError\n```\n"
    team.page(
        f"{steps}\n## Rollback\n\n### Back\n```python\npass\n```\n",
        "holder",
        "rollback: ask\nlock: ['{environment}']\n",
    )
    assert team.by("bob").opsbook("run", "holder", "-e", "dev", "--yes").code == 3
    (team.root / ".opsbook/counted").unlink()


def guarded(team: Team) -> None:
    """The protected branch guards the environment; the work tree says that everybody may play with it."""
    path = team.root / "playbooks/inventories/dev/environment.yml"
    path.write_text("protected: true\n")
    team.commit("Guard it")
    path.write_text("sandbox: true\n")


def loosened(team: Team) -> None:
    """The work tree says that production is a sandbox; the protected branch does not guard it otherwise."""
    path = team.root / "playbooks/inventories/dev/environment.yml"
    path.write_text("title: Live\n")
    team.commit("It is no sandbox")
    path.write_text("sandbox: true\n")


RULES = {
    "labels": Rule("sandbox: true\nlabels: [ticket]\n", "needs the label ticket|needs a label"),
    "no sandbox for a drill": Rule("title: Live\n", "is no sandbox|sandbox: true"),
    "changes by a notebook": Rule("title: Live\n", "sandbox: true", front="", open=("run", "detached", "drill")),
    "another environment's page": Rule(
        "sandbox: true\n", "only in prod", front=f"{DRILL}environments: [prod]\n", open=("session",)
    ),
    "a closed window": Rule(closed(), "window", open=("detached",)),
    "a lock": Rule("sandbox: true\n", "locked by", front=f"{DRILL}lock: ['{{environment}}/app']\n", prepare=hold),
    "a sandbox of the work tree alone": Rule("sandbox: true\n", "protected branch", prepare=loosened),
    "a guard of the protected branch": Rule("sandbox: true\n", "protected branch", prepare=guarded),
}


@pytest.mark.parametrize("rule", RULES)
def test_what_one_door_refuses_all_doors_refuse(team: Team, rule: str) -> None:
    chosen = RULES[rule]
    team.write("playbooks/inventories/dev/environment.yml", chosen.policy)
    team.page(PAGE, "page", f"rollback: none\n{chosen.front}")
    team.commit("A page")
    chosen.prepare(team)
    for name, door in DOORS.items():
        if name in chosen.open:
            continue
        done = door(team)
        said = f"{done.out}\n{done.err}"
        assert done.code, f"{name}: {said}"
        assert any(word in " ".join(said.split()) for word in chosen.said.split("|")), f"{name}: {said}"
        assert team.counted() == [], f"{name}: {said}"


def test_every_door_lets_through_what_no_rule_forbids(team: Team) -> None:
    team.write("playbooks/inventories/dev/environment.yml", "sandbox: true\n")
    team.page(PAGE, "page", f"rollback: none\n{DRILL}lock: ['{{environment}}/app']\n")
    team.commit("A page")
    for name, door in DOORS.items():
        done = door(team)
        until(team.counted, f"{name}: {done}")
        until(lambda: not json.loads(team.opsbook("locks", "--json").out), f"{name} gives its lock back")
        (team.root / ".opsbook/counted").unlink()


def test_labels_of_a_drill_and_of_papermill_are_in_their_records(team: Team) -> None:
    team.write("playbooks/inventories/dev/environment.yml", "sandbox: true\nlabels: [ticket]\n")
    team.page(PAGE, "page", f"rollback: none\n{DRILL}")
    team.commit("A page")
    team.env["OPSBOOK_LABELS"] = "ticket=OPS-1"
    assert papermill(team).code == 0
    assert team.summary()["labels"] == {"ticket": "OPS-1"}
    team.by("ann").opsbook("drill", "start", "page", "-e", "dev", "--label", "ticket=OPS-2")
    assert team.summary()["labels"] == {"ticket": "OPS-2"}


def test_what_replays_or_publishes_reaches_nothing(team: Team) -> None:
    """opsbook test, pytest and the docs site read pages: no cell of theirs may do anything, sandbox or not."""
    team.write("playbooks/inventories/dev/environment.yml", "sandbox: true\n")
    team.page(PAGE, "page", "rollback: none\n")
    assert run(team).code == 0
    team.opsbook("records", "export", "last", "--recording", "good", check=True)
    (team.root / ".opsbook/counted").unlink()
    team.opsbook("test", check=True)
    assert called(team, [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "runbooks"]).code == 0
    team.write("docs/more.md", "# More\n")
    team.write("mkdocs.yml", "site_name: x\ntheme: material\nplugins: [opsbook]\n")
    team.opsbook("site", "build", check=True)
    assert team.counted() == []
