"""Who is told of an incident, and what becomes of a message that nobody takes."""

import json
import resource
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.model.redact import Redactor
from opsbook.core.record import journal
from opsbook.incidents import facts, store, telling
from opsbook.incidents.acting import Acting
from opsbook.incidents.incident import State
from opsbook.serve.heartbeat import Heartbeats
from opsbook.serve.watching import Watching
from tests.support import ROOT
from tests.support.listeners import listeners
from tests.support.project import Project
from tests.support.rotas import rota, shift

pytestmark = pytest.mark.slow

TOKEN = "secret-of-the-hook"


def test_channels_are_told_of_the_beginning_of_updates_and_of_the_end(project: Project) -> None:
    shutil.copytree(ROOT / "playbooks/messages", project.root / "playbooks/messages")
    with listeners() as (received, web, _):
        addresses = {"hook": f"json://127.0.0.1:{web}/hook?+token={TOKEN}", "none": f"json://127.0.0.1:1/{TOKEN}"}
        addresses["players"] = f"json://127.0.0.1:{web}/players"
        addresses["key"] = f"{TOKEN}-of-today"
        for name, address in addresses.items():
            project.env[name.upper()] = address
        channels = {
            "team": {"to": "hook", "events": ["incident-*"]},
            "lost": {"to": "none", "events": ["incident-opened"]},
            # Players hear of it once somebody decides that they do.
            "players": {"to": "players", "audience": "players", "events": ["incident-*"]},
        }
        secrets = {name: f"env:{name.upper()}" for name in addresses}
        policy = {"sandbox": True, "secrets": secrets, "channels": channels}
        project.write("playbooks/inventories/dev/environment.yml", json.dumps(policy))
        opened = project.opsbook("incident", "open", "It is <b>down</b>\nInjected: x", "-e", "dev", check=True)
        assert "sent to team; lost did not take it" in " ".join(opened.out.split())
        ((path, told),) = received.requests
        assert (path, told["title"]) == ("/hook", r"critical: It is <b>down</b>\nInjected: x")
        assert "opsbook incident ack inc-" in told["message"]
        received.requests.clear()
        project.write("opsbook.toml", 'records = "records"\nstatus_page = "status.html"\n')
        project.opsbook("incident", "publish", "last", "Nobody can play", check=True)
        assert [(path, told["title"]) for path, told in received.requests] == [("/players", "Nobody can play")]
        received.requests.clear()
        project.opsbook("incident", "update", "last", "players", "We work on it.", check=True)
        ((path, told),) = received.requests
        assert path == "/players" and told["message"] == "We work on it."
        assert "down" not in told["title"], "players do not read what engineers call it"
        received.requests.clear()
        project.opsbook("incident", "update", "last", "players", f"It was {TOKEN}-of-today.", check=True)
        assert "of-today" not in json.dumps(received.requests)
        received.requests.clear()
        rota(project.root, "platform", [shift("anna", "20200101T000000", "20991231T000000")])
        project.opsbook("incident", "escalate", "last", f"It says {TOKEN}-of-today.", "--to", "platform", check=True)
        assert received.requests and "of-today" not in json.dumps(received.requests)
        received.requests.clear()
        nobody = project.opsbook("incident", "update", "last", "management", "All is well.", check=True)
        assert "went to nobody: no channel of dev wants incident-update for management" in " ".join(nobody.out.split())
        copied = project.opsbook("incident", "message", "last", "management", check=True)
        assert copied.out.endswith("\n\nAll is well.\n") and not received.requests
        first = project.opsbook("incident", "message", "last", "support", "--moment", "opened", check=True).out
        assert "critical: It is" in first and "promise no time.\nTell #platform" in first
        assert (
            "has no update for support"
            in project.opsbook("incident", "message", "last", "support", "--moment", "update").err
        )
        missing = project.opsbook("incident", "message", "last", "press", "--moment", "opened").err
        assert "there is no text of incident-opened for press: playbooks/messages/incident-opened.press.j2" in missing
        project.opsbook("incident", "resolve", "last", f"the proxy, {TOKEN}-of-today", check=True)
        assert {path for path, _ in received.requests} == {"/hook", "/players"}
        assert "of-today" not in json.dumps(received.requests)
    shown = project.opsbook("incident", "show", "last", check=True).out
    assert "told players: We work on it." in shown and "lost did not take it" in shown
    assert TOKEN not in shown and project.opsbook("incident", "verify").code == 0
    for path_ in (project.root / "records").rglob("*"):
        assert not path_.is_file() or TOKEN.encode() not in path_.read_bytes(), path_


