"""opsbook env status, diff and validate, on the real command line, with a server that is asked."""

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.support.project import HOSTS, Project

pytestmark = pytest.mark.slow


STOPS = """
    ## Steps

    ### Stop half-way
    ```python
    from opsbook import command
    command(["true"])
    raise ValueError("no luck")
    ```

    ## Rollback

    ### Take it back
    ```python
    print("taken back")
    ```
"""


SAYS = b'{"version": "1.4.0", "instances": [1, 2], "more": {"a": 1}}'


class _Service(BaseHTTPRequestHandler):
    """Says its version; /ill answers with an error, /text with a text, /endless with more until nobody listens."""

    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/ill" else 200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while self.path == "/endless":
                self.wfile.write(b"more ")
                time.sleep(0.2)
            self.wfile.write(b"plain\x1b[31m" if self.path == "/text" else SAYS)

    def log_message(self, *_: object) -> None:
        """Nothing: tests show what they say."""


@contextmanager
def service() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def environment(project: Project, name: str, policy: str, hosts: str = HOSTS) -> None:
    project.write(f"playbooks/inventories/{name}/hosts.yml", hosts)
    project.write(f"playbooks/inventories/{name}/environment.yml", policy)


def test_status_says_what_answers_and_what_is_locked(project: Project) -> None:
    with service() as port:
        health = ", ".join(f"{name}: 'http://127.0.0.1:{port}/{name}'" for name in ("good", "text"))
        environment(project, "dev", f"sandbox: true\nhealth: {{{health}}}\n")
        project.page(STOPS, "stops", 'lock: ["{environment}/arcade"]\nrollback: ask\n')
        assert project.opsbook("run", "stops", "-e", "dev").code == 3
        done = project.opsbook("env", "status", "dev")
        assert done.code == 0, done.err
        assert "version 1.4.0, instances 2\n" in done.out
        assert "plain" in done.out and "\x1b" not in done.out
        assert f"locked     dev/arcade: {project.records()[-1].name}" in done.out
        environment(project, "dev", f"sandbox: true\nhealth: {{ill: 'http://127.0.0.1:{port}/ill'}}\n")
        assert project.opsbook("env", "status").code == 1
        environment(project, "dev", f"sandbox: true\nhealth: {{endless: 'http://127.0.0.1:{port}/endless'}}\n")
        assert "endless    200" in project.opsbook("env", "status", check=True).out
    gone = project.opsbook("env", "status", "dev", "--json")
    (told,) = json.loads(gone.out)
    assert gone.code == 1
    assert (told["health"][0]["status"], told["health"][0]["good"]) == (None, False)
    assert told["health"][0]["said"] == "Connection refused"


COMPARES = """
    ## Steps

    ### Compare
    ```python
    from opsbook import attach
    attach("drift.json", '{"files": 2, "flags": 1}', key="before")
    ```

    ### Repair
    ```python
    attach("drift.json", '{"files": 0, "flags": 1}', key="after")
    ```
"""


def test_status_says_how_old_secrets_are_and_what_differed_last(project: Project) -> None:
    """What is left at the end of the last run counts; a record that was changed says nothing."""
    project.write("token", "s3cret-token")
    os.utime(project.root / "token", (time.time() - 40 * 86400,) * 2)
    policy = "secrets: {token: 'file:token'}\nrotation: {token: {max_age: 30d}, other: {max_age: 30d}}\n"
    environment(project, "dev", f"sandbox: true\n{policy}")
    project.page(COMPARES, "compares")
    first = project.opsbook("env", "status", check=True).out
    assert "secret     token: 40 days old (by its file), overdue: 30d is allowed\n" in first
    assert "secret     other: its age is not known; 30d is allowed\n" in first and "drift" not in first
    project.opsbook("run", "compares", "-e", "dev", check=True)
    time.sleep(1)  # ids of records tell runs of the same second apart, but not which began first
    project.opsbook("run", "compares", "-e", "dev", check=True)
    older, newer = project.records()
    assert re.search(rf"drift      flags 1, as of .*: {newer.name}\n", project.opsbook("env", "status", "dev").out)
    (told,) = json.loads(project.opsbook("env", "status", "--json").out)
    assert told["drift"]["differences"] == {"files": 0, "flags": 1}
    assert [(each["name"], each["overdue"]) for each in told["secrets"]] == [("token", True), ("other", False)]
    (changed,) = newer.glob("effects/*2-drift.json")
    changed.write_text("{}")
    assert older.name in project.opsbook("env", "status", "dev").out


