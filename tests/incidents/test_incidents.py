"""Incidents as people change them: several at once, after their end, and after damage."""

import errno
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbook import files, settings
from opsbook.core.model.events import read
from opsbook.core.record import journal, seal
from opsbook.errors import InputError, Refused
from opsbook.incidents import acting, facts, reviewing, store, timeline
from opsbook.incidents.acting import Acting, Opening
from opsbook.incidents.incident import Incident, State
from opsbook.settings import Settings
from opsbook.site import lists, publishing
from tests.support.project import Project


@pytest.fixture
def here(project: Project) -> Settings:
    return settings.load(project.root, given=True)


@pytest.fixture
def opened(here: Settings) -> Incident:
    return acting.open_(here, Opening("Nobody can log in", environment="dev"))


def test_whoever_is_unsure_takes_the_worst(here: Settings, opened: Incident) -> None:
    assert (opened.severity, opened.state) == ("critical", State.OPEN)
    changed = Acting(here, opened.id).severity("HIGH", "only new players")
    assert changed.severity == "high"
    with pytest.raises(InputError, match="There is no severity higher"):
        Acting(here, opened.id).severity("higher", "")


def test_of_two_who_acknowledge_the_second_is_told_who_was_first(here: Settings, opened: Incident) -> None:
    Acting(here, opened.id).acknowledge()
    with pytest.raises(Refused, match=r"acknowledged already, by \w+@"):
        Acting(here, opened.id).acknowledge()


def test_notes_of_several_at_once_are_all_there(here: Settings, opened: Incident) -> None:
    def write(who: int) -> None:
        for number in range(15):
            Acting(here, opened.id).note(f"{who}-{number}")

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    events = store.load(store.find(here, "last")).events
    notes = [fact.text for fact in map(read, events) if isinstance(fact, facts.NoteAdded)]
    assert sorted(notes) == sorted(f"{who}-{number}" for who in range(4) for number in range(15))


def test_an_incident_that_is_over_is_sealed_and_may_still_get_notes(here: Settings, opened: Incident) -> None:
    path = store.find(here, opened.id)
    Acting(here, opened.id).resolve("a full disk", anyway=False)
    assert seal.verify(path) == []
    Acting(here, opened.id).note("it was the log of the proxy")
    Acting(here, opened.id).add_action("rotate the log", "ann", "2026-12-24")
    assert seal.verify(path) == []
    # Of the end itself, of the message about it, and of the note.
    assert len(list((path / seal.SEALS).glob("*.json"))) == 3
    with pytest.raises(Refused, match="resolved already"):
        Acting(here, opened.id).resolve("again", anyway=True)


def test_what_was_changed_after_the_seal_is_seen_and_not_written_on(
    project: Project, here: Settings, opened: Incident
) -> None:
    path = store.find(here, opened.id)
    Acting(here, opened.id).resolve("a full disk", anyway=False)
    line = path / journal.NAME
    line.write_text(line.read_text().replace("a full disk", "a full desk"))
    with pytest.raises(InputError, match="changed after it was sealed"):
        Acting(here, opened.id).note("later")
    done = project.opsbook("incident", "verify")
    assert done.code == 1 and "journal.jsonl: was changed after the seal" in done.out


