"""Deploys on the real platform: under load, broken, with odd values, twice."""

import json
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.platform.conftest import Platform
from tests.support.project import assert_all_gone, until

pytestmark = pytest.mark.slow

NASTY = ["{{ lookup('pipe','id') }}", "$(id)", "'; rm -rf /", "two\nlines", '"><script>alert(1)</script>']


@pytest.fixture(scope="module")
def deployed(platform: Platform) -> Platform:
    """Three releases built, the first one deployed."""
    platform.have("1.0.0", "1.1.0", "1.2.0")
    assert platform.deploy("1.0.0").code == 0
    return platform


def test_the_first_deploy(deployed: Platform) -> None:
    assert deployed.versions() == {"1.0.0"}


def test_a_rolling_deploy_loses_no_request(deployed: Platform) -> None:
    deployed.serve("1.0.0")
    with deployed.load(rate=80) as seen:
        result = deployed.deploy("1.1.0")
    assert result.code == 0, result.out
    assert seen["failed"] == 0, seen
    assert seen["requests"] > 200
    assert set(seen["by_version"]) == {"1.0.0", "1.1.0"}
    assert deployed.versions() == {"1.1.0"}


def test_a_broken_release_rolls_back(deployed: Platform) -> None:
    deployed.serve("1.1.0")
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
    deployed.serve("1.1.0")
    deployed.deploy("1.1.0")
    told = deployed.summary()
    assert told["outcome"] == "succeeded"
    assert not any(effect["changed"] for effect in told["effects"] if effect["changes"])


@pytest.mark.soak
def test_platform_up_twice_changes_nothing(deployed: Platform) -> None:
    before = deployed.versions()
    deployed.run("platform-up", check=True)
    assert not any(effect["changed"] for effect in deployed.summary()["effects"])
    assert deployed.versions() == before


def test_health_reads_only(deployed: Platform) -> None:
    deployed.run("service-health", check=True)
    told = deployed.summary()
    assert not any(effect["changes"] for effect in told["effects"])
    record = deployed.records()[-1]
    assert any(path.name.endswith("-metrics.txt") for path in (record / "effects").iterdir())


@pytest.mark.soak
def test_rollback_service(deployed: Platform) -> None:
    deployed.serve("1.1.0")
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


def test_what_a_release_needs_goes_first(deployed: Platform, source: Path) -> None:
    """A newer database, and services that are older, or unknown: all named at once, with nothing touched."""
    before = deployed.versions()
    needs = json.loads((source / "needs.json").read_text())
    needs["postgresql"] = ">=99"
    needs["services"] = {"arcade": ">=1.0", "scores": ">=2", "mail": ">=1"}
    (source / "needs.json").write_text(json.dumps(needs))
    deployed.run(
        "build-release", "-p", "version=8.0.0", "-p", f"source={source.relative_to(deployed.root)}", check=True
    )
    built = deployed.records()[-1].name
    (said,) = json.loads(deployed.opsbook("releases", "show", "8.0.0", "--json", check=True).out)["built"]
    assert said["build"]["run"] == built
    assert said["build"]["manifest"]["needs"] == {"postgresql": ">=99", "services": needs["services"]}
    path = deployed.root / "playbooks/inventories/dev/environment.yml"
    text = path.read_text()
    with answering({"version": "1.9"}) as url:
        path.write_text(text.replace("urls:\n", f"urls:\n  scores: {url}\n"))
        try:
            result = deployed.deploy("8.0.0")
        finally:
            path.write_text(text)
    told = deployed.summary()
    assert (result.code, told["outcome"]) == (1, "failed"), result.out
    reason = " ".join(result.out.split())
    assert re.search(r"needs postgresql >=99, and 1\d\.\d+ is there", reason), reason
    assert "scores >=2, and 1.9 is there" in reason
    assert "mail >=1, and nobody can say which is there: urls: in environment.yml has none" in reason
    assert "arcade >=1.0" not in reason
    assert not any(effect["changes"] for effect in told["effects"])
    assert deployed.versions() == before


