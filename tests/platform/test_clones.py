"""Two clones on one machine: both begin at the same time, and neither ever meets the other's processes."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.platform import quick
from tests.platform.conftest import Platform, copy_project, free_base, give_back

pytestmark = pytest.mark.slow


class Clone(Platform):
    """A copy of this project that wants the same ports as the others, until it is given other ones."""

    def demo(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(self.root / "services/demo.py"), *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def by_hand(self) -> None:
        """What somebody types who wants no demo: up on free ports, and a release. Whoever is faster has the ports."""
        while self.free_ports().run("platform-up").code:
            assert "opsbook env ports dev --free gives this clone other ports" in self.summary()["reason"]
            give_back(self)
        self.build("1.0.0")
        self.playbook("release", "migrate", "revert", service="arcade", version="1.0.0")

    def free_ports(self) -> "Clone":
        self.opsbook("env", "ports", "dev", "--free", check=True)
        return self

    @property
    def first(self) -> int:
        return int(json.loads(self.opsbook("env", "ports", "dev", "--json", check=True).out)["first"])

    def processes(self) -> dict[int, float]:
        """What was started for this clone, and when."""
        found = {}
        for process in psutil.process_iter(["environ", "create_time"]):
            marker = (process.info["environ"] or {}).get("OPSBOOK_SUPERVISED", "")
            if marker and Path(marker).is_relative_to(self.root):
                found[process.pid] = process.info["create_time"]
        return found

    def serves(self) -> set[str]:
        """Whose answers players get, asked several times, and whose load balancer it is."""
        base = f"http://127.0.0.1:{self.first}"
        state = f"http://127.0.0.1:{self.first + 3}"
        with httpx.Client(timeout=60, trust_env=False) as client:
            answers = [client.get(f"{base}/version").raise_for_status() for _ in range(9)]
            return {answer.headers["arcade-environment"] for answer in answers} | {
                client.get(state).json()["environment"]
            }


def cloned(root: Path, base: int) -> Clone:
    copy_project(root)
    quick.quicken(root)
    quick.without(root, *quick.SPARE)
    path = root / "playbooks/inventories/dev/environment.yml"
    text, count = re.subn(r"(?m)^ports: \d+", f"ports: {base}", path.read_text(encoding="utf-8"))
    assert count == 1
    path.write_text(text, encoding="utf-8")
    return Clone(root, base)


@pytest.fixture(scope="module", params=["one runs the demo", pytest.param("both run the demo", marks=pytest.mark.soak)])
def clones(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clone, Clone]]:
    """Two clones that want the same ports: at the same time one ran the demo, and the other was brought up, too."""
    folder, base = tmp_path_factory.mktemp("clones"), free_base()
    one, other = cloned(folder / "one", base), cloned(folder / "other", base)
    demos = [one] if request.param == "one runs the demo" else [one, other]
    running = []
    try:
        running += [(each, each.demo()) for each in demos]
        if other not in demos:
            other.by_hand()
        said = {each.root.name: (process.communicate(timeout=3000)[0], process.returncode) for each, process in running}
        for text, code in said.values():
            assert code == 0, text
            assert re.search(r"\b[1-9][0-9]* requests, 0 lost", text), text
        (folder / "said.json").write_text(json.dumps({name: text for name, (text, _) in said.items()}))
        yield one, other
    finally:
        for _, process in running:
            process.kill()
            process.wait()
        for each in (one, other):
            give_back(each)
            each.demo("--clean").communicate(timeout=1200)
            assert each.processes() == {}


def test_each_has_a_block_of_its_own_and_says_so(clones: tuple[Clone, Clone]) -> None:
    said = json.loads((clones[0].root.parent / "said.json").read_text())
    assert len({each.first for each in clones}) == 2
    for each in clones:
        assert each.serves() == {each.mark}
        if told := said.get(each.root.name):
            assert f"The service answers at   http://127.0.0.1:{each.first}\n" in told


def test_doctor_and_runs_see_their_own_service_only(clones: tuple[Clone, Clone]) -> None:
    for each in clones:
        assert "services that answer: arcade" in each.opsbook("doctor", "service-health", "-e", "dev").out
        each.run("service-health", check=True)


def test_a_taken_port_is_refused_before_anything_starts(clones: tuple[Clone, Clone], tmp_path: Path) -> None:
    # `base` is what environment.yml says in all of them.
    present = next(each for each in clones if each.first == each.base)
    third = cloned(tmp_path / "third", present.base)
    before = {each.root: (each.processes(), each.caddy()) for each in clones}
    refused = third.run("platform-up")
    assert refused.code == 1
    assert third.opsbook("locks").out == "Nothing is locked.\n"
    (pid,) = _listening(present)
    reason = str(third.summary()["reason"])
    assert f"port {present.base} is taken by process {pid} (" in reason
    assert f"caddy, which belongs to {present.root}/.opsbook/env/dev" in re.sub(r"\(.*?caddy .*?\)", "caddy", reason)
    assert "Nothing was started: opsbook env ports dev --free gives this clone other ports" in reason
    assert third.processes() == {}
    assert not (third.root / ".opsbook/env/dev/db").exists()
    assert {each.root: (each.processes(), each.caddy()) for each in clones} == before
    # What would have become of it is known beforehand, too.
    warned = third.opsbook("doctor", "service-health", "-e", "dev").out
    assert f"belongs to {present.root}/.opsbook/env/dev" in warned
    assert "services that answer" not in warned
    # A page does not take the other's service for its own, and going down leaves it alone.
    health = third.run("service-health")
    assert health.code == 1 and f"is answered by the environment {present.mark}" in str(third.summary()["reason"])
    third.run("platform-down", "-p", "purge=true", check=True)
    assert present.serves() == {present.mark}


def test_one_is_cleaned_and_the_other_still_serves(clones: tuple[Clone, Clone]) -> None:
    gone, stays = sorted(clones, key=lambda each: each.first == each.base, reverse=True)
    before = stays.processes()
    stays.base = stays.first
    with stays.load(rate=60) as result:
        process = gone.demo("--clean")
        text, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, text
    assert gone.processes() == {}
    assert result["requests"] > 0 and result["failed"] == 0, result
    assert stays.processes() == before
    assert stays.serves() == {stays.mark}


def _listening(clone: Clone) -> set[int]:
    """The process that has the first port of the clone."""
    found = psutil.net_connections(kind="tcp")
    return {each.pid for each in found if each.status == psutil.CONN_LISTEN and each.laddr.port == clone.first}
