"""A project under git, with people who have keys: ann operates, bob approves, eve's key nobody knows."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.project import HOSTS, Project, Result

PEOPLE = ("ann", "bob", "eve")

PLAIN = """
    ## Prerequisites

    ### Be here
    ```python
    from opsbook import command
    ```

    ## Steps

    ### Count it
    Expected: one more line.

    ```python
    command(["sh", "-c", "echo run >> .opsbook/counted"])
    ```

    ## Rollback

    ### Take it back
    ```python
    command(["sh", "-c", "echo undone >> .opsbook/counted"])
    ```
"""


@dataclass
class Team(Project):
    """A project of several people; each has an opsbook of his own."""

    keys: Path = field(default_factory=Path)

    def git(self, *arguments: str) -> str:
        who = {f"GIT_{role}_{what}": "t@t" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def commit(self, what: str = "Change it") -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", what)

    def key(self, who: str) -> Path:
        return self.keys / who

    def by(self, who: str) -> Project:
        """The project as this person works in it. Tests run as one user of the system; `USER` tells them apart."""
        environment = {**self.env, "OPSBOOK_SIGNING_KEY": str(self.key(who)), "LOGNAME": who, "USER": who}
        made = Project(self.root, environment)
        made.started, made.terminals = self.started, self.terminals
        return made

    def counted(self) -> list[str]:
        path = self.root / ".opsbook/counted"
        return path.read_text().split() if path.exists() else []


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key for each of PEOPLE, and `locked`, which has a passphrase."""
    return make_keys(tmp_path_factory.mktemp("keys"))


def make_keys(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for who in (*PEOPLE, "locked"):
        phrase = "a passphrase" if who == "locked" else ""
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-C", who, "-f", str(folder / who)]
        subprocess.run(command, check=True)
    return folder


@pytest.fixture
def team(tmp_path: Path, keys: Path) -> Iterator[Team]:
    made = make_team(tmp_path / "project", keys)
    yield made
    made.end()


def make_team(root: Path, keys: Path) -> Team:
    """The project of a team, with everything committed."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    made = Team(root, {"SSH_AUTH_SOCK": ""}, keys)
    made.write("opsbook.toml", 'records = "records"\n')
    made.write(".opsbook/begun", "")
    made.write(".gitignore", "records/\n.opsbook/\ncounted\n")
    made.write("playbooks/inventories/dev/hosts.yml", HOSTS)
    made.write("playbooks/inventories/dev/environment.yml", "title: Development\nsandbox: true\n")
    made.write("playbooks/inventories/prod/hosts.yml", HOSTS)
    made.write("playbooks/inventories/prod/environment.yml", "title: Production\nprotected: true\napprovals: 1\n")
    made.write("playbooks/roles/app/tasks/main.yml", "- ansible.builtin.ping:\n")
    made.write("lib/team/__init__.py", "")
    made.page(PLAIN, "count", "rollback: ask\n")
    allow(made, "ann", "bob")
    made.git("init", "--quiet", "--initial-branch", "main")
    made.commit("Begin")
    return made


def allow(team: Team, *people: str) -> None:
    """Write allowed_signers for these people."""
    lines = [f"{who}@example.org {(team.keys / f'{who}.pub').read_text().strip()}\n" for who in people]
    team.write("allowed_signers", "".join(lines))


def ok(result: Result) -> Result:
    assert result.code == 0, f"{result.out}\n{result.err}"
    return result