def test_an_incident_whose_writer_was_killed_goes_on(here: Settings, opened: Incident) -> None:
    path = store.find(here, opened.id)
    with (path / journal.NAME).open("ab") as out:
        out.write(b'{"seq":3,"time":"2026-')
    assert Acting(here, opened.id).note("after it").state is State.OPEN
    assert [event.seq for event in store.load(path).events] == [1, 2, 3]
    # One that was killed before it had its first event was never opened.
    (store.folder(here) / ".inc-20261130T120000Z-000000").mkdir()
    assert [each.name for each in store.every(here.records)] == [opened.id]


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda doing: doing.note("  "), "The text is empty"),
        (lambda doing: doing.note("x", at="soon"), "'soon' is no time"),
        (lambda doing: doing.note("x", at="2999-01-01T10:00"), "is in the future"),
        (lambda doing: doing.role("chief", ""), "There is no role chief"),
        (lambda doing: doing.role("scribe", "x\ny"), "is no name"),
        (lambda doing: doing.update(" ", "x"), "is no name"),
        (lambda doing: doing.add_action("x", "ann\n", "2026-12-24"), "is no name"),
        (lambda doing: doing.add_action("x", "ann", "tomorrow"), "'tomorrow' is no day"),
        (lambda doing: doing.close_action(3, "done"), "has no action 3"),
        (lambda doing: doing.close_review(), "is open"),
        (lambda doing: doing.attach("20261130T120000Z-page-abcd"), "There is no run"),
    ],
)
def test_what_makes_no_sense_writes_nothing(
    here: Settings, opened: Incident, work: Callable[[Acting], Incident], said: str
) -> None:
    before = (store.find(here, opened.id) / journal.NAME).read_bytes()
    with pytest.raises((InputError, Refused), match=said):
        work(Acting(here, opened.id))
    assert (store.find(here, opened.id) / journal.NAME).read_bytes() == before


def test_a_note_may_say_when_it_happened(here: Settings, opened: Incident) -> None:
    found = Acting(here, opened.id).note("the graph fell", at="2026-01-02T03:04+01:00")
    first = next(timeline.entries(found))
    assert first.text == "the graph fell" and first.time == "2026-01-02T02:04:00Z"
    soon = (datetime.now() + timedelta(minutes=30)).strftime("%H:%M")  # noqa: DTZ005  (as a person reads a clock)
    late = Acting(here, opened.id).note("after midnight", at=soon)
    (entry,) = [each for each in timeline.entries(late) if each.text == "after midnight"]
    ago = datetime.now(UTC) - datetime.fromisoformat(entry.time)
    assert timedelta(hours=23) < ago < timedelta(hours=24)


def test_a_review_is_begun_by_the_journal_and_finished_by_people(here: Settings, opened: Incident) -> None:
    policy = here.inventories / "dev/environment.yml"
    nobody = "settings: {prometheus: 'http://127.0.0.1:1', impact: {failed | messages: 'a{b=\"c\"}'}}\n"
    policy.write_text(policy.read_text() + nobody)
    doing = Acting(here, opened.id)
    doing.note("saw | <b>this</b> [link](http://x) {{ 7*7 }}")
    doing.note("TODO ask the DBA")
    done = doing.resolve("a full disk", anyway=False)
    page, new = reviewing.write(here, done)
    text = page.read_text()
    assert new and "saw &#124; &lt;b&gt;this&lt;/b&gt; \\[link\\](http://x) \\{\\{ 7\\*7 \\}\\}" in text
    assert "failed &#124; messages: " in text and "Connection refused" in text, "it says so, and goes on"
    with pytest.raises(Refused, match="places to fill in"):
        doing.close_review()
    page.write_text(text.replace("\nTODO", "\nDone"))
    assert reviewing.write(here, done) == (page, False)
    closed = doing.close_review()
    assert closed.state is State.REVIEWED
    fact = next(fact for fact in map(read, closed.events) if isinstance(fact, facts.IncidentReviewed))
    assert fact.path == f"reviews/{opened.id}.md"


def test_a_closed_review_is_published_where_the_policy_allows_it(here: Settings, opened: Incident) -> None:
    doing = Acting(here, opened.id)
    page, _ = reviewing.write(here, doing.resolve("a full disk", anyway=False))
    page.write_text(page.read_text().replace("\nTODO", "\nDone"))

    def published() -> set[str]:
        return {path for path in publishing.publish(here, "Ops").pages if path.startswith("reviews/")}

    policy = here.inventories / "dev/environment.yml"
    own = policy.read_text()
    policy.write_text(own + "publish_records: full\n")
    assert not published()
    doing.close_review()
    assert published() == {f"reviews/{opened.id}.md", "reviews/index.md"}
    policy.write_text(own)
    assert not published()
    policy.write_text(own + "publish_records: full\n")
    page.write_text(page.read_text() + "More.\n")
    assert not published()