def test_whoever_needs_help_pages_the_next_rota_or_a_certain_one(project: Project) -> None:
    shutil.copytree(ROOT / "playbooks/messages", project.root / "playbooks/messages")
    limits = 'means = "x"\nrespond = "now"\npage = false\n'
    project.write("opsbook.toml", f'records = "records"\n[[severity]]\nname = "small"\n{limits}')
    begin = f"{datetime.now(UTC) - timedelta(hours=1):%Y%m%dT%H%M%SZ}"
    for name, person in (("one", "anna"), ("two", "ben")):
        rota(project.root, name, [shift(person, begin, "20991231T000000Z")])
    with listeners() as (received, web, _):
        channels = {}
        for person in ("anna", "ben"):
            project.env[person.upper()] = f"json://127.0.0.1:{web}/{person}"
            channels[person] = {"to": person, "person": person, "events": ["incident-*"]}
        secrets = {person: f"env:{person.upper()}" for person in channels}
        policy = {"sandbox": True, "secrets": secrets, "channels": channels, "on_call": ["one", "two"]}
        project.write("playbooks/inventories/dev/environment.yml", json.dumps(policy))
        project.opsbook("incident", "open", "It is slow", "-e", "dev", check=True)
        assert not received.requests, "it is too small to page anybody"
        for options, person in (((), "anna"), ((), "ben"), (("--to", "two"), "ben"), ((), "anna")):
            received.requests.clear()
            asked = project.opsbook("incident", "escalate", "last", "I cannot <b>log in</b>", *options, check=True)
            ((path, told),) = received.requests
            assert (path, f"on call: {person}" in " ".join(asked.out.split())) == (f"/{person}", True)
            assert "asks for help: I cannot <b>log in</b>: small: It is slow" in told["title"]
        assert (
            "asked for help: I cannot <b>log in</b>: message incident-escalated: sent to"
            in project.opsbook("incident", "show", "last").out
        )
        project.env["ANNA"] = "json://127.0.0.1:1/anna"
        lost = project.opsbook("incident", "escalate", "last", "help", "--to", "one")
        assert (lost.code, "Nobody was reached: call somebody." in lost.out) == (1, True)
        assert "on call   anna (one)\non call   ben (two)\n" in project.opsbook("status", check=True).out
        assert json.loads(project.opsbook("status", "--json", check=True).out)["on_call"] == {
            "one": "anna",
            "two": "ben",
        }
        wrong = project.opsbook("incident", "escalate", "last", "help", "--to", "twoo")
        assert (wrong.code, "Did you mean two?" in wrong.err) == (2, True)
        project.opsbook("incident", "resolve", "last", "it is not slow", check=True)
        assert project.opsbook("incident", "escalate", "last", "help").code == 4
    assert project.opsbook("incident", "verify").code == 0


def test_without_an_environment_nobody_is_told_and_it_says_so(project: Project) -> None:
    opened = project.opsbook("incident", "open", "Something", check=True)
    assert "it names no environment" in " ".join(opened.out.split())


def limited(project: Project, limits: str) -> None:
    """Messages, and a severity with these limits behind one that pages nobody."""
    shutil.copytree(ROOT / "playbooks/messages", project.root / "playbooks/messages")
    bad = f'[[severity]]\nname = "bad"\nmeans = "x"\nrespond = "now"\n{limits}'
    quiet = '[[severity]]\nname = "quiet"\nmeans = "x"\nrespond = "now"\npage = false\n'
    project.write("opsbook.toml", f'records = "records"\n{bad}{quiet}')


