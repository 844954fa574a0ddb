"""The checklist before the shift: everything fine, and each thing that is not."""

import json
import os
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsbook.core.locks import lock
from tests.support.project import Project, Terminal
from tests.support.sealed import make

pytestmark = pytest.mark.slow

PAGE = """\
## Parameters

```python tags=["parameters"]
from opsbook.params import Release, Secret
version: Release     # Which version
token: Secret        # For the registry
size: int = 3
```

## Steps

### Put it there
```python
from opsbook import confirm, playbook
confirm("sure", "Sure?")
playbook("good.yml", vars={"version": version})
```

### Tell them
Write to the team.
"""

GOOD = "- name: Good\n  hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.ping:\n"


@pytest.fixture
def page(project: Project) -> Project:
    project.page(PAGE, front='lock: ["{environment}/{version}"]\n')
    project.write("playbooks/good.yml", GOOD)
    return project


def doctor(project: Project, *arguments: str, code: int = 0) -> dict[str, list[tuple[str, str]]]:
    """Levels and texts by check. Everything that is not fine comes with a hint."""
    result = project.opsbook("doctor", *arguments, "--json")
    assert result.code == code, result.out + result.err
    rows = json.loads(result.out)
    assert all(bool(row["hint"]) == (row["level"] != "fine") for row in rows)
    assert (code == 1) == any(row["level"] == "wrong" for row in rows)
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        found.setdefault(row["check"], []).append((row["level"], row["text"]))
    return found


def only(findings: list[tuple[str, str]], level: str) -> str:
    """The one text of this level."""
    (text,) = [text for found, text in findings if found == level]
    return text


# -- the machine and the project


def test_everything_is_fine(page: Project) -> None:
    found = doctor(page)
    assert {level for findings in found.values() for level, _ in findings} == {"fine"}
    assert only(found["environments"], "fine") == "1 environment: dev"
    assert only(found["documents"], "fine") == "1 document, no errors, 0 warnings"
    assert f"Python {sys.version_info[0]}.{sys.version_info[1]}" in only(found["versions"], "fine")
    said = page.opsbook("doctor", check=True).out.splitlines()
    assert all(line.startswith("✓ ") for line in said)
    # It looks; it leaves nothing behind.
    assert not (page.root / "records").exists()
    assert not (page.root / ".opsbook").exists()


def _vault_password(project: Project, mode: int) -> None:
    path = project.write("password", "hunter2\n")
    path.chmod(mode)
    project.write("opsbook.toml", 'vault_password_file = "password"\n')


def _secret_file(project: Project, mode: int) -> None:
    project.write("secret.txt", "hunter2-value").chmod(mode)
    project.write("playbooks/inventories/dev/environment.yml", "secrets: {token: 'file:secret.txt'}\n")


def _rotation(project: Project, rule: str, days: float = 0.0) -> None:
    """A secret with a rule, and a run of its page so many days ago; none of them for zero."""
    project.page(PAGE, "rotate")
    policy = f"secrets: {{token: 'exec:printf value-of-it'}}\nrotation: {{token: {{{rule}}}}}\n"
    project.write("playbooks/inventories/dev/environment.yml", policy)
    if days:
        make(project, days, runbook="rotate")
    make(project, 1, "failed", runbook="rotate")
    make(project, 1, runbook="rotate", environment="other")


def _old_file(project: Project) -> None:
    _secret_file(project, 0o600)
    then = time.time() - 40 * 86400
    os.utime(project.root / "secret.txt", (then, then))
    path = project.root / "playbooks/inventories/dev/environment.yml"
    path.write_text(path.read_text() + "rotation: {token: {max_age: 30d}}\n")


def _quarantined(project: Project) -> None:
    folder = make(project, 1)
    (project.root / "records/quarantine").mkdir(mode=0o700)
    folder.rename(project.root / "records/quarantine" / folder.name)


def _lock(project: Project, run: str) -> None:
    lock.acquire(project.root / ".opsbook", [lock.Lock("dev/x", run, "ann@host", "Deploy", "2026-01-01T00:00:00Z")])


def _lost(project: Project) -> None:
    folder = make(project, 1)
    (folder / "seal.json").unlink()
    _lock(project, folder.name)


def _open(project: Project, name: str) -> None:
    (project.root / name).mkdir()
    (project.root / name).chmod(0o777)


def _bad_hosts(project: Project) -> None:
    project.write("playbooks/inventories/staging/hosts.yml", "hosts: 5")


def _no_password(project: Project) -> None:
    project.write("opsbook.toml", 'vault_password_file = "password"')


