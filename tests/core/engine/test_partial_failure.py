"""A playbook that fails on some hosts and not on others; the hosts are this machine."""

import signal
from typing import Any

import pytest

from tests.support.project import HOSTS, Project, Terminal

pytestmark = pytest.mark.slow

TOUCH = """\
- hosts: app
  gather_facts: false
  {serial}
  tasks:
    - name: Need a permission
      ansible.builtin.assert:
        that: inventory_hostname != bad or (playbook_dir ~ '/permission') is exists
        quiet: true
      vars:
        bad: "{{{{ bad_host | default('web-2') }}}}"
    - name: Work
      ansible.builtin.copy:
        content: "x"
        dest: "{{{{ playbook_dir }}}}/{{{{ prefix }}}}-{{{{ inventory_hostname }}}}"
        mode: "0644"
"""

THREE = HOSTS + "        web-3:\n"

PAGE = """
    ## Prerequisites

    ### Import
    ```python
    from opsbook import playbook
    ```

    ## Steps

    ### First
    ```python
    found = playbook("touch.yml", vars={"prefix": "first"})
    found
    ```

    ### Second
    ```python
    playbook("touch.yml", vars={"prefix": "second"})
    ```

    ## Rollback

    ### Undo
    ```python
    playbook("touch.yml", vars={"prefix": "undo", "bad_host": "none"})
    ```
"""


def prepared(project: Project, rollback: str = "manual", serial: str = "") -> None:
    project.write("playbooks/inventories/dev/hosts.yml", THREE)
    project.write("playbooks/touch.yml", TOUCH.format(serial=serial))
    project.page(PAGE, front=f"rollback: {rollback}\n")


def touched(project: Project) -> set[str]:
    return {path.name for path in project.root.glob("playbooks/*-web-*")}


def results(project: Project) -> list[dict[str, Any]]:
    return [e["data"]["result"] for e in project.events() if e["type"] == "effect-result"]


def started(project: Project) -> Terminal:
    return Terminal(project.command("run", "page", "-e", "dev", "--yes"), project)


def test_the_operator_retries_the_hosts_that_failed(project: Project) -> None:
    prepared(project)
    terminal = started(project)
    terminal.wait_for("web-2 failed, web-1, web-3 did not")
    terminal.wait_for("[retry/without/stop]")
    (project.root / "playbooks/permission").touch()
    terminal.type("retry\n")
    assert terminal.wait() == 0, terminal.screen
    first, _ = results(project)
    assert {host: (c["failed"], c["changed"]) for host, c in first["hosts"].items()} == {
        "web-1": (0, 1),
        "web-2": (0, 1),
        "web-3": (0, 1),
    }
    assert (first["failures"], first["left_out"]) == ([], [])
    # Only the one host was done again.
    assert [e["data"]["text"] for e in project.events() if e["type"] == "effect-progress"].count("Work: web-1 ok") == 0
    answered = next(e["data"] for e in project.events() if e["type"] == "question-answered")
    assert (answered["name"], answered["value"]) == ("first-hosts", "retry")


def test_the_operator_goes_on_without_them_in_all_that_follows(project: Project) -> None:
    """The signal that a closed terminal sends, while a decision is asked, ends no run."""
    prepared(project)
    terminal = started(project)
    terminal.wait_for("[retry/without/stop]")
    terminal.process.send_signal(signal.SIGHUP)
    terminal.type("w\n")
    assert terminal.wait() == 0, terminal.screen
    assert touched(project) == {"first-web-1", "first-web-3", "second-web-1", "second-web-3"}
    first, second = results(project)
    assert first["left_out"] == second["left_out"] == ["web-2"]
    assert first["hosts"]["web-2"]["failed"] == 1
    assert "every step succeeded, without web-2" in terminal.screen
    project.opsbook("records", "verify", "last", check=True)


