"""Who is on call: calendars, overrides on top of them, and what is wrong with both."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.errors import InputError
from opsbook.incidents import rotas
from opsbook.oncall import checking, overriding
from opsbook.oncall.overriding import Wanted
from opsbook.settings import Settings
from tests.core.trust.test_freezes import WRONG
from tests.support.rotas import rota, shift, weeks

MONDAY = datetime.fromisoformat("2026-03-02T09:00:00+01:00")
WEEK = timedelta(days=7)


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    (tmp_path / "opsbook.toml").touch()
    return settings.load(tmp_path, given=True)


def who(here: Settings, at: datetime, name: str = "platform") -> list[tuple[str, str]]:
    """Names and ends, by the clock of Berlin in winter."""
    roster = rotas.read(here, name, at, at + 2 * WEEK)
    return [(each.person, f"{each.end.astimezone(MONDAY.tzinfo):%m-%d %H:%M}") for each in roster.shifts]


def test_weeks_repeat_and_keep_their_hour_when_summer_begins(here: Settings) -> None:
    rota(here.root, "platform", weeks("anna", "ben"))
    assert who(here, MONDAY) == [("anna", "03-09 09:00"), ("ben", "03-16 09:00")]
    assert who(here, MONDAY + 3 * WEEK) == [("ben", "03-30 08:00"), ("anna", "04-06 08:00"), ("ben", "04-06 09:00")]


def test_days_are_those_of_the_calendars_own_zone(here: Settings) -> None:
    day = shift("anna", "20260302", "20260303", dates=True)
    rota(here.root, "platform", [day], "X-WR-TIMEZONE:America/New_York\r\n")
    assert who(here, MONDAY) == [("anna", "03-03 06:00")]


def test_the_last_override_counts_and_the_rota_goes_on_after_it(here: Settings) -> None:
    rota(here.root, "platform", weeks("anna", "ben"))
    for person, days in (("carl", 2), ("dora", 1)):
        end = (MONDAY + timedelta(days=days)).isoformat()
        overriding.override(here, Wanted("platform", person, end), MONDAY - timedelta(microseconds=days), ask=False)
    expected = [("dora", "03-03 09:00"), ("carl", "03-04 09:00"), ("anna", "03-09 09:00"), ("ben", "03-16 09:00")]
    assert who(here, MONDAY + timedelta(seconds=1))[:4] == expected
    (here.root / rotas.OVERRIDES / "junk.json").write_text('{"kind": "on-call"')
    roster = rotas.read(here, "platform", MONDAY, MONDAY + WEEK)
    assert roster.complaints == ("oncall/overrides/junk.json does not count: it cannot be read",)


def test_after_the_last_rota_comes_the_first_and_a_gap_is_passed_over(here: Settings) -> None:
    rota(here.root, "one", weeks("anna"))
    rota(here.root, "two", [])
    rota(here.root, "three", weeks("ben"))
    names = ("one", "two", "three", "four")

    def paged(last: str, onward: bool = True) -> tuple[str, str]:
        found = rotas.paged(here, names, last, MONDAY, onward=onward)
        return found.person, found.rota

    assert paged("") == paged("gone") == ("anna", "one")
    assert paged("one") == ("ben", "three")
    assert paged("one", onward=False) == ("anna", "one")
    assert paged("three") == ("anna", "one")
    why = rotas.paged(here, names, "three", MONDAY).why
    assert why == ("oncall/four.ics cannot be read: No such file or directory",)
    assert rotas.paged(here, ("two",), "", MONDAY) == rotas.OnCall(why=("nobody is on call in two",))


@pytest.mark.parametrize("text", WRONG)
def test_a_calendar_that_cannot_be_read_is_one_sentence(here: Settings, text: str) -> None:
    rota(here.root, "platform", [])
    (here.root / "oncall/platform.ics").write_text(text)
    with pytest.raises(InputError) as wrong:
        rotas.read(here, "platform", MONDAY, MONDAY + WEEK)
    assert wrong.value.message.startswith("oncall/platform.ics cannot be read") and "\n" not in wrong.value.message
    assert checking.problems(here, MONDAY, 30) == [wrong.value.message]
    assert rotas.paged(here, ("platform",), "", MONDAY).person == ""


def test_a_name_is_plain_text_whatever_stands_in_the_calendar(here: Settings) -> None:
    rota(here.root, "platform", weeks("an\x1b[31mna\\n\u202e" + "x" * 200))
    (name, _), *_ = who(here, MONDAY)
    assert name.startswith(r"anna\n\u202ex") and len(name) == 80


def test_a_check_names_gaps_people_and_shifts_at_the_same_time(here: Settings) -> None:
    events = [
        shift("anna", "20260302T090000", "20260304T090000"),
        shift("bne", "20260304T080000", "20260305T090000"),
        shift("", "20260306T090000", "20260306T100000"),
        shift("anna", "20260307T090000", "20260501T090000"),
    ]
    rota(here.root, "platform", events)
    rota(here.root, "empty", [])
    (here.root / "training.yml").write_text("people: {anna: {}, ben: {}}\n")
    found = checking.problems(here, MONDAY, 30)
    assert len(found) == 4
    assert "empty: nobody is on call from " in found[0] and "2026-04-01" in found[0]
    assert "platform: nobody is on call from " in found[1] and "2026-03-05" in found[1]
    assert "platform: anna and bne are both on call at" in found[2]
    assert found[3] == "platform: training.yml names no bne. Did you mean ben?"
    rota(here.root, "platform", weeks("anna", "ben"))
    (here.root / "oncall/empty.ics").unlink()
    assert checking.problems(here, MONDAY, 60) == []


def test_a_check_names_rotas_and_channels_that_environments_lack(here: Settings) -> None:
    rota(here.root, "platform", weeks("anna", "ben"))
    policy = {"secrets": {"a": "env:A"}, "channels": {"own": {"to": "a", "person": "anna"}}, "on_call": ["platfrom"]}
    folder = here.root / "playbooks/inventories/dev"
    folder.mkdir(parents=True)
    (folder / "hosts.yml").write_text("all: {hosts: {}}\n")
    (folder / "environment.yml").write_text(json.dumps(policy))
    assert checking.problems(here, MONDAY, 30) == ["dev: on_call: there is no rota platfrom. Did you mean platform?"]
    (folder / "environment.yml").write_text(json.dumps({**policy, "on_call": ["platform"]}))
    assert "dev: ben is on call, and has no channel." in checking.problems(here, MONDAY, 30)


def test_a_clock_is_the_next_one_and_bad_times_are_said(here: Settings) -> None:
    now = datetime.now(UTC)
    soon = overriding.moment(f"{now.astimezone() - timedelta(minutes=2):%H:%M}", now)
    assert timedelta(hours=23) < soon - now < timedelta(hours=24, minutes=61)
    rota(here.root, "platform", weeks("anna"))
    for wanted, said in (
        (Wanted("platfrm", "ben", "18:00"), "There is no rota platfrm"),
        (Wanted("../platform", "ben", "18:00"), "There is no rota"),
        (Wanted("platform", "ben\x1b[2J", "18:00"), "is no name"),
        (Wanted("platform", " ", "18:00"), "is no name"),
        (Wanted("platform", "ben", "soon"), "is no time"),
        (Wanted("platform", "ben", "2020-01-01"), "is in the past"),
        (Wanted("platform", "ben", "9999-12-31T23:59"), "."),
        (Wanted("platform", "ben", "2027-03-01", "2027-03-02"), "is not after"),
        (Wanted("platform", "ben", "2027-03-01", "2020-03-02"), "is in the past"),
    ):
        with pytest.raises(InputError, match=said):
            overriding.override(here, wanted, now, ask=False)
    assert not (here.root / rotas.OVERRIDES).exists()


@pytest.mark.parametrize(
    "rule", ["FREQ=SECOND\r\n LY", "FREQ=HOURLY", "FREQ=DAILY;BYHOUR=1;BYMINUTE=1,2", "FREQ=DAILY;BYHOUR=1,2"]
)
def test_a_rule_that_takes_forever_is_refused_at_once(here: Settings, rule: str) -> None:
    rota(here.root, "platform", [shift("anna", "20200302T090000", "20200302T100000", f"RRULE:{rule}\r\n")])
    with pytest.raises(InputError, match="an event repeats more often than once a day"):
        rotas.read(here, "platform", MONDAY, MONDAY + WEEK)


def test_a_time_of_tomorrow_is_by_tomorrows_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for evening, morning in (("2026-10-24T20:00+02:00", "07:00"), ("2026-03-28T20:00+01:00", "06:00")):
            found = overriding.moment("08:00", datetime.fromisoformat(evening))
            assert f"{found:%H:%M}" == morning
    finally:
        monkeypatch.undo()
        time.tzset()


def test_channels_that_bring_nothing_are_named(here: Settings) -> None:
    rota(here.root, "platform", weeks("anna"))
    folder = here.root / "playbooks/inventories/dev"
    folder.mkdir(parents=True)
    (folder / "hosts.yml").write_text("all: {}")
    (here.root / "playbooks/messages").mkdir()
    for event in ("incident-opened", "incident-escalated"):
        (here.root / f"playbooks/messages/{event}.engineers.j2").write_text("x")
    for channel, wrong in (
        ({"person": "anna", "events": ["incident-escalate"]}, ["incident-opened", "incident-escalated"]),
        ({"audience": "players"}, ["incident-opened", "incident-escalated"]),
        ({"events": ["incident-opened"]}, ["incident-escalated"]),
        ({"person": "anna"}, []),
    ):
        policy = {"secrets": {"a": "env:A"}, "channels": {"one": {"to": "a", **channel}}, "on_call": ["platform"]}
        (folder / "environment.yml").write_text(json.dumps(policy))
        of = " of anna" if "person" in channel else ""
        assert checking.problems(here, MONDAY, 30) == [f"dev: no channel{of} gets {each}." for each in wrong]
