"""Who is on call, now and next; overrides; what is wrong with rotas; whether messages arrive."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import number_of
from opsbook.core.planning import environment
from opsbook.errors import InputError
from opsbook.incidents import rotas
from opsbook.incidents.rotas import Shift
from opsbook.oncall import checking, overriding
from opsbook.settings import Settings

_AHEAD, _MOST = 60, 366
"""Days in which the next shift is looked for, and days that can be asked for."""


def now(options: argparse.Namespace) -> int:
    """Who is on call in each rota and until when, and who is next: with overrides, so whoever is really paged.

    Who was on call when an incident paged stands in the incident: a rota that changes changes nothing there.
    """
    settings, at = common.project(options), datetime.now(UTC)
    at = overriding.moment(options.at, at) if options.at else at
    until = at + timedelta(days=_AHEAD if options.days is None else _days(options.days))
    found = [_told(settings, rota, at, until) for rota in rotas.names(settings)]
    if options.days is None:
        found = [each | {"shifts": each["shifts"][: 2 if each["now"] else 1]} for each in found]
    rows = [row for each in found for row in _rows(each)]
    none = f"There is no rota: {rotas.FOLDER}/NAME.ics is one, a calendar whose events name who is on call."
    common.tell_rows(options, found, ("ROTA", "FROM", "ON CALL", "UNTIL", "OVERRIDE"), rows, none)
    wrong = [problem for each in found for problem in each["problems"]]
    if wrong and not options.json:
        say("", *wrong)
    return 1 if wrong else 0


def _told(settings: Settings, rota: str, at: datetime, until: datetime) -> dict[str, Any]:
    """A rota as JSON. A shift that nobody looked to the end of has none."""
    shifts, problems = [], []
    try:
        roster = rotas.read(settings, rota, at, until)
        shifts, problems = [_shift(each, until) for each in roster.shifts], [f"{each}." for each in roster.complaints]
    except InputError as error:
        problems = list(error.problems)
    now = shifts[0] if shifts and shifts[0]["from"] == _iso(at) else None
    return {"rota": rota, "now": now, "shifts": shifts, "problems": problems}


def _shift(shift: Shift, until: datetime) -> dict[str, Any]:
    end = None if shift.end >= until else _iso(shift.end)
    return {"person": shift.person, "from": _iso(shift.begin), "until": end, "override": shift.override}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for now, also if nobody is on call, and one for each other shift."""
    rota, shifts = found["rota"], found["shifts"]
    if found["now"] is None:
        yield rota, "now", "NOBODY", common.local(shifts[0]["from"]) if shifts else "—", "—"
    for each in shifts:
        begin = "now" if each is found["now"] else common.local(each["from"])
        yield rota, begin, each["person"], common.local(each["until"]), each["override"] or "—"


def _days(days: int) -> int:
    if not 1 <= days <= _MOST:
        raise InputError(f"{days} days cannot be looked at.", f"Write 1 to {_MOST}.")
    return days


def override(options: argparse.Namespace) -> int:
    """Somebody else is on call for some time, from now on: the rota itself stays as it is.

    It is a file in oncall/overrides: commit it, so that everybody has it. Where the project has allowed_signers, it is
    signed with your key. Of several at the same time the last one counts; one whose file is removed is taken back.
    """
    settings = common.project(options)
    wanted = overriding.Wanted(options.rota, options.person, options.until, options.begin, options.reason)
    made, signer, path = overriding.override(settings, wanted, datetime.now(UTC), ask=sys.stdin.isatty())
    shown = path.relative_to(settings.root).as_posix()
    when = f"from {common.local(made.begin)} until {common.local(made.end)}"
    signed = f"signed by {signer}" if signer else "not signed: the project has no allowed_signers"
    lines = (
        f"{made.person} is on call in {made.rota} {when}",
        f"  {signed}",
        f"  Commit it: git add {rotas.OVERRIDES}",
    )
    return common.tell(options, {**asdict(made), "signer": signer, "file": shown}, *lines)


def check(options: argparse.Namespace) -> int:
    """Look for what would keep somebody from being paged, in the calendars as they are in the folder: for a pipeline.

    Gaps, shifts at the same time, people whom training.yml does not name, missing rotas and channels, overrides that do
    not count.
    """
    settings, days = common.project(options), _days(options.days)
    found = checking.problems(settings, datetime.now(UTC), days)
    count = number_of(len(rotas.names(settings)), "rota")
    said = f"{count}, {number_of(days, 'day')}: {number_of(len(found), 'problem')}"
    return common.tell(options, found, *found, said, code=1 if found else 0)


def test(options: argparse.Namespace) -> int:
    """Send a test message through each channel that hears of incidents, also through each person's own.

    The message says that nothing happened.
    """
    settings = common.project(options)
    chosen = [options.environment] if options.environment else environment.names(settings)
    found = [each for name in chosen for each in _tried(settings, name, every=options.all)]
    rows = [(each["environment"], each["channel"], each["problem"] or "taken") for each in found]
    none = f"No channel of {options.environment or 'any environment'} hears of incidents."
    common.tell_rows(options, found, ("ENVIRONMENT", "CHANNEL", "TEST MESSAGE"), rows, none)
    return 0 if found and not any(each["problem"] for each in found) else 1


def _tried(settings: Settings, name: str, *, every: bool) -> Iterator[dict[str, str]]:
    # What sends is loaded by whoever sends.
    from opsbook.core.trust import telling
    from opsbook.incidents.telling import PAGING

    try:
        for channel, problem in telling.tries(settings, environment.load(settings, name), () if every else PAGING):
            yield {"environment": name, "channel": channel, "problem": problem}
    except InputError as error:
        yield {"environment": name, "channel": "", "problem": error.message}
