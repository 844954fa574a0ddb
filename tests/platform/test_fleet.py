"""Three hosts over real SSH: each an sshd with an address, keys and a folder of its own, started without root."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.platform import quick
from tests.platform.conftest import COPIED, ROOT, free, give_back

from opsbook import settings
from opsbook.environments import ports
from tests.conftest import Project, Result, Terminal, assert_all_gone, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/usr/sbin/sshd").exists(), reason="needs openssh-server"),
]

SSH = 22
"""The hosts' port, from the first one of their block."""

SLOW = """\
- name: Take a while on every host
  hosts: edge
  gather_facts: false
  tasks:
    - name: Begin
      ansible.builtin.copy:
        content: begun
        dest: "{{ host_folder }}/www/begun"
        mode: "0644"
    - name: Work
      ansible.builtin.wait_for:
        path: "{{ playbook_dir }}/go-on"
        timeout: 300
    - name: End
      ansible.builtin.copy:
        content: ended
        dest: "{{ host_folder }}/www/ended"
        mode: "0644"
"""

PAGE = """
    ## Prerequisites

    ### Import
    ```python
    from opsbook import playbook
    ```

    ## Steps

    ### Work
    ```python
    {work}
    ```

    ## Rollback

    ### Undo
    ```python
    playbook("fleet-notice.yml", vars={{"text": "undone"}}, max_unreachable=1)
    ```
"""


class Fleet(Project):
    """The project with the three hosts up, each at its address and the port."""

    port = 0

    def answers(self, number: int) -> bool:
        """Whether the SSH server of a host listens."""
        return not free(self.port, f"127.0.0.{number + 1}")

    def run(self, runbook: str, *arguments: str) -> Result:
        return self.opsbook("run", runbook, "-e", "fleet", *arguments)

    def file(self, host: str, name: str) -> Path:
        return self.root / ".opsbook/env/fleet/hosts" / host / "www" / name

    def published(self) -> list[str]:
        return [self.file(f"edge-{n}", "notice.txt").read_text(encoding="utf-8") for n in (1, 2, 3)]

    def servers(self, host: str = "") -> list[psutil.Process]:
        """The SSH servers of one host, or of all."""
        config = f"{self.root}/.opsbook/env/fleet/hosts/{host}"
        found = psutil.process_iter(["name", "cmdline"])
        return [p for p in found if p.info["name"] == "sshd" and config in " ".join(p.info["cmdline"] or ())]

    def crash(self, host: str) -> None:
        """The host is gone at once, with every connection to it; nothing starts it again."""
        for server in self.servers(host):
            # Suspended first: supervisord starts a server again that ended.
            (supervisor,) = (p for p in server.parents() if "supervisor" in " ".join(p.cmdline()))
            supervisor.suspend()
            for process in (*server.children(recursive=True), server):
                process.kill()

    def repair(self) -> None:
        self.resume()
        self.opsbook("run", "fleet-up", "-e", "fleet", check=True)

    def resume(self) -> None:
        """supervisord goes on, and starts every server that is not there."""
        for process in psutil.process_iter(["status"]):
            if process.info["status"] == psutil.STATUS_STOPPED and str(self.root) in " ".join(process.cmdline()):
                process.resume()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    root = tmp_path_factory.mktemp("fleet") / "project"
    root.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    quick.quicken(root)
    made = Fleet(root)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    blocks = range(23100 + 1000 * worker, 24100 + 1000 * worker, 100)
    base = next(each for each in blocks if all(free(each + SSH, f"127.0.0.{n}") for n in (2, 3, 4)))
    ports.give(settings.load(root, given=True), "fleet", base)
    made.port = base + SSH
    made.write("playbooks/slow.yml", SLOW)
    try:
        made.opsbook("run", "fleet-up", "-e", "fleet", check=True)
        yield made
    finally:
        give_back(made)
        made.opsbook("run", "fleet-down", "-e", "fleet", "-p", "purge=true", check=True)
        assert made.servers() == []


def page(fleet: Fleet, work: str, rollback: str = "manual") -> None:
    fleet.page(PAGE.format(work=work), front=f"rollback: {rollback}\n")


