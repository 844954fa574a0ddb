"""The pipelines of docs/examples/pipelines on the real platform: a host with a clone, a runner, and two people.

The runner has a user and a key of its own. What it executes are the lines of the files, as they are there.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support import ROOT
from tests.support.project import Result
from tests.support.team import Team

FILES = ROOT / "docs/examples/pipelines"
PAGES = ("build-release", "deploy-service", "platform-down", "platform-up", "promote-release")
"""The pages of the team: lint and replay of all others are tested elsewhere."""


@dataclass(frozen=True)
class Job:
    """What a runner's shell gets of a job: its lines, and the variables that the file itself gives to them."""

    name: str
    script: str
    given: Mapping[str, str] = field(default_factory=dict)


def read(name: str) -> dict[str, Any]:
    """One of the files. `on` is a word here, not a truth value, as GitHub reads it."""
    text = (FILES / name).read_text(encoding="utf-8")
    return dict(yaml.safe_load(re.sub(r"(?m)^on:", '"on":', text)))


def github_jobs() -> dict[str, Job]:
    """The jobs of GitHub's file: the lines of all steps, in the order of the file."""
    found = {}
    for name, job in read("github.yml")["jobs"].items():
        steps = [step for step in job["steps"] if "run" in step]
        given = {key: str(value) for step in steps for key, value in step.get("env", {}).items()}
        found[name] = Job(name, "\n".join(step["run"] for step in steps), given)
    return found


def gitlab_jobs() -> dict[str, Job]:
    """The jobs of GitLab's file, with what they extend: the lines of before_script and script."""
    document = read("gitlab.yml")
    found = {}
    for name, own in document.items():
        if isinstance(own, dict) and "script" in own:
            job = {**document.get(own.get("extends", ""), {}), **own}
            found[name] = Job(name, "\n".join([*job.get("before_script", ()), *job["script"]]))
    return found


@dataclass
class Host:
    """The operations host: the clone in which the runner works, and what the runner's shell knows."""

    team: Team
    work: Path

    @property
    def key(self) -> Path:
        """The runner's private key, as the CI keeps it."""
        return self.work / "pipeline"

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        known = {
            **self.team.environment(),
            "USER": "runner",
            "LOGNAME": "runner",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONWARNINGS": "",
            "OPSBOOK_CLONE": str(self.team.root),
            "TMPDIR": str(self.temporary),
        }
        known.pop("OPSBOOK_SIGNING_KEY", None)
        return {**known, **more}

    @property
    def temporary(self) -> Path:
        """Where the runner writes its temporary files."""
        folder = self.work / "temporary"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def checkout(self) -> Path:
        """What the CI checks out for a job: a clone of its own."""
        folder = self.work / "checkout"
        if not folder.exists():
            self.git("clone", "--quiet", str(self.origin), str(folder))
        return folder

    @property
    def origin(self) -> Path:
        """What the CI's server has."""
        return self.work / "origin.git"

    @property
    def commit(self) -> str:
        return self.git("-C", str(self.origin), "rev-parse", "main").strip()

    def git(self, *arguments: str) -> str:
        return self.team.git(*arguments)

    def done(self, command: list[str], more: dict[str, str]) -> Result:
        """A command in the checkout, with nobody at a terminal."""
        done = subprocess.run(
            command,
            cwd=self.checkout,
            env=self.environment(more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def run(self, job: Job, **more: str) -> Result:
        """The lines of a job in a shell, which ends at the first one that fails, as a runner starts it."""
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", job.script]
        return self.done(command, more)

    def act(self, version: str) -> Result:
        """GitHub's whole file, by act, without Docker: every job runs on this machine."""
        flows = self.checkout / ".github/workflows"
        flows.mkdir(parents=True, exist_ok=True)
        shutil.copy(FILES / "github.yml", flows / "release.yml")
        secrets = self.work / "secrets"
        # act reads secrets in the form of an .env file: line feeds in quotes.
        text = self.key.read_text(encoding="utf-8").strip().replace("\n", "\\n")
        secrets.write_text(f'OPSBOOK_KEY="{text}"\n', encoding="utf-8")
        secrets.chmod(0o600)
        command = [str(Path(sys.executable).with_name("act")), "workflow_dispatch", "--pull=false"]
        command += [
            "-P",
            "ubuntu-24.04=-self-hosted",
            "-P",
            "self-hosted=-self-hosted",
            "-P",
            "operations=-self-hosted",
        ]
        command += ["--input", f"version={version}", "--input", "ticket=OPS-2"]
        command += ["--var", f"OPSBOOK_CLONE={self.team.root}", "--secret-file", str(secrets)]
        home = self.work / "act"
        more = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config")}
        return self.done(command, more)


def prepare(team: Team) -> None:
    """Short watches, few pages, and a key for the pipeline that signs runs and approves nothing."""
    for path in [*(team.root / "runbooks").rglob("*"), *(team.root / "procedures").rglob("*")]:
        if path.is_file() and not needed(path):
            path.unlink()
    # They lead to pages that are left out.
    for name in ("alerts", "docs/trees"):
        shutil.rmtree(team.root / name)
    page = team.root / "runbooks/promote-release.md"
    edit(page, 'watch_canary: Annotated[Duration, Between(2, 1800)] = Duration("1m")', '"1m"', '"6s"')
    edit(page, 'watch_after: Annotated[Duration, Between(2, 3600)] = Duration("1m")', '"1m"', '"4s"')
    for place in ("staging", "production"):
        edit(environment(team, place), "minimum_messages: 20", "20", "10")
    edit(environment(team, "production"), "approvals: 1", "app", "approvers: [ann@example.org, bob@example.org]\napp")
    key = team.keys / "pipeline"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "pipeline", "-f", str(key)]
    subprocess.run(command, check=True)
    with (team.root / "allowed_signers").open("a", encoding="utf-8") as signers:
        signers.write(f"pipeline@example.org {key.with_suffix('.pub').read_text(encoding='utf-8').strip()}\n")
    team.commit("Let a pipeline run what people approve")


def needed(path: Path) -> bool:
    """Whether it is one of the pages, or one of the few recordings that `opsbook test` replays here."""
    name = path.name.split(".")[0]
    return name in PAGES if path.suffix == ".md" else name == PAGES[0]


def environment(team: Team, place: str) -> Path:
    return team.root / f"playbooks/inventories/{place}/environment.yml"


def edit(path: Path, line: str, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert line in text, f"{path} has no {line}"
    path.write_text(text.replace(line, line.replace(old, new, 1)), encoding="utf-8")


def made(team: Team, work: Path) -> Host:
    """The operations host of a team whose environments are up, with a remote and a runner."""
    prepare(team)
    host = Host(team, work)
    shutil.copy(team.keys / "pipeline", host.key)
    # GitLab writes variables of the type File so that everybody can read them.
    host.key.chmod(0o644)
    host.git("clone", "--quiet", "--bare", str(team.root), str(host.origin))
    host.git("remote", "add", "origin", str(host.origin))
    host.git("fetch", "--quiet", "origin")
    return host
