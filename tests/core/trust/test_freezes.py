"""Calendars of freezes: no run begins during an event, in whatever way the calendar says when that is."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.model.environment import Environment, Policy
from opsbook.core.trust import windows
from opsbook.errors import NotYet, Refused
from opsbook.settings import Settings

HEAD = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//a//b//EN\n"
EVENT = "BEGIN:VEVENT\nUID:{uid}@example.org\nDTSTAMP:20260101T000000Z\n{lines}\nEND:VEVENT\n"
CHRISTMAS = "SUMMARY:Christmas\nDTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227"
FRIDAYS = (
    "SUMMARY:Friday evenings\nDTSTART;TZID=Europe/Berlin:20260102T160000\nDTEND;TZID=Europe/Berlin:20260102T220000\n"
    "RRULE:FREQ=WEEKLY;BYDAY=FR\nEXDATE;TZID=Europe/Berlin:20260710T160000"
)
FLOATING = "SUMMARY:Stocktaking\nDTSTART:20260301T080000\nDTEND:20260301T120000"
CALLED_OFF = "SUMMARY:Called off\nSTATUS:CANCELLED\nDTSTART:20260401T000000Z\nDTEND:20260402T000000Z"
AFTER = "SUMMARY:After Christmas\nDTSTART;VALUE=DATE:20261227\nDURATION:P1D"


def at(folder: Path, moment: str, *events: str, zone: str = "Europe/Berlin") -> tuple[datetime, str] | None:
    body = "".join(EVENT.format(uid=number, lines=lines) for number, lines in enumerate(events))
    text = f"{HEAD}{body}END:VCALENDAR\n".replace("\n", "\r\n")
    (folder / "freezes.ics").write_bytes(text.encode())
    policy = Policy(freezes=("freezes.ics",), time_zone=zone)
    return windows.frozen(project(folder), "production", policy, datetime.fromisoformat(moment))


def project(folder: Path) -> Settings:
    (folder / "opsbook.toml").touch()
    return settings.load(folder, given=True)


def begin(folder: Path, policy: Policy, now: datetime, *, freezes: bool = True) -> None:
    windows.check(project(folder), Environment("production", policy, "", ()), now, freezes=freezes)


@pytest.mark.parametrize(
    ("moment", "event", "ends"),
    [
        ("2026-12-24T00:00:00+01:00", CHRISTMAS, "2026-12-27T00:00:00+01:00"),
        ("2026-12-26T23:59:59+01:00", CHRISTMAS, "2026-12-27T00:00:00+01:00"),
        # The same moment; it is still the 23rd in New York.
        ("2026-12-23T18:00:00-05:00", CHRISTMAS, "2026-12-27T00:00:00+01:00"),
        # Winter and summer time.
        ("2026-01-09T15:30:00+00:00", FRIDAYS, "2026-01-09T22:00:00+01:00"),
        ("2026-07-03T14:30:00+00:00", FRIDAYS, "2026-07-03T22:00:00+02:00"),
        ("2026-03-01T08:30:00+01:00", FLOATING, "2026-03-01T12:00:00+01:00"),
    ],
)
def test_a_freeze_is_on(tmp_path: Path, moment: str, event: str, ends: str) -> None:
    found = at(tmp_path, moment, event)
    assert found is not None
    assert found[0] == datetime.fromisoformat(ends)
    assert found[1].endswith("(freezes.ics)")


@pytest.mark.parametrize(
    ("moment", "event"),
    [
        ("2026-12-23T23:59:59+01:00", CHRISTMAS),
        ("2026-12-27T00:00:00+01:00", CHRISTMAS),
        ("2026-07-03T13:30:00+00:00", FRIDAYS),
        ("2026-07-10T14:30:00+00:00", FRIDAYS),
        ("2026-03-01T07:30:00+00:00", FLOATING.replace("08", "09")),
        ("2026-04-01T12:00:00+00:00", CALLED_OFF),
    ],
)
def test_no_freeze_is_on(tmp_path: Path, moment: str, event: str) -> None:
    assert at(tmp_path, moment, event) is None


def test_freezes_that_follow_each_other_end_with_the_last(tmp_path: Path) -> None:
    found = at(tmp_path, "2026-12-25T12:00:00+01:00", CHRISTMAS, AFTER)
    assert found == (datetime.fromisoformat("2026-12-28T00:00:00+01:00"), "Christmas (freezes.ics)")


def test_a_freeze_goes_before_an_open_window(tmp_path: Path) -> None:
    at(tmp_path, "2026-12-25T12:00:00+01:00", CHRISTMAS)
    policy = Policy(freezes=("freezes.ics",), time_zone="Europe/Berlin", windows=({"begin": "00:00"},))
    with pytest.raises(NotYet, match=r"production is frozen until .*: Christmas \(freezes.ics\)"):
        begin(tmp_path, policy, datetime(2026, 12, 25, tzinfo=UTC))
    begin(tmp_path, policy, datetime(2026, 12, 28, tzinfo=UTC))
    begin(tmp_path, policy, datetime(2026, 12, 25, tzinfo=UTC), freezes=False)


def calendar(lines: str) -> str:
    return f"{HEAD}{EVENT.format(uid=1, lines=lines)}END:VCALENDAR\n"


WRONG = (
    "",
    "BEGIN:VCALENDAR",
    "no calendar",
    "\x00",
    f"{HEAD}BEGIN:VEVENT\nDTSTART:20260101\n",
    calendar("DTSTART:soon"),
    calendar("DTSTART;VALUE=DATE:20260101\nDURATION:P9999999D"),
    calendar("DTSTART:20260101T000000Z\nRRULE:FREQ=SECONDLY"),
)


@pytest.mark.parametrize("text", WRONG)
def test_a_calendar_that_cannot_be_read_closes_the_environment(tmp_path: Path, text: str) -> None:
    (tmp_path / "freezes.ics").write_text(text)
    for name in ("freezes.ics", "missing.ics", "../freezes.ics", "/etc/passwd"):
        policy = Policy(freezes=(name,))
        with pytest.raises(Refused, match="Nobody can say whether production is frozen") as refused:
            begin(tmp_path, policy, datetime.now(UTC))
        assert not isinstance(refused.value, NotYet)
