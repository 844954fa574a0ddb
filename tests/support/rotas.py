"""Calendars of who is on call."""

from collections.abc import Sequence
from pathlib import Path


def shift(person: str, begin: str, end: str, more: str = "", *, dates: bool = False) -> str:
    """An event, once or as `more` says; times are by the clock of Berlin."""
    kind = ";VALUE=DATE" if dates else ";TZID=Europe/Berlin"
    return f"SUMMARY:{person}\r\nDTSTART{kind}:{begin}\r\nDTEND{kind}:{end}\r\n{more}"


def weeks(*people: str) -> list[str]:
    """One after the other, a week each, from Monday 2026-03-02 on."""
    rule = f"RRULE:FREQ=WEEKLY;INTERVAL={len(people)}\r\n"
    days = ("0302", "0309", "0316")
    return [
        shift(who, f"2026{days[number]}T090000", f"2026{days[number + 1]}T090000", rule)
        for number, who in enumerate(people)
    ]


def rota(root: Path, name: str, events: Sequence[str], head: str = "") -> Path:
    """Write a rota of these events."""
    path = root / f"oncall/{name}.ics"
    path.parent.mkdir(exist_ok=True)
    body = "".join(
        f"BEGIN:VEVENT\r\nUID:{number}@example.org\r\nDTSTAMP:20260101T000000Z\r\n{each}END:VEVENT\r\n"
        for number, each in enumerate(events)
    )
    start = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//opsbook//rota//EN\r\n{head}"
    path.write_bytes(f"{start}{body}END:VCALENDAR\r\n".encode())
    return path