WRONG: list[tuple[str, str, str, Callable[[Project], Any]]] = [
    ("environments", "wrong", "staging/hosts.yml: hosts", _bad_hosts),
    ("environments", "warning", "there is no environment", lambda p: shutil.rmtree(p.root / "playbooks/inventories")),
    ("documents", "wrong", "2 documents, 1 error", lambda p: p.page("## Steps\n\n### X\n```python\nx =\n```\n", "bad")),
    ("secret files", "wrong", "password cannot be read", _no_password),
    ("secret files", "warning", "vault_password_file: others can read", lambda p: _vault_password(p, 0o640)),
    ("secret files", "warning", "secret token of dev: others can read", lambda p: _secret_file(p, 0o604)),
    ("ages of secrets", "warning", "token of dev: 40 days old (by its file), overdue: 30d is allowed", _old_file),
    ("ages of secrets", "warning", "token of dev: its age is not known", lambda p: _rotation(p, "max_age: 30d")),
    (
        "ages of secrets",
        "warning",
        "overdue: 30d is allowed",
        lambda p: _rotation(p, "max_age: 30d, by: rotate", days=31),
    ),
    ("quarantine", "warning", "1 record in quarantine", _quarantined),
    ("locks", "warning", "which was lost", _lost),
    ("locks", "warning", "which ended as failed", lambda p: _lock(p, make(p, 1, "failed").name)),
    ("locks", "warning", "which has no record here", lambda p: _lock(p, "20260101T000000Z-page-abcd")),
    ("locks", "warning", "unknown, which has no record here", lambda p: p.write(".opsbook/locks/dev+x.json", "{")),
    ("records and state", "wrong", "records: everybody may write in", lambda p: _open(p, "records")),
    ("records and state", "wrong", "state: everybody may write in", lambda p: _open(p, ".opsbook")),
    ("clock", "warning", "but the newest run started", lambda p: make(p, -3)),
]


@pytest.mark.parametrize(("check", "level", "said", "spoil"), WRONG)
def test_each_thing_that_is_not_fine_is_named(
    page: Project, check: str, level: str, said: str, spoil: Callable[[Project], Any]
) -> None:
    spoil(page)
    found = doctor(page, code=1 if level == "wrong" else 0)
    assert said in only(found[check], level)
    others = {name: findings for name, findings in found.items() if name != check}
    assert len(others) == 15
    assert {level for findings in others.values() for level, _ in findings} == {"fine"}


def test_a_run_that_changed_a_secret_says_how_old_it_is(page: Project) -> None:
    """Neither the file nor runs that failed, or ran elsewhere, count against it."""
    assert only(doctor(page)["ages of secrets"], "fine") == "no environment names a secret"
    _rotation(page, "max_age: 30d, by: rotate", days=12)
    text = only(doctor(page)["ages of secrets"], "fine")
    assert re.fullmatch(r"token of dev: 12 days old \(\w+-rotate-\w+\)", text)


def test_a_secret_without_a_rule_is_shown_with_its_age(page: Project) -> None:
    _secret_file(page, 0o600)
    assert only(doctor(page)["ages of secrets"], "fine") == "token of dev: less than a day old (by its file)"


def test_a_running_run_may_hold_its_lock(page: Project) -> None:
    folder = make(page, 0)
    (folder / "seal.json").unlink()
    _lock(page, folder.name)
    import fcntl

    with (folder / "journal.jsonl").open() as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        assert only(doctor(page)["locks"], "fine") == "1 lock held, each by a run that goes on"


