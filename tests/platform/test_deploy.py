"""Deploys on the real platform: under load, broken, with odd values, twice."""

import json
import sys
from pathlib import Path

import pytest
from tests.platform.conftest import Platform

from tests.conftest import assert_all_gone

pytestmark = pytest.mark.slow

NASTY = ["{{ lookup('pipe','id') }}", "$(id)", "'; rm -rf /", "two\nlines", '"><script>alert(1)</script>']


@pytest.fixture(scope="module")
def deployed(platform: Platform) -> Platform:
    """Three releases built, the first one deployed."""
    platform.build("1.0.0")
    platform.build("1.1.0", "stock")
    platform.build("1.2.0", "faulty")
    assert platform.deploy("1.0.0").code == 0
    return platform


def test_the_first_deploy(deployed: Platform) -> None:
    assert deployed.versions() == {"1.0.0"}


def test_a_rolling_deploy_loses_no_request(deployed: Platform) -> None:
    deployed.deploy("1.0.0")
    with deployed.load() as seen:
        result = deployed.deploy("1.1.0")
    assert result.code == 0, result.out
    assert seen["failed"] == 0, seen
    assert seen["requests"] > 200
    assert set(seen["by_version"]) == {"1.0.0", "1.1.0"}
    assert deployed.versions() == {"1.1.0"}


def test_a_broken_release_rolls_back(deployed: Platform) -> None:
    deployed.deploy("1.1.0")
    result = deployed.deploy("1.2.0")
    told = deployed.summary()
    assert result.code == 1, result.out
    assert told["outcome"] == "rolled-back"
    assert "Steps, Players can play" in told["reason"]
    assert "leaderboard.lua" in told["reason"]
    rollback = [step for step in told["steps"] if step["section"] == "Rollback"]
    assert [step["status"] for step in rollback] == ["succeeded", "succeeded"]
    assert sum(step["seconds"] for step in rollback) < 120
    changed = [effect["summary"] for effect in told["effects"] if effect["changes"] and effect["changed"]]
    assert changed == ["playbook release.yml", "playbook switch.yml", "playbook revert.yml"]
    assert "Changed\n    Unpack the release: playbook release.yml" in result.out
    assert "Undone by\n    Bring the version before back: playbook revert.yml" in result.out
    assert deployed.versions() == {"1.1.0"}
    assert deployed.opsbook("locks").out == "Nothing is locked.\n"
    assert_all_gone(told["run"])


def test_the_same_deploy_twice_changes_nothing(deployed: Platform) -> None:
    deployed.deploy("1.1.0")
    deployed.deploy("1.1.0")
    told = deployed.summary()
    assert told["outcome"] == "succeeded"
    assert not any(effect["changed"] for effect in told["effects"] if effect["changes"])


def test_platform_up_twice_changes_nothing(deployed: Platform) -> None:
    before = deployed.versions()
    deployed.run("platform-up", check=True)
    assert not any(effect["changed"] for effect in deployed.summary()["effects"])
    assert deployed.versions() == before


def test_health_reads_only(deployed: Platform) -> None:
    deployed.deploy("1.0.0")
    deployed.run("service-health", check=True)
    told = deployed.summary()
    assert not any(effect["changes"] for effect in told["effects"])
    record = deployed.records()[-1]
    assert any(path.name.endswith("-metrics.txt") for path in (record / "effects").iterdir())


def test_rollback_service(deployed: Platform) -> None:
    deployed.deploy("1.1.0")
    deployed.run("rollback-service", "-p", "version=1.0.0", check=True)
    assert deployed.versions() == {"1.0.0"}


def test_a_broken_handler_is_not_built(deployed: Platform) -> None:
    handler = deployed.root / "services/arcade/handlers/score.lua"
    text = handler.read_text()
    try:
        handler.write_text(text + "\nfunction (\n")
        result = deployed.run("build-release", "-p", "version=7.0.0")
    finally:
        handler.write_text(text)
    assert result.code == 1
    line = text.count("\n") + 2
    assert f"handlers/score.lua:{line}" in deployed.summary()["reason"]
    assert not (deployed.root / ".opsbook/releases/arcade/7.0.0.tar.gz").exists()