def test_diff_names_every_value_that_differs(project: Project) -> None:
    environment(
        project, "dev", "sandbox: true\nports: 18100\nurls: {a: 'http://127.0.0.1:{ports}'}\nsecrets: {k: 'env:A'}"
    )
    environment(
        project, "prod", "labels: [ticket]\nports: 18500\nurls: {a: 'http://127.0.0.1:{ports}'}\nsecrets: {k: 'env:B'}"
    )
    project.write(
        "playbooks/inventories/prod/group_vars/all.yml", "limit: 5\nkey: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n"
    )
    found = json.loads(project.opsbook("env", "diff", "dev", "prod", "--json", check=True).out)
    assert [(each["key"], each["dev"], each["prod"]) for each in found] == [
        ("sandbox", True, False),
        ("labels", [], ["ticket"]),
        ("secrets.k", "env:A", "env:B"),
        ("variables.group_vars/all", None, {"limit": 5, "key": None}),
    ]
    assert "labels                    none   ticket\n" in project.opsbook("env", "diff", "dev", "prod", check=True).out
    assert "do not differ" in project.opsbook("env", "diff", "dev", "dev", check=True).out
    assert "There is no environment nowhere" in project.opsbook("env", "diff", "dev", "nowhere").err


def test_diff_compares_what_both_answer(project: Project) -> None:
    with service() as port:
        for name, path in (("dev", "good"), ("prod", "ill"), ("text", "text")):
            environment(project, name, f"health: {{arcade: 'http://127.0.0.1:{port}/{path}'}}\n")
        told = json.loads(project.opsbook("env", "diff", "dev", "text", "--live", "--json", check=True).out)
        assert ("answers.arcade.version", "1.4.0", None) in [(each["key"], each["dev"], each["text"]) for each in told]
        ill = json.loads(project.opsbook("env", "diff", "dev", "prod", "--live", "--json", check=True).out)
        assert [each["key"] for each in ill] == ["health.arcade", "answers.arcade.status"]
        assert "do not differ" in project.opsbook("env", "diff", "dev", "dev", "--live", check=True).out


def test_diff_compares_secrets_and_shows_none(project: Project) -> None:
    environment(project, "dev", "secrets: {k: 'env:A', same: 'env:A', mine: 'env:A'}")
    environment(project, "prod", "secrets: {k: 'env:B', other: 'env:A', lost: 'env:NONE'}")
    project.env |= {"A": "value-of-development", "B": "value-of-production"}
    told = json.loads(project.opsbook("env", "diff", "dev", "prod", "--secrets", "--json", check=True).out)
    found = {each["key"].removeprefix("secret values."): each for each in told if "values" in each["key"]}
    assert re.fullmatch("[0-9a-f]{12}", found["k"]["dev"])
    assert found["k"]["dev"] != found["k"]["prod"]
    assert found["lost"]["prod"] == "cannot be read here, in prod"
    said = project.opsbook("env", "diff", "dev", "prod", "--secrets", check=True).out
    assert {"key": "secret with the same value", "dev": "same", "prod": "other"} in told
    assert "The secret same (other in prod) has the same value in both: what opens one opens the other." in said
    assert "value-of" not in said
    again = json.loads(project.opsbook("env", "diff", "dev", "prod", "--secrets", "--json", check=True).out)
    assert told != again, "a digest says nothing but whether two are the same"