@pytest.fixture
def source(deployed: Platform) -> Iterator[Path]:
    """A source of arcade that a test may change."""
    target = deployed.root / ".opsbook/sources/other"
    shutil.copytree(deployed.root / "services/arcade", target)
    yield target
    shutil.rmtree(target)


@contextmanager
def answering(content: dict[str, str]) -> Iterator[str]:
    """Another service, which answers everything with this; its URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


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


ECHO = """\
- name: Echo
  hosts: app[0]
  gather_facts: false
  tasks:
    - name: Write it down
      ansible.builtin.copy:
        content: "{{ %(name)s }}"
        dest: "{{ project_root }}/written-%(name)s"
        mode: "0600"
    - name: Pass it to a program
      ansible.builtin.command:
        argv: [printf, "%%s", "{{ %(name)s }}"]
      register: passed
      changed_when: false
"""
TEXTS = """
    ## Parameters

    ```python tags=["parameters"]
    a: str
    b: str
    c: str
    d: str
    e: str
    ```

    ## Steps

    ### Everywhere

    ```python
    from opsbook import command, here, http, playbook
    given = {"a": a, "b": b, "c": c, "d": d, "e": e}
    playbook("echo.yml", vars=given)
    for name, text in given.items():
        assert command(["printf", "%s", text], key=name).stdout == text
        message = {"Action": "Ping", "From": "test", "Data": text, "Tags": {"Name": text}}
        answer = http("POST", here.url("arcade") + "/messages", json=message, expect=200, key=f"ping {name}")
        print(answer.text)
    ```
"""


@pytest.fixture(scope="module")
def given(deployed: Platform) -> dict[str, str]:
    """A run with each of the texts as a parameter, in a playbook, a message handler and the record."""
    texts = dict(zip("abcde", NASTY, strict=True))
    deployed.write("playbooks/echo.yml", "".join(ECHO % {"name": name} for name in texts))
    deployed.page(TEXTS)
    values = [argument for name, text in texts.items() for argument in ("-p", f"{name}={text}")]
    deployed.run("page", *values, check=True)
    return texts


@pytest.fixture(scope="module")
def told(deployed: Platform, given: dict[str, str]) -> Path:
    """The record of that run."""
    return deployed.records()[-1]


@pytest.mark.parametrize("name", "abcde")
def test_values_arrive_as_plain_text(deployed: Platform, given: dict[str, str], told: Path, name: str) -> None:
    """In a playbook, in a message handler, in the record: what was typed, and nothing of it obeyed."""
    assert (deployed.root / f"written-{name}").read_text() == given[name]
    journal = (told / "journal.jsonl").read_text()
    events = [json.loads(line) for line in journal.splitlines()]
    (event,) = [e for e in events if e["type"] == "run-started"]
    assert event["data"]["parameters"] == given
    book = json.loads((told / "runbook.ipynb").read_text())
    assert book["metadata"]["papermill"]["parameters"] == given
    said = "".join(e["data"]["output"]["text"] for e in events if e["type"] == "output")
    answers = [json.loads(line) for line in said.splitlines()]
    assert len(answers) == len(given)
    assert answers["abcde".index(name)]["Output"] is not None
    assert "uid=" not in journal


def test_a_session_in_a_notebook(deployed: Platform) -> None:
    """Outside a run the same effects work in a sandbox; what they did is in a record."""
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
    assert len(deployed.records()) == before + 1
    until(lambda: deployed.summary()["outcome"] == "ended", "its record is sealed")
    told = deployed.summary()
    assert (told["mode"], len(told["effects"])) == ("session", 2)


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
    (password,) = deployed.root.glob(".opsbook/env/dev/secrets/database.conf")
    secret = deployed.credentials()["password"]
    for path in (deployed.root / "records").rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    assert Path(password).stat().st_mode & 0o777 == 0o600
