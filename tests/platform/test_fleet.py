"""Runbooks on three hosts over real SSH."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform.fleet import Fleet, brought_up
from tests.support.project import Terminal, assert_all_gone, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/usr/sbin/sshd").exists(), reason="needs openssh-server"),
]

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


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with brought_up(tmp_path_factory.mktemp("fleet") / "project") as made:
        yield made


def page(fleet: Fleet, work: str, rollback: str = "manual") -> None:
    fleet.page(PAGE.format(work=work), front=f"rollback: {rollback}\n")


def come_back(fleet: Fleet) -> None:
    """The hosts that crashed, by themselves."""
    fleet.resume()
    until(lambda: all(fleet.answers(n) for n in (1, 2, 3)), "the hosts again")


def test_a_notice_is_published_and_taken_back(fleet: Fleet) -> None:
    assert fleet.run("publish-notice", "-p", "text=first {{ 7 * 7 }}").code == 0
    assert fleet.published() == ["first {{ 7 * 7 }}"] * 3
    # A second run changes nothing.
    assert fleet.run("publish-notice", "-p", "text=first {{ 7 * 7 }}").code == 0
    assert [e["changed"] for e in fleet.summary()["effects"] if e["changes"]] == [False]
    # All of it went over SSH.
    logs = [(fleet.root / f".opsbook/env/fleet/logs/edge-{n}.log").read_text(encoding="utf-8") for n in (1, 2, 3)]
    assert all("Accepted publickey" in log for log in logs)


def test_a_second_fleet_up_changes_nothing(fleet: Fleet) -> None:
    fleet.opsbook("run", "fleet-up", "-e", "fleet", check=True)
    (effect,) = [e for e in fleet.summary()["effects"] if e["changes"]]
    assert effect["changed"] is False


@pytest.mark.parametrize(
    ("rollback", "outcome", "code"),
    [pytest.param("manual", "failed", 3, marks=pytest.mark.soak), ("automatic", "rolled-back", 1)],
)
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
        fleet.wait_for_event("effect-progress", lambda data: data["text"].startswith("Work"))
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
        come_back(fleet)


def test_a_host_that_is_down_is_tolerated_or_retried(fleet: Fleet) -> None:
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
        page(fleet, 'playbook("fleet-notice.yml", vars={"text": "retried"})')
        terminal = Terminal(fleet.command("run", "page", "-e", "fleet", "--yes"), fleet)
        terminal.wait_for("edge-3 failed, edge-1, edge-2 did not")
    finally:
        come_back(fleet)
    terminal.type("retry\n")
    assert terminal.wait() == 0, terminal.screen
    assert fleet.published() == ["retried"] * 3