WRONG = {
    "promotion: {after: nowhere}": "prod/environment.yml: promotion.after: there is no environment nowhere",
    "promotion: {after: prod}": "prod comes from prod; one has to be the first",
    "promotion: {after: dev}": "promotion.after: dev has other releases",
    "promotion: {soak: 1h}": "promotion.after: Field required",
    "freezes: [missing.ics]": "freezes: missing.ics is no calendar that can be read",
    "freezes: [/etc/passwd]": "freezes: /etc/passwd is no calendar that can be read: it does not lie in the project",
    "freezes: [opsbook.toml]": "freezes: opsbook.toml is no calendar that can be read",
    "ports: 18200": "ports: 18200 is the block of dev, too",
    "on_call: [nobody]": "on_call: there is no oncall/nobody.ics",
    "settings: {limits: {share: much}}": "settings.limits.share: 'much', but it is a number from 0 to 1",
    "settings: {limits: {share: 1, shares: 1}}": "settings.limits: there is no shares. Did you mean share?",
    "settings: {limits: {}}": "settings.limits: share is missing",
    "settings: {limit: {}}": "settings: there is no limit. Did you mean limits?",
    "urls: {a: 127.0.0.1}": "urls.a: '127.0.0.1' is no address",
    "urls: {a: 'http://me:secret@host/'}": "urls.a: it has a password",
    "health: {a: 'file:///etc/passwd'}": "health.a: 'file:///etc/passwd' is no address",
    "protectd: true": "protectd: Extra inputs are not permitted",
    "approvals: many": "approvals: Input should be a valid integer",
    "time_zone: Mars": "there is no zone Mars",
    "windows: [{days: [someday]}]": "windows.0.days.0",
    "rotation: {token: {max_age: soon}}": "rotation.token.max_age",
    "rotation: {token: {max_age: 90d, by: nothing}}": "rotation.token.by: there is no page nothing",
}


def test_validate_names_file_key_and_what_is_expected(project: Project) -> None:
    release = "choices: {Release: ['1.0.0']}\n"
    assert project.opsbook("env", "validate", check=True).out == "1 environment, no problem.\n"
    limits = {"properties": {"share": {"type": "number", "minimum": 0, "maximum": 1}}, "required": ["share"]}
    project.write("schema.json", json.dumps({"properties": {"limits": {**limits, "additionalProperties": False}}}))
    project.write("opsbook.toml", 'records = "records"\n[schemas]\nsettings = "schema.json"\n')
    environment(project, "dev", "ports: 18200")
    for policy, said in WRONG.items():
        environment(project, "prod", f"{policy}\n{release if 'after: dev' in policy else ''}")
        done = project.opsbook("env", "validate", "prod")
        assert done.code == 2, policy
        assert said in " ".join(done.err.split()), done.err
    told = project.opsbook("env", "validate", "--json")
    assert told.code == 2
    assert list(json.loads(told.out)) == ["dev", "prod"]
    environment(project, "prod", "", hosts="all: [")
    project.write("playbooks/inventories/prod/group_vars/all.yml", "- a list\n")
    project.write("playbooks/inventories/prod/host_vars/web-1.yml", "a: {\n")
    said = project.opsbook("env", "validate").err
    for part in (
        "hosts.yml: not valid YAML",
        "group_vars/all.yml: a file of variables is a mapping",
        "web-1.yml: not valid",
    ):
        assert part in said, said


def test_diff_compares_flags_as_they_are_set(project: Project) -> None:
    for name, share in (("dev", 10), ("prod", 100)):
        environment(project, name, "")
        flag = {"state": "ENABLED", "metadata": {"percent": share}}
        project.write(f"state/{name}/game.json", json.dumps({"flags": {"hint": flag}}))
    project.write("opsbook.toml", 'records = "records"\n[services.game]\nflags_in = "state/{environment}/game.json"\n')
    told = json.loads(project.opsbook("env", "diff", "dev", "prod", "--json", check=True).out)
    assert {"key": "flags.game.hint.metadata.percent", "dev": 10, "prod": 100} in told
    project.write("state/prod/game.json", "{")
    assert "state/prod/game.json is no file of flags" in project.opsbook("env", "diff", "dev", "prod").err
