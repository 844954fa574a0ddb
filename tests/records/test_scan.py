"""Secrets that a program gives, secrets found later in records, and the way out of quarantine."""

import json
import stat
import time
from pathlib import Path

import pytest

from opsbook.core.record import seal, store
from tests.support import forms, sealed
from tests.support.project import POLICY, Project

pytestmark = pytest.mark.slow

ENVIRONMENT = "playbooks/inventories/dev/environment.yml"
PAGE = """
    ## Steps

    ### Use it
    ```python
    from opsbook import command, secret
    command(["sh", "-c", "cat >> used; echo >> used; test ! -e stop"], stdin=secret("token"))
    ```
"""


def provider(project: Project, text: str) -> None:
    path = project.write("give", f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    project.write(ENVIRONMENT, POLICY + "secrets:\n  token: exec:./give --for 'the cache'\n")


def test_a_program_gives_the_secret_and_again_on_resume(project: Project) -> None:
    provider(project, 'echo $(($(cat count 2>/dev/null || echo 0) + 1)) > count; echo short-lived-$(cat count) "$2"')
    project.page(PAGE)
    project.write("stop", "")
    assert project.opsbook("run", "page", "-e", "dev").code in (1, 3)
    (project.root / "stop").unlink()
    done = project.opsbook("resume", "last", "--accept-changes")
    assert done.code == 0, done.out + done.err
    used = (project.root / "used").read_text().split("\n")
    assert used[0] == "short-lived-1 the cache"
    assert used[1] == "short-lived-2 the cache"
    text = "".join(p.read_text(errors="replace") for p in project.records()[-1].rglob("*") if p.is_file())
    assert "short-lived" not in text
    assert project.opsbook("records", "verify", "last").code == 0


def test_a_program_is_asked_again_where_a_run_waited_for_its_lock(project: Project) -> None:
    provider(project, 'echo $(($(cat count 2>/dev/null || echo 0) + 1)) > count; echo short-lived-$(cat count) "$2"')
    project.page(
        PAGE.replace("cat >> used", "cat >> used; until test -e go; do sleep 0.05; done"),
        "first",
        'lock: ["{environment}"]\n',
    )
    project.page(PAGE, "second", 'lock: ["{environment}"]\n')
    first = project.start("run", "first", "-e", "dev")
    project.wait_for_event("locked")
    second = project.start("run", "second", "-e", "dev", "--wait")
    project.wait_for_event("waiting-for-lock")
    time.sleep(6)  # what was fetched less than 5 s ago is used
    project.write("go", "")
    first.communicate(timeout=180)
    said = second.communicate(timeout=180)[0]
    assert second.returncode == 0, said
    used = (project.root / "used").read_text().split("\n")
    assert used[:2] == ["short-lived-1 the cache", "short-lived-3 the cache"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("exit 3", "./give gave none: it ended with exit code 3"),
        ("true", "./give gave none: it printed nothing"),
        ("printf '\\377\\376'", "it prints no text"),
    ],
)
def test_a_program_that_gives_none(project: Project, text: str, says: str) -> None:
    provider(project, f"echo hidden-on-stderr >&2; {text}")
    project.page(PAGE)
    done = project.opsbook("run", "page", "-e", "dev")
    assert done.code == 2
    assert says in done.err
    assert "hidden-on-stderr" not in done.err
    assert not project.records()


def test_a_program_that_is_not_there(project: Project) -> None:
    project.write(ENVIRONMENT, POLICY + "secrets:\n  token: exec:nowhere/give\n")
    project.page(PAGE)
    done = project.opsbook("run", "page", "-e", "dev")
    assert done.code == 2
    assert "nowhere/give gave none: No such file or directory" in done.err


def leaked(project: Project) -> Path:
    """A record in which a secret stands that nobody knew for one when it was sealed."""
    project.write("token", "hunter2-hunter2\n")
    project.write(ENVIRONMENT, POLICY + "secrets:\n  token: file:token\n")
    sealed.make(project, 2)
    folder = sealed.make(project, 1)
    (folder / "plan.json").write_text('{"secrets": {}}')
    (folder / "outputs/long.txt").write_text("said %68unter2-hunter2 and aHVudGVyMi1odW50ZXIy\n")
    (folder / "seal.json").unlink()
    *_, (_, head) = store.chain(folder)
    seal.seal(folder, head)
    return folder


