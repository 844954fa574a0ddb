"""opsbook env ports: a clone's own block of ports, and who has them, from the real command line."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.planning.drafts import RunRequest
from opsbook.doctor import runbook
from tests.support.project import Project, until

pytestmark = pytest.mark.slow

POLICY = 'title: Development\nsandbox: true\nports: {first}\nurls: {{arcade: "http://127.0.0.1:{{ports}}/"}}\n'


@pytest.fixture
def moving(project: Project) -> Project:
    """A project whose environment dev has a block in which nobody listens, and prod, which is no sandbox."""
    # Each worker has its own, so that no two choose the same.
    begin = 24000 + 1300 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 6)
    first = next(each for each in range(begin, begin + 1000, 100) if all(map(unused, range(each, each + 300))))
    project.write("playbooks/inventories/dev/environment.yml", POLICY.format(first=first))
    for name, policy in (("prod", f"ports: {first + 1000}\n"), ("bare", "sandbox: true\n")):
        project.write(f"playbooks/inventories/{name}/hosts.yml", "all:\n  hosts:\n    here:\n")
        project.write(f"playbooks/inventories/{name}/environment.yml", policy)
    return project


def unused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def block(project: Project, *options: str) -> dict[str, object]:
    return dict(json.loads(project.opsbook("env", "ports", "dev", *options, "--json", check=True).out))


@contextmanager
def listening(port: int, folder: Path | None, address: str = "127.0.0.1") -> Iterator[int]:
    """A process that listens, and says that it belongs to the environment in the folder; its number."""
    environ = {**os.environ, **({"OPSBOOK_SUPERVISED": str(folder)} if folder else {})}
    command = [sys.executable, "-m", "http.server", "--bind", address, str(port)]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _taken(port, address), f"port {port}")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _taken(port: int, address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def test_a_clone_is_given_other_ports_and_goes_back(moving: Project) -> None:
    first = int(str(block(moving)["first"]))
    assert block(moving) | {"clone": ""} == {
        "name": "dev",
        "clone": "",
        "first": first,
        "last": first + 99,
        "moved": False,
        "written": first,
        "urls": {"arcade": f"http://127.0.0.1:{first}/"},
    }
    moved = block(moving, str(first + 200))
    assert (moved["first"], moved["moved"], moved["written"]) == (first + 200, True, first)
    assert f"http://127.0.0.1:{first + 200}/" in moving.opsbook("env", "show", "dev", check=True).out
    said = moving.opsbook("env", "ports", "dev", check=True).out
    assert said.startswith(
        f"dev: ports {first + 200} to {first + 299}, given to this clone; environment.yml says {first}"
    )
    assert block(moving, "--reset")["first"] == first


def test_cells_see_the_ports_that_the_clone_has(moving: Project) -> None:
    first = int(str(block(moving)["first"])) + 100
    block(moving, str(first))
    moving.page("""
        ## Steps

        ### Look
        ```python
        from opsbook import here

        print(here.url("arcade"), here.ports)
        ```
    """)
    assert f"http://127.0.0.1:{first} {first}" in moving.opsbook("run", "page", "-e", "dev", check=True).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dev", "18150"), "18150 cannot be taken: a block of ports begins at a multiple of 100"),
        (("dev", "99999999"), "99999999 cannot be taken"),
        (("prod", "18400"), "prod is no sandbox: its ports are what environment.yml says."),
        (("prod", "--free"), "prod is no sandbox"),
        (("bare",), "bare has no ports of its own."),
        (("nowhere",), "There is no environment nowhere."),
    ],
)
def test_what_cannot_be_is_refused(moving: Project, arguments: tuple[str, ...], said: str) -> None:
    refused = moving.opsbook("env", "ports", *arguments)
    assert refused.code == 2
    assert f"opsbook: {said}" in refused.err
    assert not (moving.root / ".opsbook/ports").exists()


def test_ports_of_another_environment_here_are_not_taken(moving: Project) -> None:
    first = int(str(block(moving)["first"]))
    refused = moving.opsbook("env", "ports", "dev", str(first + 1000))
    assert f"opsbook: prod has the ports from {first + 1000} on." in refused.err


def test_free_moves_only_where_somebody_else_listens(moving: Project, tmp_path: Path) -> None:
    first = int(str(block(moving)["first"]))
    assert block(moving, "--free")["first"] == first
    with listening(first + 3, moving.root / ".opsbook/env/dev"):
        # Its own services are no reason to move.
        assert block(moving, "--free")["first"] == first
    with listening(first + 14, tmp_path / "other/.opsbook/env/dev"), listening(first + 150, None, "127.0.0.3"):
        assert block(moving, "--free")["first"] == first + 200
    # It stays there: the number is the clone's own from now on.
    assert block(moving)["first"] == first + 200


def test_doctor_names_whose_service_it_is(moving: Project, tmp_path: Path) -> None:
    moving.page("\n## Steps\n\n### Look\n```python\nprint(1)\n```\n")
    first, other = int(str(block(moving)["first"])), tmp_path / "other/.opsbook/env/dev"

    def services() -> str:
        about = runbook.subject(settings.load(moving.root, given=True), RunRequest("page", "dev"))
        return "\n".join(finding.text for finding in runbook.urls(about))

    with listening(first, other) as pid:
        assert f"answers process {pid} " in services() and f"belongs to {other}" in services()
        assert "services that answer: arcade" not in services()
    # Another environment of this clone is another one, too.
    with listening(first, moving.root / ".opsbook/env/training"):
        assert "belongs to" in services()
    with listening(first, moving.root / ".opsbook/env/dev"):
        assert services() == "services that answer: arcade"


def test_a_run_says_its_id_to_whoever_started_it(moving: Project, tmp_path: Path) -> None:
    moving.page("\n## Steps\n\n### Look\n```python\nprint(1)\n```\n")
    name = tmp_path / "id"
    moving.opsbook("run", "page", "-e", "dev", "--id-file", str(name), check=True)
    assert name.read_text() == f"{moving.records()[-1].name}\n"
    refused = moving.opsbook("run", "page", "-e", "dev", "--id-file", str(tmp_path / "no/folder/id"))
    assert (refused.code, len(moving.records())) == (2, 1)
    assert "cannot be written" in refused.err