def test_tools_that_are_missing(page: Project, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    page.env["PATH"] = str(tmp_path / "bin")
    texts = [text for level, text in doctor(page)["tools"] if level == "warning"]
    assert [text.split(":")[0] for text in texts] == ["there is no git", "there is no ssh-keygen"]


def test_services_under_node(page: Project, tmp_path: Path) -> None:
    assert only(doctor(page)["services under Node"], "fine") == "services under Node: none"
    lock = page.write("services/game/package-lock.json", "{}")
    # Whether somebody else's packages are installed is nobody's business here.
    assert only(doctor(page)["services under Node"], "fine") == "services under Node: none"
    page.write("Makefile", "game-packages:\n\tnpm ci\n")
    (tmp_path / "bin").mkdir()
    node = tmp_path / "bin/node"
    page.env["PATH"] = str(node.parent)
    assert only(doctor(page)["services under Node"], "warning") == "game cannot run: there is no Node"
    node.write_text("#!/bin/sh\n")
    node.chmod(0o755)
    text = only(doctor(page)["services under Node"], "warning")
    assert text == "game cannot run: its Node packages are not installed"
    assert lock.exists()


def test_programs_of_a_monitoring(page: Project, tmp_path: Path) -> None:
    assert only(doctor(page)["monitoring"], "fine") == "programs of a monitoring: none"
    page.write("Makefile", "monitoring-packages: ready\n\ttouch it\n")
    page.env["PATH"] = str(tmp_path)
    for name in ("prometheus", "prometheus-alertmanager"):
        assert f"there is no {name}" in only(doctor(page)["monitoring"], "warning")
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert only(doctor(page)["monitoring"], "fine").endswith("prometheus, prometheus-alertmanager")


def test_a_folder_that_cannot_be_written(page: Project) -> None:
    # Not even root can write there.
    page.write("opsbook.toml", 'records = "/proc/self"\n')
    assert "nothing can be written in" in only(doctor(page, code=1)["records and state"], "wrong")


def test_a_check_that_fails_hides_no_other(page: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from opsbook import settings
    from opsbook.doctor import machine
    from opsbook.doctor.checks import project_checks

    def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(machine, "disk", fail)
    checks = project_checks(settings.load(page.root))
    found = {check.name: list(check.findings()) for check in checks}
    assert [finding.text for finding in found["disk"]] == ["this check could not be made: ZeroDivisionError: oops"]
    assert len(found) == 16
    assert all(found.values())


# -- one run


def test_a_run_that_would_go_well(page: Project) -> None:
    page.env["TOKEN"] = "s3cret-token-value"
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
        with (page.root / "playbooks/inventories/dev/environment.yml").open("a") as policy:
            policy.write(f"urls: {{arcade: 'http://127.0.0.1:{port}/x'}}\n")
        found = doctor(page, "page", "-e", "dev", "-p", "version=1.10", "-p", "token=env:TOKEN")
    assert {name: [text for _, text in findings] for name, findings in found.items()} == {
        "runbook and environment": ["A page, in Development"],
        "parameters": ["parameters: 3 have a value"],
        "secrets": ["secrets: token"],
        "questions": ["questions: sure (yes/no), tell-them (by hand)"],
        "playbooks": ["playbooks that parse: good.yml"],
        "prompts": ["prompts: no playbook asks for anything that can be seen from here"],
        "hosts": ["hosts that answer: web-1, web-2"],
        "services": ["services that answer: arcade"],
        "locks": ["locks: dev/1-10 free"],
    }
    assert page.records() == []


def test_what_is_missing_will_be_asked(page: Project) -> None:
    result = page.opsbook("doctor", "page", "-e", "dev", check=True)
    assert "✓ parameters: 1 have a value; will be asked: version (a release), token (a secret)\n" in result.out
    assert "✓ locks: {environment}/{version}, once every parameter has a value\n" in result.out
    # What takes long says that it goes on.
    assert "  looking at hosts …" in result.err


def test_everything_that_is_wrong_with_a_run(page: Project) -> None:
    page.env["SHORT"] = "abc"
    page.env["GOOD"] = "s3cret-token-value"
    _lock(page, make(page, 1, "failed").name)
    page.write("playbooks/good.yml", GOOD.replace("ansible.builtin.ping", "nobody.nothing.none"))
    page.write(
        "playbooks/inventories/dev/hosts.yml",
        """\
        all:
          hosts:
            good: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
            broken: {ansible_connection: local, ansible_python_interpreter: /nothing/python}
            away: {ansible_host: 127.0.0.1, ansible_port: 1}
        """,
    )
    page.write(
        "playbooks/inventories/dev/environment.yml",
        """\
        choices: {Release: [x]}
        urls: {arcade: "http://127.0.0.1:1/", odd: nonsense}
        secrets: {one: "env:NOT_SET", two: "env:SHORT", three: "file:nothing.txt", four: "vault:none", five: "env:GOOD"}
        """,
    )
    found = doctor(page, "page", "-e", "dev", "-p", "version=x", "-p", "token=env:GOOD", "-p", "sizes=1", code=1)
    wrong = {name: sorted(text for level, text in f if level == "wrong") for name, f in found.items()}
    assert wrong["parameters"] == ["There is no parameter sizes. Did you mean size?"]
    assert [text.split(": ", 1)[0] for text in wrong["secrets"]] == [
        "Secret four",
        "Secret one",
        "Secret three",
        "Secret two has fewer than 6 characters",
    ]
    assert only(found["secrets"], "fine") == "secrets: five, token"
    assert len(wrong["playbooks"]) == 1
    assert "nobody.nothing.none" in wrong["playbooks"][0]
    assert [text.split(":")[0] for text in wrong["hosts"]] == ["host away", "host broken"]
    assert "Connection refused" in wrong["hosts"][0]
    assert only(found["hosts"], "fine") == "hosts that answer: good"
    warned = [text for level, text in found["services"] if level == "warning"]
    assert [text.split(":")[0] for text in warned] == ["service arcade does not answer at http", "service odd"]
    page.write("playbooks/inventories/dev/environment.yml", "choices: {Release: [x]}\n")
    found = doctor(page, "page", "-e", "dev", "-p", "version=x", "-p", "token=env:GOOD", code=1)
    assert only(found["locks"], "wrong").startswith("dev/x is locked by ")


def test_no_value_of_a_secret_is_ever_shown(page: Project) -> None:
    value = "s3cret-token-value"
    page.env["TOKEN"] = value
    page.write(
        "playbooks/inventories/dev/hosts.yml",
        f"""\
        all:
          hosts:
            web: {{ansible_connection: local, ansible_python_interpreter: /nothing/{value}}}
        """,
    )
    arguments = ("doctor", "page", "-e", "dev", "-p", "token=env:TOKEN")
    for options in ((), ("--json",)):
        result = page.opsbook(*arguments, *options)
        assert result.code == 1
        assert value not in result.out + result.err
        assert "⟦secret:token⟧" in result.out


def test_a_page_and_an_environment_that_do_not_load(page: Project) -> None:
    page.page("## Steps\n\n### X\n```python\nplaybook('none.yml')\nx =\n```\n", name="bad")
    page.write("playbooks/inventories/odd/hosts.yml", "all: 5")
    found = doctor(page, "bad", "-e", "odd", code=1)
    assert [text.split(":")[0] for _, text in found["runbook and environment"]] == ["runbooks/bad.md", "odd/hosts.yml"]
    found = doctor(page, "bad", "-e", "dev", code=1)
    assert only(found["hosts"], "fine") == "hosts that answer: web-1, web-2"
    page.page("## Steps\n\n### X\nDo it.\n", name="there", front="environments: [prod]\n")
    found = doctor(page, "there", "-e", "dev", code=1)
    assert only(found["runbook and environment"], "wrong") == "there may not run in dev"


def test_wrong_use(page: Project) -> None:
    for arguments, said in (
        (("page",), "opsbook doctor RUNBOOK -e ENV"),
        (("-e", "dev"), "opsbook doctor RUNBOOK -e ENV"),
        (("pag", "-e", "dev"), "Did you mean page?"),
        (("page", "-e", "de"), "Did you mean dev?"),
        (("page", "-e", "dev", "-p", "version"), "is not NAME=VALUE"),
    ):
        result = page.opsbook("doctor", *arguments)
        assert result.code == 2
        assert said in result.err


def test_a_terminal_sees_that_it_goes_on_and_ctrl_c_ends_it(page: Project) -> None:
    """A host that takes a connection and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        page.write(
            "playbooks/inventories/dev/hosts.yml",
            f"all:\n  hosts:\n    web: {{ansible_host: 127.0.0.1, ansible_port: {port}, ansible_timeout: 600}}\n",
        )
        terminal = Terminal(page.command("doctor", "page", "-e", "dev"), page)
        terminal.wait_for("hosts …")
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            begun = time.monotonic()
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.wait() == 130, terminal.screen
            assert time.monotonic() - begun < 45, "it waited as long as for a host that does not answer"
    assert "Traceback" not in terminal.screen


def test_what_a_run_does_not_use_of_ansible_cfg(page: Project) -> None:
    assert doctor(page)["ansible.cfg"] == [("fine", "ansible.cfg: there is none")]
    page.write("ansible.cfg", "[defaults]\nforks = 9\n")
    assert doctor(page)["ansible.cfg"] == [("fine", "ansible.cfg: all of it is used")]
    page.write("ansible.cfg", "[defaults]\ninventory = hosts\nlog_path = %(here)s/log\nnocolor = 1\n")
    (inventory, colour, log) = doctor(page)["ansible.cfg"]
    assert "inventory is not used" in inventory[1] and "nocolor is not used" in colour[1]
    assert log[0] == "warning" and "log_path" in log[1]
    page.write("ansible.cfg", "defaults]\n")
    assert doctor(page, code=1)["ansible.cfg"][0][0] == "wrong"