def test_a_build_is_reproducible(deployed: Platform) -> None:
    releases = deployed.root / ".opsbook/releases/arcade"
    deployed.build("3.0.0")
    first = (releases / "3.0.0.tar.gz").read_bytes()
    (releases / "3.0.0.tar.gz").unlink()
    for path in (deployed.root / "services/arcade").rglob("*"):
        path.touch()
    deployed.build("3.0.0")
    assert (releases / "3.0.0.tar.gz").read_bytes() == first


def test_a_release_that_does_not_exist(deployed: Platform) -> None:
    before = len(deployed.records())
    result = deployed.deploy("1.0.1")
    assert result.code == 2
    assert "there is no release '1.0.1' in dev. Did you mean 1.0.0" in result.err
    assert len(deployed.records()) == before


@pytest.mark.parametrize("text", NASTY)
def test_values_arrive_as_plain_text(deployed: Platform, text: str) -> None:
    """In a playbook, in a message handler, in the record: what was typed, and nothing of it obeyed."""
    deployed.write(
        "playbooks/echo.yml",
        """\
        - name: Echo
          hosts: app[0]
          gather_facts: false
          tasks:
            - name: Write it down
              ansible.builtin.copy:
                content: "{{ text }}"
                dest: "{{ project_root }}/written"
                mode: "0600"
            - name: Pass it to a program
              ansible.builtin.command:
                argv: [printf, "%s", "{{ text }}"]
              register: passed
              changed_when: false
        """,
    )
    deployed.page(
        """\
        ## Parameters

        ```python tags=["parameters"]
        text: str
        ```

        ## Steps

        ### Everywhere

        ```python
        from opsbook import command, here, http, playbook
        playbook("echo.yml", vars={"text": text})
        assert command(["printf", "%s", text]).stdout == text
        message = {"Action": "Ping", "From": "test", "Data": text, "Tags": {"Name": text}}
        answer = http("POST", here.url("arcade") + "/messages", json=message, expect=200)
        print(answer.text)
        ```
        """
    )
    deployed.run("page", "-p", f"text={text}", check=True)
    assert (deployed.root / "written").read_text() == text
    record = deployed.records()[-1]
    (event,) = [e for e in deployed.events() if e["type"] == "run-started"]
    assert event["data"]["parameters"] == {"text": text}
    book = json.loads((record / "runbook.ipynb").read_text())
    assert book["metadata"]["papermill"]["parameters"] == {"text": text}
    (output,) = [e for e in deployed.events() if e["type"] == "output"]
    assert json.loads(output["data"]["output"]["text"])["Output"] is not None
    assert "uid=" not in (record / "journal.jsonl").read_text()


def test_a_session_in_a_notebook(deployed: Platform) -> None:
    """Outside a run the same page works in a sandbox, with no record."""
    before = len(deployed.records())
    code = (
        "from opsbook import here, http, playbook\n"
        "print(here.mode, here.environment, here.sandbox)\n"
        "print(http('GET', here.url('arcade') + '/version', expect=200).status)\n"
        "print(playbook('platform-up.yml').changed)\n"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=deployed.root, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.stdout.split() == ["session", "dev", "True", "200", "False"], done.stderr
    assert len(deployed.records()) == before


def test_the_procedure_runs_as_a_checklist(deployed: Platform) -> None:
    steps = [
        "nobody-else-is-deploying",
        "tell-the-on-call-engineer",
        "put-up-a-notice-for-players",
        "say-that-it-begins",
        "say-that-it-is-over",
    ]
    values = ["done", "done", "skip", "done", "done"]
    answers = [a for step, value in zip(steps, values, strict=True) for a in ("--answer", f"{step}={value}")]
    deployed.run("deployment-announcement", "-p", "version=1.1.0", *answers, check=True)
    told = deployed.summary()
    assert [step["status"] for step in told["steps"]] == [
        v.replace("done", "succeeded").replace("skip", "skipped") for v in values
    ]


def test_no_secret_of_the_platform_is_in_any_record(deployed: Platform) -> None:
    (password,) = deployed.root.glob(".opsbook/env/dev/secrets/db_password")
    secret = password.read_text().strip()
    for path in (deployed.root / "records").rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    assert Path(password).stat().st_mode & 0o777 == 0o600
