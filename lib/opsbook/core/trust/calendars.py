"""Calendars as files, as every calendar program writes them (iCalendar, RFC 5545): with rules that repeat, exceptions
and time zones.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import PurePath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from opsbook import files
from opsbook.core.planning import git
from opsbook.settings import Settings

_ZONES = timedelta(days=2)
"""How far an event may be from a moment by the clock of another zone."""

_FOLD = re.compile(r"\r?\n[ \t]")
_TOO_OFTEN = re.compile(r"FREQ=(?:SECONDLY|MINUTELY|HOURLY)|BYSECOND=|BYMINUTE=\d+,|BYHOUR=\d+,", re.IGNORECASE)
"""Rules that make so many events that nobody would live to see the answer: of people and freezes there are days."""


class Happening(NamedTuple):
    """An event, once: one that repeats happens several times. The title is as somebody wrote it."""

    begin: datetime
    end: datetime
    title: str


def text(settings: Settings, name: str) -> str:
    """A calendar as the protected branch has it now, else the folder. Raises OSError, ValueError and Refused."""
    branch = git.protected(settings.root, settings.protected_branch) if git.is_repository(settings.root) else None
    shown = git.show(settings.root, branch.commit, name) if branch else None
    return draft(settings, name) if shown is None else shown


def draft(settings: Settings, name: str) -> str:
    """A calendar as the folder has it. Raises OSError and ValueError."""
    if not (settings.root / name).is_relative_to(settings.root) or ".." in PurePath(name).parts:
        raise ValueError("it does not lie in the project")
    return files.read_text(settings.root / name, within=settings.root)


def between(text: str, zone: str, begin: datetime, end: datetime) -> Iterator[Happening]:
    """What happens around this time. Whole days, and times without a zone, are in `zone`; empty: in the calendar's own.

    Two libraries read what anybody wrote: it may raise anything.
    """
    from icalendar import Calendar
    from recurring_ical_events import of

    if _TOO_OFTEN.search(_FOLD.sub("", text)):
        raise ValueError("an event repeats more often than once a day")
    calendar = Calendar.from_ical(text)
    place = ZoneInfo(zone or str(calendar.get("X-WR-TIMEZONE", "UTC")))
    for event in of(calendar).between(begin - _ZONES, end + _ZONES):
        if str(event.get("STATUS", "")).upper() != "CANCELLED":
            first, last = (_moment(event.get(key).dt, place) for key in ("DTSTART", "DTEND"))
            yield Happening(first, last, str(event.get("SUMMARY") or ""))


def _moment(value: Any, zone: ZoneInfo) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=zone)
    if isinstance(value, date):
        return datetime.combine(value, time(), zone)
    raise TypeError(f"{value!r} is no time")