def down(project: Project, web: int, *options: str) -> tuple[settings.Settings, Path]:
    """An incident in an environment with a channel that listens there: the project's settings, and its folder."""
    project.env["HOOK"] = f"json://127.0.0.1:{web}/hook"
    policy = {"sandbox": True, "secrets": {"hook": "env:HOOK"}, "channels": {"team": {"to": "hook"}}}
    project.write("playbooks/inventories/dev/environment.yml", json.dumps(policy))
    project.opsbook("incident", "open", "It is down", "-e", "dev", *options, check=True)
    here = settings.load(project.root, given=True)
    return here, store.find(here, "last")


def test_a_request_for_help_does_not_stand_for_the_page_when_it_becomes_worse(project: Project) -> None:
    limited(project, "")
    with listeners() as (_, web, _):
        here, path = down(project, web, "--severity", "quiet")
        asked = facts.IncidentEscalated(waited=1.0, said="went to nobody", by="ann", why="help")
        store.change(here, path, lambda _: [asked])
        Acting(here, path.name).severity("bad", "worse")
        found = telling.late(here, store.load(path), datetime.now(UTC))
    assert isinstance(found, facts.IncidentEscalated) and not found.by


def test_people_are_reminded_of_what_is_late_once_for_each_span(project: Project) -> None:
    limited(project, 'acknowledge = "10m"\nupdate = "30m"\n')
    with listeners() as (received, web, _):
        here, path = down(project, web)
        received.requests.clear()

        def look(minutes: float) -> list[str]:
            """What is written by a look so long after the beginning; each by a server that has just started."""
            opened = datetime.fromisoformat(store.load(path).reached[State.OPEN])
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("HOOK", project.env["HOOK"])
                found = telling.late(here, store.load(path), opened + timedelta(minutes=minutes))
            if found is None:
                return []
            event = store.change(here, path, lambda _: [found], lambda _: Redactor()).events[-1]
            moved(path, (opened + timedelta(minutes=minutes)).isoformat())
            return [event.type]

        assert look(9) == []
        assert look(11) == ["incident-escalated"]
        assert look(12) == []
        assert look(22) == ["incident-escalated"]
        Acting(here, path.name).acknowledge()
        moved(path, "")
        assert look(29) == []
        assert look(31) == ["update-due"]
        assert look(59) == [] and look(62) == ["update-due"]
        titles = [told["title"] for _, told in received.requests]
        assert titles == ["NOBODY works on it: bad: It is down"] * 2 + ["An update is due: It is down"] * 2


def moved(path: Path, time: str) -> None:
    """As if the last event had been written at another time; empty: at that of the first."""
    lines = (path / journal.NAME).read_text().splitlines()
    last = json.loads(lines[-1])
    last["time"] = time or json.loads(lines[0])["time"]
    lines[-1] = json.dumps(last, ensure_ascii=False, separators=(",", ":"))
    (path / journal.NAME).write_text("\n".join(lines) + "\n")


def test_nobody_is_told_again_while_it_cannot_be_written(project: Project) -> None:
    """A phone that rings every five seconds because a disk is full helps nobody."""
    limited(project, 'acknowledge = "1ms"\n')
    with listeners() as (received, web, _):
        here, path = down(project, web)
        received.requests.clear()
        watching = Watching(here, Heartbeats(here), lambda _: None)
        most = resource.getrlimit(resource.RLIMIT_FSIZE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOOK", project.env["HOOK"])
            resource.setrlimit(resource.RLIMIT_FSIZE, ((path / journal.NAME).stat().st_size, most[1]))
            try:
                for _ in range(3):
                    watching._look(path)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, most)
            assert len(received.requests) == 1 and path.name in watching.failing
            watching._look(path)
        assert len(received.requests) == 1 and watching.failing == ""
        assert [event.type for event in store.load(path).events].count("incident-escalated") == 1