def test_a_notice_is_published_and_taken_back(fleet: Fleet) -> None:
    assert fleet.run("publish-notice", "-p", "text=first {{ 7 * 7 }}").code == 0
    assert fleet.published() == ["first {{ 7 * 7 }}"] * 3
    # A second run changes nothing.
    assert fleet.run("publish-notice", "-p", "text=first {{ 7 * 7 }}").code == 0
    assert [e["changed"] for e in fleet.summary()["effects"] if e["changes"]] == [False]


def test_it_goes_over_ssh(fleet: Fleet) -> None:
    fleet.run("publish-notice", "-p", "text=over ssh")
    logs = [(fleet.root / f".opsbook/env/fleet/logs/edge-{n}.log").read_text(encoding="utf-8") for n in (1, 2, 3)]
    assert all("Accepted publickey" in log for log in logs)


def test_a_second_fleet_up_changes_nothing(fleet: Fleet) -> None:
    fleet.opsbook("run", "fleet-up", "-e", "fleet", check=True)
    (effect,) = [e for e in fleet.summary()["effects"] if e["changes"]]
    assert effect["changed"] is False


@pytest.mark.parametrize(("rollback", "outcome", "code"), [("manual", "failed", 3), ("automatic", "rolled-back", 1)])
def test_a_host_that_stops_mid_run_harms_no_other(fleet: Fleet, rollback: str, outcome: str, code: int) -> None:
    fleet.run("publish-notice", "-p", "text=before")
    for n in (1, 2, 3):
        for name in ("begun", "ended"):
            fleet.file(f"edge-{n}", name).unlink(missing_ok=True)
    go_on = fleet.root / "playbooks/go-on"
    go_on.unlink(missing_ok=True)
    page(fleet, 'playbook("slow.yml")', rollback)
    process = fleet.start("run", "page", "-e", "fleet")
    try:
        until(lambda: all(fleet.file(f"edge-{n}", "begun").exists() for n in (1, 2, 3)), "the hosts at work")
        fleet.wait_for_event("effect-progress", lambda data: data["text"] == "Work")
        fleet.crash("edge-2")
        go_on.touch()
        out, _ = process.communicate(timeout=600)
        assert process.returncode == code, out
        told = fleet.summary()
        assert told["outcome"] == outcome
        assert "edge-2: Work: Failed to connect" in told["reason"] or "edge-2: Work:" in told["reason"], told["reason"]
        assert "edge-1" not in told["reason"]
        # The others did all of their work, and only a page that says so is rolled back.
        assert [fleet.file(f"edge-{n}", "ended").exists() for n in (1, 2, 3)] == [True, False, True]
        undone = "undone" if rollback == "automatic" else "before"
        assert fleet.published() == [undone, "before", undone]
        assert_all_gone(fleet.records()[-1].name)
    finally:
        fleet.repair()


def test_a_host_that_is_down_may_be_tolerated(fleet: Fleet) -> None:
    fleet.run("publish-notice", "-p", "text=old")
    fleet.crash("edge-3")
    try:
        refused = fleet.run("publish-notice", "-p", "text=new")
        assert refused.code == 1
        assert "edge-3" in refused.out
        assert fleet.published() == ["old"] * 3
        assert fleet.run("publish-notice", "-p", "text=new", "-p", "max_unreachable=1").code == 0
        assert fleet.published() == ["new", "new", "old"]
        result = [e["data"]["result"] for e in fleet.events() if e["type"] == "effect-result"][-1]
        assert {host: counts["unreachable"] for host, counts in result["hosts"].items()} == {
            "edge-1": 0,
            "edge-2": 0,
            "edge-3": 1,
        }
    finally:
        fleet.repair()


def test_a_host_that_comes_back_is_retried(fleet: Fleet) -> None:
    fleet.run("publish-notice", "-p", "text=old")
    fleet.crash("edge-1")
    page(fleet, 'playbook("fleet-notice.yml", vars={"text": "retried"})')
    terminal = Terminal(fleet.command("run", "page", "-e", "fleet", "--yes"), fleet)
    terminal.wait_for("edge-1 failed, edge-2, edge-3 did not")
    fleet.resume()
    until(lambda: fleet.answers(1), "edge-1 again")
    terminal.type("retry\n")
    assert terminal.wait() == 0, terminal.screen
    assert fleet.published() == ["retried"] * 3