def test_a_secret_is_not_in_its_journal(project: Project, opened: Incident) -> None:
    project.env["TOKEN"] = "correct-horse-battery"
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text() + "secrets: {token: 'env:TOKEN'}\n")
    project.opsbook("incident", "note", opened.id, "it said correct-horse-battery", check=True)
    assert "horse" not in (project.root / "records/incidents" / opened.id / journal.NAME).read_text()


def test_impact_and_urgency_give_the_severity(project: Project) -> None:
    def opened(*options: str) -> tuple[int, str]:
        done = project.opsbook("incident", "open", "It is slow", *options)
        return done.code, done.out + done.err

    assert "no [impact]" in opened("--impact", "some", "--urgency", "now")[1]
    project.write("opsbook.toml", 'records = "records"\n[impact]\nsome = {now = "High", later = "nonsense"}\n')
    code, said = opened("--impact", "some", "--urgency", "now")
    assert (code, "open, high" in said) == (0, True)
    for options, problem in (
        (("--impact", "sone", "--urgency", "now"), "no impact sone. Did you mean some?"),
        (("--impact", "some"), "The urgency is missing."),
        (("--impact", "some", "--urgency", "soon"), "One of now, later"),
        (("--impact", "some", "--urgency", "later"), "There is no severity nonsense."),
        (("--impact", "some", "--urgency", "now", "--severity", "low"), "Leave one of them out."),
    ):
        code, said = opened(*options)
        assert (code, problem.lower() in said.lower()) == (2, True), said


def test_the_command_line(project: Project) -> None:
    assert "No incident is open." in project.opsbook("incident", "list", check=True).out
    assert project.opsbook("incident", "show", "last").code == 2
    told = json.loads(project.opsbook("incident", "open", "It is down", "-e", "dev", "--json", check=True).out)
    run = told["incident"]
    assert project.opsbook("incident", "open", "x", "-e", "prod").code == 2
    assert project.opsbook("incident", "open", "x", "--runbook", "nothing").code == 2
    assert f"opsbook incident mitigate {run}" in project.opsbook("incident", "ack", run[:15], check=True).out
    assert project.opsbook("incident", "ack", "last").code == 4
    assert "is scribe" in project.opsbook("incident", "role", "last", "scribe", "--json", check=True).out
    project.opsbook("incident", "action", "last", "write a page", "--owner", "ann", "--due", "2026-12-24", check=True)
    project.opsbook("incident", "action", "last", "written", "--close", "1", check=True)
    shown = project.opsbook("incident", "show", "last", check=True).out
    assert "action 1 (closed: written): write a page" in shown
    assert "It is down" in project.opsbook("incident", "list", check=True).out


def test_json_and_words_of_a_damaged_one(project: Project, opened: Incident) -> None:
    path: Path = project.root / "records/incidents" / opened.id / journal.NAME
    path.write_text("nothing\n")
    listed = json.loads(project.opsbook("incident", "list", "--json", check=True).out)
    assert listed[0]["severity"] == "damaged"
    assert project.opsbook("incident", "note", opened.id, "x").code == 2
    assert project.opsbook("incident", "verify").code == 1


def test_status_and_the_home_page_show_what_is_open_and_overdue(project: Project, here: Settings) -> None:
    project.write("mkdocs.yml", "site_name: Ops\n")
    assert "Open incidents" not in home(here)
    hidden = project.root / "playbooks/inventories/secret"
    (hidden).mkdir()
    (hidden / "hosts.yml").write_text((project.root / "playbooks/inventories/dev/hosts.yml").read_text())
    (hidden / "environment.yml").write_text("publish_records: none\n")
    acting.open_(here, Opening("Nobody knows of it", environment="secret"))
    found = acting.open_(here, Opening("It is <b>down</b>", environment="dev"))
    doing = Acting(here, found.id)
    doing.add_action("buy a fan", "ann", "2026-01-01")
    doing.add_action("later", "ann", "2999-01-01")
    text = home(here)
    assert "It is &lt;b&gt;down&lt;/b&gt;" in text and "Nobody knows of it" not in text
    assert "buy a fan" in text and "later" not in text
    shown = project.opsbook("status", check=True).out
    assert 'critical  "It is <b>down</b>"' in shown and f"opsbook incident show {found.id}" in shown
    told = json.loads(project.opsbook("status", "--json", check=True).out)["incidents"]
    assert [each["title"] for each in told] == ["It is <b>down</b>", "Nobody knows of it"]
    doing.resolve("mended", anyway=False)
    assert "Open incidents" not in home(here) and "buy a fan" in home(here)
    doing.close_action(1, "bought")
    assert "buy a fan" not in home(here)


