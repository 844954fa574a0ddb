"""When runs may begin: the windows of an environment, and the calendars of its freezes. A freeze goes before a window.

Calendars are iCalendar files (RFC 5545), as every calendar program writes them: with rules that repeat, exceptions and
time zones. Whole days, and times without a zone, are in the environment's zone.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from opsbook import files
from opsbook.core.model.environment import Environment, Policy, Window
from opsbook.core.model.text import one_line
from opsbook.core.planning import git
from opsbook.errors import NotYet, Refused
from opsbook.settings import Settings

_OVERRIDE = "If it cannot wait: --emergency REASON."
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = 8
"""Days to look ahead: every weekly window opens again within them."""

_ZONES = timedelta(days=2)
"""How far an event may be from now by the clock of another zone."""

_TOO_OFTEN = re.compile(r"FREQ=(?:SECONDLY|MINUTELY)", re.IGNORECASE)

_MOST = 50
"""Freezes one after the other that are followed to the end of the last."""


def check(settings: Settings, environment: Environment, now: datetime, *, freezes: bool = True) -> None:
    """Raises NotYet, with when it will be possible, if no run may begin now; Refused if a calendar cannot be read."""
    policy = environment.policy
    if freezes and (ends := frozen(settings, environment.name, policy, now)):
        raise NotYet(f"{environment.name} is frozen until {local(ends[0])}: {ends[1]}.", _OVERRIDE)
    if opens := next_window(policy.windows, policy.time_zone, now):
        said = f"Runs begin in {environment.name} only in its windows; the next opens {local(opens)}."
        raise NotYet(said, _OVERRIDE)


def frozen(settings: Settings, environment: str, policy: Policy, now: datetime) -> tuple[datetime, str] | None:
    """When the freeze that is on now ends, and what it is; None if there is none. Raises Refused."""
    found = [each for name in policy.freezes for each in _events(settings, environment, name, policy.time_zone, now)]
    ends, why = now, ""
    for _ in range(_MOST):
        later = next(((end, what) for begin, end, what in found if begin <= ends < end), None)
        if later is None:
            break
        ends, why = later[0], why or later[1]
    return (ends, why) if why else None


def _events(
    settings: Settings, environment: str, name: str, zone: str, now: datetime
) -> list[tuple[datetime, datetime, str]]:
    """Begin, end and title of each event around now. Raises Refused if nobody can say."""
    try:
        return _around(_text(settings, name), name, zone, now)
    except Refused:
        raise
    except Exception as error:
        # Two libraries read what anybody wrote: whatever they raise closes the environment.
        said = f"Nobody can say whether {environment} is frozen: {name} cannot be read: {one_line(str(error))}."
        raise Refused(said, f"Mend it. {_OVERRIDE}") from error


def _text(settings: Settings, name: str) -> str:
    """A calendar as the protected branch has it now, whatever was planned; else that of the folder."""
    branch = git.protected(settings.root, settings.protected_branch) if git.is_repository(settings.root) else None
    shown = git.show(settings.root, branch.commit, name) if branch else None
    return files.read_text(settings.root / name, within=settings.root) if shown is None else shown


def _around(text: str, name: str, zone: str, now: datetime) -> list[tuple[datetime, datetime, str]]:
    from icalendar import Calendar
    from recurring_ical_events import of

    found = []
    if _TOO_OFTEN.search(text):
        raise ValueError("an event repeats every second or minute")
    for event in of(Calendar.from_ical(text)).between(now - _ZONES, now + _ZONES):
        if str(event.get("STATUS", "")).upper() != "CANCELLED":
            begin, end = (_moment(event.get(key).dt, zone) for key in ("DTSTART", "DTEND"))
            found.append((begin, end, f"{one_line(str(event.get('SUMMARY') or 'no title'), 80)} ({name})"))
    return found


def _moment(value: Any, zone: str) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=ZoneInfo(zone))
    if isinstance(value, date):
        return datetime.combine(value, time(), ZoneInfo(zone))
    raise TypeError(f"{value!r} is no time")


def local(moment: datetime) -> str:
    """A moment for people, in the zone of this machine."""
    return f"{moment.astimezone():%A %Y-%m-%d %H:%M %z}"


def next_window(windows: Sequence[Window], zone: str, now: datetime) -> datetime | None:
    """When the next window opens; None if one is open now, or there are none."""
    here = now.astimezone(ZoneInfo(zone))
    spans = [_span(window, here + timedelta(days=ahead)) for window in windows for ahead in range(-1, _WEEK)]
    found = [span for span in spans if span is not None]
    if not windows or any(begin <= here < end for begin, end in found):
        return None
    return min(begin for begin, _ in found if begin > here)


def _span(window: Window, day: datetime) -> tuple[datetime, datetime] | None:
    """Begin and end of a window that begins on this day. Local times: a change to summer time makes it shorter."""
    if _DAYS[day.weekday()] not in window.days:
        return None
    begin, end = (time.fromisoformat(clock) for clock in (window.begin, window.end))
    last = day.date() + timedelta(days=1 if end <= begin else 0)
    return datetime.combine(day.date(), begin, day.tzinfo), datetime.combine(last, end, day.tzinfo)
