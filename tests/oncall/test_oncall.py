"""On call with the real command: who is paged, what stays in the incident, who may override, which messages arrive."""

import json
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.model.events import Fact
from opsbook.incidents import store, telling
from opsbook.incidents.facts import IncidentEscalated
from tests.support import ROOT, team
from tests.support.listeners import listeners
from tests.support.project import Project, Result, until
from tests.support.rotas import rota, shift, weeks
from tests.support.serving import Server, incidents
from tests.support.team import Team

pytestmark = pytest.mark.slow

keys, people = team.keys, team.team

LIMITS = 'means = "x"\nrespond = "now"\nacknowledge = "3s"\n'


def always(root: Path, name: str, person: str) -> Path:
    return rota(root, name, [shift(person, "20200101T000000", "20400101T000000")])


def paging(project: Project, web: int, *more: str) -> None:
    """Two rotas, a channel of each of their people, one of all, and one of players."""
    shutil.copytree(ROOT / "playbooks/messages", project.root / "playbooks/messages")
    severities = "".join(
        f'[[severity]]\nname = "{name}"\npage = {page}\n{LIMITS}' for name, page in (("bad", "true"), ("meh", "false"))
    )
    project.write("opsbook.toml", f'records = "records"\n{severities}')
    always(project.root, "first", "anna")
    always(project.root, "second", "ben")
    channels: dict[str, dict[str, object]] = {name: {"to": name, "person": name} for name in ("anna", "ben")}
    channels |= {"team": {"to": "team"}, "players": {"to": "players", "audience": "players"}}
    channels |= {name: {"to": name} for name in more}
    for name in channels:
        project.env[name.upper()] = f"json://127.0.0.1:{1 if name in more else web}/{name}"
    secrets = {name: f"env:{name.upper()}" for name in channels}
    policy = {"sandbox": True, "secrets": secrets, "channels": channels, "on_call": ["first", "second"]}
    project.write("playbooks/inventories/dev/environment.yml", json.dumps(policy))


