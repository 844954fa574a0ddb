"""The page of one record: what a run did, readable without opsbook, a server, a script or the network.

Text from hosts and people is untrusted: every value is escaped.
"""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from opsbook.html import render

LONGEST = 20_000
"""Characters of a step's output that are shown; the record has all of it."""


def page(told: Mapping[str, Any], outputs: Mapping[str, str]) -> str:
    """An HTML document from the summary of a record and the output of each step."""
    titles = {step["step"]: step["title"] for step in told.get("steps") or ()}
    return render(
        "record.html",
        title=f"{told.get('title') or told.get('runbook')} in {told.get('environment')}",
        told=told,
        by=", then ".join(map(str, told.get("operators") or [told.get("operator") or "—"])),
        span=span(told.get("started"), told.get("ended")),
        changing=[effect for effect in told.get("effects") or () if effect["changes"]],
        printed=[(titles.get(step, step), _cut(said)) for step, said in outputs.items() if said.strip()],
    )


def prepare() -> None:
    """Load what writes a page. Whoever writes one says what is wrong with it."""
    with contextlib.suppress(Exception):
        page({}, {})


def _cut(said: str) -> str:
    left = len(said) - LONGEST
    return said if left <= 0 else f"{said[:LONGEST]}\n… {left} more characters are in the record"


def span(started: object, ended: object) -> str:
    """Begin and end, to the second; the day and the zone are written once if they are the same."""
    first, last = _time(started), _time(ended)
    if first[:10] == last[:10] and first.endswith(" UTC") and last.endswith(" UTC"):
        return f"{first.removesuffix(' UTC')} to {last[11:]}"
    return f"{first} to {last}"


def _time(value: object) -> str:
    try:
        found = datetime.fromisoformat(str(value))
        return found.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if found.tzinfo else str(value)
    except (ValueError, OverflowError):
        return str(value or "no end")