def test_a_secret_is_found_later_and_the_way_out(project: Project) -> None:
    folder = leaked(project)
    done = project.opsbook("records", "scan")
    assert done.code == 1
    assert f"{folder.name}: a secret in outputs/long.txt" in done.out
    assert "2 records, 1 with a secret in them" in done.out
    assert project.opsbook("records", "scan", "--quarantine").code == 1
    away = project.root / "records/quarantine" / folder.name
    assert stat.S_IMODE(away.stat().st_mode) == 0o700
    told = json.loads(project.opsbook("records", "scan", folder.name, "--json").out)
    assert told == [{"run": folder.name, "files": ["outputs/long.txt"], "quarantined": True}]
    assert "In quarantine, because a secret is in it: opsbook" in project.opsbook("records", "show", folder.name).out
    done = project.opsbook("records", "restore", folder.name, "--reason", "I want it")
    assert done.code == 2
    assert "still holds a secret as it is today, in outputs/long.txt" in done.err
    project.write("token", "another-one-now\n")
    assert project.opsbook("records", "restore", folder.name, "--reason", " ").code == 2
    project.opsbook("records", "restore", folder.name, "--reason", "the token was changed", check=True)
    assert folder.is_dir()
    assert project.opsbook("records", "verify", folder.name).code == 0
    assert "the token was changed" in (project.root / "records/restored.jsonl").read_text()
    assert project.opsbook("records", "restore", folder.name, "--reason", "x").code == 2


def test_a_secret_is_found_in_every_form(project: Project) -> None:
    folder = leaked(project)
    secret = 'it\'s "häufig" & a+b/c=1\nsecond line of it'
    project.write("token", secret + "\n")
    (folder / "outputs/long.txt").unlink()
    printed = [form(secret) for form in forms.FORMS.values()]
    printed += [forms.printed(command, secret) for command in forms.TOOLS.values()]
    for number, text in enumerate(printed):
        (folder / f"outputs/{number:03d}.txt").write_text(f"an ordinary line\n{text}\n")
    found = json.loads(project.opsbook("records", "scan", folder.name, "--json").out)
    assert found[0]["files"] == [f"outputs/{number:03d}.txt" for number in range(len(printed))]


def test_a_secret_that_cannot_be_had_is_not_found_silently(project: Project) -> None:
    leaked(project)
    (project.root / "token").unlink()
    done = project.opsbook("records", "scan")
    assert done.code == 2
    assert "What is not known is not found" in done.err


def test_the_doctor_sees_what_others_can_read(project: Project) -> None:
    leaked(project)
    (project.root / "token").chmod(0o644)
    assert "others can read or change" in project.opsbook("doctor").out


def test_a_secret_in_an_incident_is_found_and_an_open_one_stays(project: Project) -> None:
    project.write(ENVIRONMENT, POLICY + "secrets:\n  token: file:token\n")
    project.write("token", "another-one-then\n")
    project.opsbook("incident", "open", "It is down", "-e", "dev", check=True)
    project.opsbook("incident", "note", "last", "the token is hunter2-hunter2", check=True)
    project.write("token", "hunter2-hunter2\n")
    said = project.opsbook("records", "scan", "--quarantine")
    assert said.code == 1 and "1 records, 1 with a secret in them" in said.out and "except open incidents" in said.out
    assert project.opsbook("incident", "resolve", "last", "mended").code == 0
    (told,) = json.loads(project.opsbook("records", "scan", "--quarantine", "--json").out)
    assert told["files"] == ["journal.jsonl"] and told["quarantined"]
    assert project.opsbook("incident", "list", "--all", "--json", check=True).out.strip() == "[]"
    assert "1 record in quarantine" in project.opsbook("doctor").out
    assert "still holds a secret" in project.opsbook("records", "restore", told["run"], "--reason", "x").err
    project.write("token", "another-one-now\n")
    project.opsbook("records", "restore", told["run"], "--reason", "it was changed", check=True)
    assert project.opsbook("records", "verify", told["run"]).code == 0
    assert "It is down" in project.opsbook("incident", "show", told["run"], check=True).out
