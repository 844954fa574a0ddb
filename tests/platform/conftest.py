"""The real platform, in a copy of this project with ports of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from opsbook import settings
from opsbook.core.planning.context import clone_id
from opsbook.environments import ports
from tests.platform import quick
from tests.support import ROOT, modules
from tests.support.project import Project

CONTENT = ("runbooks", "procedures", "playbooks", "alerts", "docs/trees", "services", "lib/arcade_ops")
COPIED = (*CONTENT, "opsbook.toml", "ansible.cfg")
PORTS = (0, 1, 3, *range(11, 19))
"""What the platform listens on, from the first port of its block."""
RELEASES = {"1.0.0": None, "1.1.0": "stock", "1.2.0": "faulty", "1.3.0": "flaky", "1.4.0": "dead"}
"""The releases that all share, each with the variant it is built from: two good ones, and what breaks when."""
LONGEST = ("drills", "deploy", "configuration", "strategies", "clones", "check_mode", "users", "playbooks")
"""test_deploy shows the first deploy there is: no other file that shares the platform may come before it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left with one at the end."""
    here = Path(__file__).parent
    longest = {here / f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    order = {item: longest.get(item.path, len(longest) if item.path.parent == here else -1) for item in items}
    items.sort(key=lambda item: order[item])


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Platform"]:
    """The platform, up; taken down and removed at the end, whatever happened."""
    with brought_up(tmp_path_factory.mktemp("platform") / "project") as made:
        yield made


@contextmanager
def brought_up(root: Path, place: str = "dev") -> Iterator["Platform"]:
    """A copy of this project in `root`, with one of its environments up."""
    copy_project(root)
    quick.quicken(root)
    quick.without(root, *quick.SPARE)
    made = Platform(root, free_base(), place)
    made.move_ports()
    try:
        made.run("platform-up", check=True)
        yield made
    finally:
        give_back(made)
        made.run("platform-down", "-p", "purge=true", check=True)


def copy_project(root: Path) -> None:
    """What of this project a platform needs, in a new folder."""
    root.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)


def give_back(project: Project) -> None:
    """Free what a test that failed has left locked, so that everything can be taken down."""
    for lock in json.loads(project.opsbook("locks", "--json").out):
        project.opsbook("unlock", lock["target"], "--reason", "the tests are over")


def free_base(*taken: int) -> int:
    """The first port of a block in which every port the platform uses is free, and that is none of `taken`.

    Each test worker has its own blocks.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20100 + 1000 * worker
    for base in range(first, first + 1000, 100):
        if base not in taken and all(free(base + n) for n in PORTS):
            return base
    raise AssertionError("no free block of ports")


def free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether nothing listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) != 0


PIPELINED = {"ANSIBLE_PIPELINING": "True"}
"""What opsbook tells Ansible, for playbooks that run without it."""


