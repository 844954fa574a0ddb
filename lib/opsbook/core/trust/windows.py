"""Whether a run may begin now, and if not, when."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from opsbook.core.model.environment import Window

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = 8
"""Days to look ahead: every weekly window opens again within them."""


def opens(windows: Sequence[Window], zone: str, now: datetime) -> datetime | None:
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