def home(here: Settings) -> str:
    return lists.home(publishing.gather(here, "Ops", ()))


def test_the_public_page_says_what_was_written_for_players_and_nothing_else(project: Project) -> None:
    assert project.opsbook("incident", "status-page").code == 2
    project.opsbook("incident", "open", "The primary lost its disk", "-e", "dev", check=True)
    assert "There is no public status page." in project.opsbook("incident", "publish", "last", "x").err
    project.write("opsbook.toml", 'records = "records"\nstatus_page = "public/status.html"\n')
    page = project.root / "public/status.html"
    project.opsbook("incident", "status-page", check=True)
    assert "No problem is known." in page.read_text()
    project.opsbook("incident", "publish", "last", "Logins <b>fail</b>", check=True)
    project.opsbook("incident", "note", "last", "replace the disk of db-1", check=True)
    project.opsbook("incident", "update", "last", "engineers", "db-2 takes over", check=True)
    project.opsbook("incident", "update", "last", "players", "We work on it.", check=True)
    text = page.read_text()
    assert "Logins &lt;b&gt;fail&lt;/b&gt;" in text and "We work on it." in text and "we look into it" in text
    for inside in ("primary", "db-1", "db-2", "inc-", "critical", "<script", "@"):
        assert inside not in text.partition("<body>")[2], inside
    project.opsbook("incident", "resolve", "last", "a new disk", check=True)
    text = page.read_text()
    assert "No problem is known." in text and "it is over" in text and "a new disk" not in text
    project.opsbook("incident", "publish", "last", check=True)
    assert "Logins" not in page.read_text()
    assert project.opsbook("incident", "verify").code == 0
    project.write("opsbook.toml", 'records = "records"\nstatus_page = "../elsewhere.html"\n')
    assert "write a path below the project" in project.opsbook("incident", "list").err


def test_a_run_begins_although_its_incident_cannot_be_written(project: Project, opened: Incident) -> None:
    project.page('## Steps\n\n### One\n```python\nfrom opsbook import command\ncommand(["touch", "ran"])\n```\n')
    path = project.root / "records/incidents" / opened.id / journal.NAME
    path.write_text("nothing\n")
    done = project.opsbook("run", "page", "-e", "dev", "--yes", "--incident", opened.id, check=True)
    assert "Not attached: " in done.err and f"opsbook incident attach {opened.id} 2" in done.err
    assert (project.root / "ran").exists()
    assert project.opsbook("run", "page", "-e", "dev", "--yes", "--incident", "inc-1").code == 2


def test_parameters_of_its_page_are_checked(project: Project) -> None:
    project.page('## Parameters\n```python tags=["parameters"]\nhost: str\n```\n\n## Steps\n\n### One\nDo it.\n')
    assert "no parameter hots" in project.opsbook("incident", "open", "x", "--runbook", "page", "-p", "hots=a").err
    twice = ("-p", "host=a", "-p", "host=b")
    assert "is given 2 times" in project.opsbook("incident", "open", "x", "--runbook", "page", *twice).err
    assert "No incident" in project.opsbook("incident", "list").out


def test_without_room_for_its_seal_it_is_written_and_says_so(
    here: Settings, opened: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    doing = Acting(here, opened.id)
    doing.resolve("done", anyway=False)
    write = files.write_atomic

    def full(path: Path, data: bytes) -> None:
        if path.name == "seal.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomic", full)
        with pytest.raises(InputError, match="It is written, and not sealed: No space left"):
            doing.note("later")
    assert sum(event.type == "note-added" for event in store.load(doing.path).events) == 1
    doing.note("with room")
    assert seal.verify(doing.path) == []