def test_a_batch_that_fails_as_a_whole_lets_the_others_go_on(project: Project) -> None:
    prepared(project, serial="serial: 1")
    terminal = started(project)
    terminal.wait_for("[retry/without/stop]")
    terminal.type("without\n")
    assert terminal.wait() == 0, terminal.screen
    assert touched(project) == {"first-web-1", "first-web-3", "second-web-1", "second-web-3"}


@pytest.mark.parametrize(
    ("rollback", "outcome"), [("manual", "failed"), pytest.param("automatic", "rolled-back", marks=pytest.mark.soak)]
)
def test_stop_is_a_failure_and_the_page_decides_on_rollback(project: Project, rollback: str, outcome: str) -> None:
    prepared(project, rollback)
    terminal = started(project)
    terminal.wait_for("[retry/without/stop]")
    terminal.type("stop\n")
    if rollback == "manual":
        terminal.wait_for("What now?")
        terminal.type("stop\n")
    assert terminal.wait() == {"failed": 3, "rolled-back": 1}[outcome], terminal.screen
    assert project.summary()["outcome"] == outcome
    undone = {"undo-web-1", "undo-web-2", "undo-web-3"} if rollback == "automatic" else set()
    assert touched(project) == {"first-web-1", "first-web-3"} | undone


def test_a_rollback_tries_a_host_again_that_was_left_out(project: Project) -> None:
    prepared(project, "automatic")
    page = project.root / "runbooks/page.md"
    page.write_text(page.read_text(encoding="utf-8").replace('"second"})', '"second"}); 1/0'), encoding="utf-8")
    terminal = started(project)
    terminal.wait_for("[retry/without/stop]")
    terminal.type("without\n")
    assert terminal.wait() == 1, terminal.screen
    assert "undo-web-2" in touched(project)


@pytest.mark.parametrize(
    ("rollback", "outcome"), [pytest.param("ask", "failed", marks=pytest.mark.soak), ("automatic", "rolled-back")]
)
def test_with_nobody_there_it_fails(project: Project, rollback: str, outcome: str) -> None:
    prepared(project, rollback)
    done = project.opsbook("run", "page", "-e", "dev")
    assert "web-2: Need a permission" in done.out
    assert project.summary()["outcome"] == outcome
    assert [e for e in project.events() if e["type"] == "question-asked"] == []


def test_where_every_host_failed_there_is_nothing_to_decide(project: Project) -> None:
    prepared(project)
    text = (project.root / "playbooks/touch.yml").read_text(encoding="utf-8")
    (project.root / "playbooks/touch.yml").write_text(text.replace("inventory_hostname != bad or ", ""), "utf-8")
    terminal = started(project)
    terminal.wait_for("What now?")
    terminal.type("stop\n")
    assert terminal.wait() == 3
    assert "retry/without" not in terminal.screen


def test_a_cancel_takes_the_question_back(project: Project) -> None:
    prepared(project)
    terminal = started(project)
    terminal.wait_for("[retry/without/stop]")
    terminal.process.send_signal(signal.SIGINT)
    project.wait_for_event("cancel-requested")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == 5, terminal.screen
    assert project.summary()["outcome"] == "cancelled"


def test_hosts_left_out_inside_a_team_effect_stay_out(project: Project) -> None:
    prepared(project)
    project.write(
        "lib/team/effects.py",
        """
        from opsbook import effect, playbook

        @effect(changes=True)
        def rollout() -> None:
            playbook("touch.yml", vars={"prefix": "first"})
            playbook("touch.yml", vars={"prefix": "inner"})
        """,
    )
    page = project.root / "runbooks/page.md"
    text = page.read_text(encoding="utf-8").replace(
        'found = playbook("touch.yml", vars={"prefix": "first"})\nfound', "from team.effects import rollout\nrollout()"
    )
    page.write_text(text, encoding="utf-8")
    terminal = started(project)
    terminal.wait_for("[retry/without/stop]")
    terminal.type("without\n")
    assert terminal.wait() == 0, terminal.screen
    prefixes = ("first", "inner", "second")
    assert touched(project) == {f"{prefix}-web-{n}" for prefix in prefixes for n in (1, 3)}
    assert "without web-2" in terminal.screen
