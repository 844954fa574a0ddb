"""When runs may begin: the windows of an environment, and the calendars of its freezes. A freeze goes before a window.

Whole days, and times without a zone, are in the environment's zone.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from opsbook.core.model.environment import Environment, Policy, Window
from opsbook.core.model.text import one_line
from opsbook.core.trust import calendars
from opsbook.errors import NotYet, Refused
from opsbook.settings import Settings

_OVERRIDE = "If it cannot wait: --emergency REASON."
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = 8
"""Days to look ahead: every weekly window opens again within them."""

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
        later = next((each for each in found if each.begin <= ends < each.end), None)
        if later is None:
            break
        ends, why = later.end, why or later.title
    return (ends, why) if why else None


def _events(settings: Settings, environment: str, name: str, zone: str, now: datetime) -> list[calendars.Happening]:
    """What happens around now. Raises Refused if nobody can say."""
    try:
        found = list(calendars.between(calendars.text(settings, name), zone, now, now))
    except Refused:
        raise
    except Exception as error:
        # Two libraries read what anybody wrote: whatever they raise closes the environment.
        said = f"Nobody can say whether {environment} is frozen: {name} cannot be read: {one_line(str(error))}."
        raise Refused(said, f"Mend it. {_OVERRIDE}") from error
    return [each._replace(title=f"{one_line(each.title or 'no title', 80)} ({name})") for each in found]


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