class Platform(Project):
    """A project with the reference platform in it, in the environment `place`."""

    def __init__(self, root: Path, base: int, place: str = "dev") -> None:
        super().__init__(root)
        self.base = base
        self.place = place

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.base}"

    def move_ports(self) -> None:
        ports.give(settings.load(self.root, given=True), self.place, self.base)

    @property
    def mark(self) -> str:
        """What its services say which environment they belong to."""
        return f"{self.place}/{clone_id(self.root)}"

    def caddy(self) -> Any:
        """The configuration that the load balancer uses, as its admin API says it."""
        import httpx

        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.sockets / "admin.sock")), timeout=60) as client:
            return client.get("http://127.0.0.1/config/").json()

    @property
    def sockets(self) -> Path:
        """The folder of the sockets of Caddy and supervisord."""
        written = json.loads((self.root / f".opsbook/env/{self.place}/caddy/caddy.json").read_text(encoding="utf-8"))
        return Path(written["admin"]["listen"].removeprefix("unix/").removesuffix("|0600")).parent

    @property
    def database_folder(self) -> Path:
        """Where the socket of the database is."""
        return (self.root / f".opsbook/env/{self.place}/database").resolve()

    def credentials(self) -> dict[str, str]:
        """`user` and `password` with which the service opens its database."""
        text = (self.root / f".opsbook/env/{self.place}/secrets/database.conf").read_text(encoding="utf-8")
        return dict(line.split("=", 1) for line in text.splitlines()[1:])

    def run(self, runbook: str, *arguments: str, check: bool = False) -> Any:
        return self.opsbook("run", runbook, "-e", self.place, *arguments, check=check)

    def diagnosed(self, tree: str = "arcade") -> dict[str, Any]:
        """Where the tree leads to by its own checks: nobody is there whom it could ask."""
        return dict(json.loads(self.opsbook("diagnose", tree, "-e", self.place, "--json", check=True).out))

    def build(self, version: str, variant: str | None = None) -> None:
        """Build a release of arcade, or of a variant of it."""
        source = "services/arcade"
        if variant is not None:
            source = f".opsbook/sources/{variant}"
            shutil.rmtree(self.root / source, ignore_errors=True)
            command = [sys.executable, str(self.root / "services/variants.py"), variant, str(self.root / source)]
            subprocess.run(command, check=True)
        self.run("build-release", "-p", f"version={version}", "-p", f"source={source}", check=True)

    def have(self, *versions: str) -> None:
        """Have these releases, whoever needed them first."""
        for version in versions:
            if not (self.root / f".opsbook/releases/arcade/{version}.tar.gz").exists():
                self.build(version, RELEASES[version])

    def serve(self, version: str) -> None:
        """Have this version serve, and nothing else run, whatever was before."""
        self.have(version)
        if self.answered() != {version}:
            target = {"service": "arcade", "version": version}
            self.playbook("release", "migrate", "revert", **target)

    def deploy(self, version: str) -> Any:
        return self.run("deploy-service", "-p", f"version={version}")

    def playbook(self, *names: str, **values: object) -> str:
        """Run playbooks without opsbook, one after the other in one Ansible; their recap. Options begin with a dash."""
        files = [each if each.startswith("-") else f"playbooks/{each}.yml" for each in names]
        given = [argument for key, value in values.items() for argument in ("-e", f"{key}={value}")]
        done = subprocess.run(
            [*modules.playbooks(self.place), *files, *given],
            cwd=self.root,
            env={**self.environment(), **PIPELINED, "ANSIBLE_CONFIG": "ansible.cfg", "PYTHONWARNINGS": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.partition("PLAY RECAP")[2]

    def ctl(self, *words: str) -> None:
        """What somebody does by hand with a process, by supervisorctl."""
        config = self.root / f".opsbook/env/{self.place}/supervisord.conf"
        program = Path(shutil.which("supervisorctl", path=Path(sys.executable).parent) or "")
        done = subprocess.run([str(program), "-c", str(config), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def traffic(self) -> dict[str, Any]:
        """What the load balancer says: serving, share, instances."""
        import httpx

        return dict(httpx.get(f"http://127.0.0.1:{self.base + 3}", timeout=60, trust_env=False).json())

    def versions(self) -> set[str]:
        """What the service answers, asked several times."""
        answers = self.answered()
        assert None not in answers, answers
        return {str(each) for each in answers}

    def answered(self) -> set[str | None]:
        """The same where nothing may serve: None stands for that."""
        import httpx

        with httpx.Client(timeout=60, trust_env=False) as client:
            answers = [client.get(f"{self.url}/version") for _ in range(9)]
        return {each.json()["version"] if each.is_success else None for each in answers}

    @contextmanager
    def load(self, rate: int = 200) -> Iterator[dict[str, Any]]:
        """Requests through the load balancer, `rate` a second, eight at once, until this is left."""
        stop = self.root / f"stop-{self.place}"
        stop.unlink(missing_ok=True)
        command = [sys.executable, str(self.root / "services/load.py"), "--url", self.url, "--seconds", "300"]
        command += ["--workers", "8", "--rate", str(rate), "--stop-file", str(stop)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        result: dict[str, Any] = {}
        try:
            time.sleep(1)
            yield result
            time.sleep(0.5)
        finally:
            stop.touch()
            output, _ = process.communicate(timeout=180)
            result.update(json.loads(output))