def late(project: Project) -> Fact | None:
    """What the server would do now with the newest incident."""
    here = settings.load(project.root, given=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in project.env.items():
            patch.setenv(name, value)
        return telling.late(here, store.load(store.find(here, "last")), datetime.now(UTC))


def flat(result: Result) -> str:
    return " ".join(result.out.split())


def test_who_was_paged_stays_in_the_incident_whatever_the_rota_says_later(project: Project) -> None:
    with listeners() as (received, web, _):
        paging(project, web)
        opened = project.opsbook("incident", "open", "It is down", "-e", "dev", "--severity", "bad", check=True)
        assert "sent to anna, team; on call: anna (first)" in flat(opened)
        assert {path for path, _ in received.requests} == {"/anna", "/team"}
        assert "On call: anna (first)" in received.requests[0][1]["message"]
        received.requests.clear()
        project.opsbook("incident", "update", "last", "engineers", "We look.", check=True)
        assert [path for path, _ in received.requests] == ["/team"], "an update pages nobody"
        always(project.root, "first", "zoe")
        assert "zoe" in project.opsbook("oncall", check=True).out
        shown = project.opsbook("incident", "show", "last", check=True).out
        assert "anna, on call in first" in shown and "zoe" not in shown
        (told,) = json.loads(project.opsbook("incident", "show", "last", "--json", check=True).out)["on_call"]
        assert (told["person"], told["rota"]) == ("anna", "first")
        project.opsbook("incident", "resolve", "last", "the proxy", check=True)
        project.opsbook("incident", "review", "last", check=True)
        (review,) = (project.root / "reviews").glob("*.md")
        assert "| anna | first |" in review.read_text() and project.opsbook("incident", "verify").code == 0
        received.requests.clear()
        quiet = project.opsbook("incident", "open", "A typo", "-e", "dev", "--severity", "meh", check=True)
        assert "on call" not in flat(quiet) and [path for path, _ in received.requests] == ["/team"]
        # Once it is worse, whoever is on call hears of it, also where somebody works on it.
        always(project.root, "first", "anna")
        project.opsbook("incident", "ack", "last", check=True)
        assert late(project) is None
        project.opsbook("incident", "severity", "last", "bad", check=True)
        received.requests.clear()
        paged = late(project)
        assert isinstance(paged, IncidentEscalated) and (paged.on_call, paged.reached) == ("anna", True)
        assert {path for path, _ in received.requests} == {"/anna", "/team"}
        # Whoever has no channel is not said to have been reached.
        always(project.root, "first", "zoe")
        lost = project.opsbook("incident", "open", "Down", "-e", "dev", "--severity", "bad", check=True)
        assert "on call: zoe, not reached (first)" in flat(lost)
        assert "zoe (not reached), on call in first" in project.opsbook("incident", "show", "last", check=True).out


def test_escalation_goes_from_rota_to_rota_over_a_kill(project: Project) -> None:
    with listeners() as (received, web, _):
        paging(project, web)
        server = Server(project)
        project.opsbook("incident", "open", "It is down", "-e", "dev", "--severity", "bad", check=True)

        def paged() -> list[str]:
            return [each.person for each in incidents(project)[0].on_call]

        until(lambda: paged() == ["anna", "ben"], "the second is paged")
        server.end(signal.SIGKILL)
        server.start()
        page = server.client.get(f"{server.address}/incidents/{incidents(project)[0].id}").text
        assert "ben, on call in second" in page
        until(lambda: len(paged()) > 2, "the first is paged again")
        project.opsbook("incident", "ack", "last", check=True)
        assert server.end() == 0
        server.client.close()
        assert paged() == ["anna", "ben", "anna"]
        assert [path for path, _ in received.requests if path != "/team"] == ["/anna", "/ben", "/anna"]
        (project.root / "oncall/first.ics").write_text("no calendar")
        broken = project.opsbook("incident", "open", "Down again", "-e", "dev", "--severity", "bad", check=True)
        assert "oncall/first.ics cannot be read" in flat(broken) and "on call: ben (second)" in flat(broken)


def test_an_override_counts_by_a_key_that_the_team_knows(people: Team) -> None:
    rota(people.root, "platform", weeks("anna", "ben"))
    people.commit()
    rota(people.root, "platform", weeks("mallory"))
    assert "mallory" not in people.by("ann").opsbook("oncall", check=True).out, "what is committed counts"
    refused = people.by("eve").opsbook("oncall", "override", "platform", "eve", "--until", "23:59")
    assert refused.code == 4 and "is not in allowed_signers" in refused.err
    until_ = f"{datetime.now(UTC).year + 2}-01-01"
    made = people.by("ann").opsbook("oncall", "override", "platform", "carl", "--until", until_, "--json", check=True)
    told = json.loads(made.out)
    assert told["signer"] == "ann@example.org"
    (now,) = [each["now"] for each in json.loads(people.by("bob").opsbook("oncall", "--json", check=True).out)]
    assert (now["person"], now["override"]) == ("carl", "ann@example.org")
    path = people.root / told["file"]
    original = path.read_bytes()
    path.write_bytes(original.replace(b"carl", b"evil"))
    forged = people.by("bob").opsbook("oncall")
    assert forged.code == 1 and "does not count" in forged.out and "evil" not in forged.out
    path.write_bytes(original)
    path.with_suffix(".sig").unlink()
    unsigned = people.by("bob").opsbook("oncall")
    assert unsigned.code == 1 and "does not count: it is not signed." in unsigned.out and "carl" not in unsigned.out
    checked = people.by("bob").opsbook("oncall", "check")
    assert checked.code == 1 and "platform: oncall/overrides/platform-" in checked.out


def test_a_test_message_says_which_channel_took_it_and_leaves_players_alone(project: Project) -> None:
    nothing = project.opsbook("oncall", "test", "-e", "dev")
    assert nothing.code == 1 and "No channel of dev hears of incidents." in nothing.out
    with listeners() as (received, web, _):
        paging(project, web, "lost")
        tried = project.opsbook("oncall", "test", "--json")
        told = {each["channel"]: each["problem"] for each in json.loads(tried.out)}
        assert tried.code == 1 and told.pop("lost") and told == {"anna": "", "ben": "", "team": ""}
        assert {path for path, _ in received.requests} == {"/anna", "/ben", "/team"}
        assert all("Nothing happened" in told["message"] for _, told in received.requests)
        everybody = project.opsbook("oncall", "test", "-e", "dev", "--all")
        assert "/players" in {path for path, _ in received.requests} and "lost" in everybody.out


def test_without_a_rota_the_command_says_how_to_make_one(project: Project) -> None:
    assert "There is no rota: oncall/NAME.ics is one" in project.opsbook("oncall", check=True).out
    assert project.opsbook("oncall", "check", check=True).out == "0 rotas, 30 days: 0 problems\n"
    for days in ("0", "367"):
        assert project.opsbook("oncall", "check", "--days", days).code == 2
    assert project.opsbook("oncall", "--at", "9999-01-01").code == 2
