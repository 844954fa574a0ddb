"""notify() against real listeners on loopback: SMTP, a webhook and ntfy; one that fails harms nothing."""

import json
from typing import Any

import pytest

from tests.support.listeners import listeners
from tests.support.project import Project

pytestmark = pytest.mark.slow

TOKEN = "tk-8f3a91c27d"
PAGE = """
## Parameters
```python tags=["parameters"]
version: str  # What was deployed
```

## Steps

### Tell
```python
from opsbook import notify
told = notify("release-promoted", {"version": version, "service": "arcade"}, pretend=None)
print("TOLD", told)
```
"""
TEXT = "{{ service }} {{ version }} is in {{ environment }}\\nBy {{ operator }}: {{ run }}\\n"
PLAYERS = "Updated\\nYou have {{ version }}.\\n"


def environment(project: Project, addresses: dict[str, str], channels: dict[str, dict[str, Any]]) -> None:
    for name, address in addresses.items():
        project.env[name.upper()] = address
    secrets = {name: f"env:{name.upper()}" for name in addresses}
    policy = {"sandbox": True, "contacts": ["#platform"], "secrets": secrets, "channels": channels}
    project.write("playbooks/inventories/dev/environment.yml", json.dumps(policy))
    project.write("opsbook.toml", f"keep_environment = {json.dumps(list(project.env))}\n")
    project.write("playbooks/messages/release-promoted.j2", TEXT.replace("\\n", "\n"))
    project.write("playbooks/messages/release-promoted.players.j2", PLAYERS.replace("\\n", "\n"))


def ran(project: Project, *more: str, version: str = "1.4.0") -> str:
    done = project.opsbook("run", "page", "-e", "dev", "-p", f"version={version}", *more)
    assert done.code == 0, done.out + done.err
    return done.out


def test_every_channel_gets_the_text_of_its_audience_once(project: Project) -> None:
    project.page(PAGE)
    with listeners() as (received, web, mail):
        addresses = {
            "hook": f"json://127.0.0.1:{web}/hook?+token={TOKEN}",
            "push": f"ntfy://{TOKEN}@127.0.0.1:{web}/players",
            "post": f"mailto://127.0.0.1:{mail}?from=ops@example.org&to=team@example.org&mode=insecure",
            "none": f"json://127.0.0.1:1/hook/{TOKEN}",
        }
        channels: dict[str, dict[str, Any]] = {
            "team": {"to": "hook"},
            "mail": {"to": "post", "events": ["release-*"]},
            "players": {"to": "push", "audience": "players"},
            "gone": {"to": "none"},
            "incidents": {"to": "none", "events": ["incident-*"]},
        }
        environment(project, addresses, channels)
        checked = ran(project, "--check")
        assert not received.requests and not received.mails
        assert "arcade 1.4.0 is in dev" in checked
        hostile = "1.4.0\nInjected: yes {{ 7 * 7 }} <b>"
        said = ran(project, version=hostile)
        told = dict(received.requests)
        assert told["/hook"]["title"] == r"arcade 1.4.0\nInjected: yes {{ 7 * 7 }} <b> is in dev"
        assert told["/hook"]["message"].startswith("By ")
        (push,) = (body for path, body in received.requests if path != "/hook")
        assert push["message"].endswith("<b>.")
        (post,) = received.mails
        assert post["Subject"] == told["/hook"]["title"]
        assert post["Injected"] is None
        assert "sent to team, mail, players; gone did not take it" in " ".join(said.split())
        assert "3 times" in said
        # Nothing that is kept or shown has the token.
        record = project.records()[-1]
        for path in record.rglob("*"):
            assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
        assert TOKEN not in said


def test_a_channel_that_comes_back_gets_it(project: Project) -> None:
    project.page(PAGE)
    with listeners() as (received, web, _):
        environment(project, {"hook": f"json://127.0.0.1:{web}/hook"}, {"team": {"to": "hook"}})
        received.refuse = 1
        assert "sent to team" in ran(project)
        assert len(received.requests) == 1


def test_without_channels_nothing_is_sent_and_nothing_fails(project: Project) -> None:
    project.page(PAGE)
    environment(project, {}, {})
    assert "no channel wants it" in ran(project)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ nothing }}", "release-promoted.j2 cannot be filled in: 'nothing' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "cannot be filled in: access to attribute '__class__'"),
        ("{% for", "cannot be filled in"),
        ("{{ 1 / 0 }}", "cannot be filled in: division by zero"),
        (None, "there is no text of release-promoted for engineers"),
    ],
)
def test_a_text_that_cannot_be_made_fails_a_check_and_no_run(project: Project, text: str | None, said: str) -> None:
    project.page(PAGE)
    environment(project, {"hook": "json://127.0.0.1:1/hook"}, {"team": {"to": "hook"}})
    path = project.root / "playbooks/messages/release-promoted.j2"
    path.write_text(text) if text is not None else path.unlink()
    assert said in " ".join(ran(project).split())
    checked = project.opsbook("run", "page", "-e", "dev", "-p", "version=1", "--check")
    assert checked.code == 1, checked.out + checked.err
    assert said in " ".join(project.summary()["reason"].split())


def test_a_channel_needs_a_secret_that_is_there(project: Project) -> None:
    environment(project, {}, {"team": {"to": "hook"}})
    done = project.opsbook("env", "validate")
    assert done.code == 2
    assert "channels.team: there is no secret hook" in done.err
