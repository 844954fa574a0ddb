"""What is wrong with rotas: gaps, people whom nobody knows, shifts at the same time, overrides that do not count."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from opsbook.core.catalog import catalog
from opsbook.core.model.text import nearest
from opsbook.core.planning import environment
from opsbook.core.trust.windows import local
from opsbook.errors import InputError
from opsbook.incidents import rotas
from opsbook.incidents.rotas import Roster
from opsbook.settings import Settings
from opsbook.training import plan_file


def people(settings: Settings) -> Collection[str]:
    """Who is known, by training.yml; nobody where it names none. Raises InputError."""
    plan = plan_file.load(settings, catalog.entries(settings)) if plan_file.exists(settings) else None
    return plan.people if plan else ()


def problems(settings: Settings, now: datetime, days: int) -> list[str]:
    """Everything that is wrong from now on for these days, by the calendars of the folder, a sentence each."""
    found: list[str] = []
    rosters: dict[str, Roster] = {}
    until = now + timedelta(days=days)
    for rota in rotas.names(settings):
        try:
            rosters[rota] = rotas.read(settings, rota, now, until, draft=True)
        except InputError as error:
            found.append(error.message)
    try:
        known = people(settings)
    except InputError as error:
        found += error.problems
        known = ()
    for roster in rosters.values():
        found += _of_rota(roster, known, now, until)
    for name in environment.names(settings):
        try:
            found += _of_environment(settings, name, rosters, known)
        except InputError as error:
            found += error.problems
    return list(dict.fromkeys(found))


def _of_rota(roster: Roster, known: Collection[str], now: datetime, until: datetime) -> Iterator[str]:
    rota = roster.rota
    yield from (f"{rota}: {each}." for each in roster.complaints)
    yield from (f"{rota}: the event at {local(each.begin)} names nobody." for each in roster.written if not each.person)
    if not roster.shifts:
        yield f"{rota}: nobody is on call until {local(until)}."
    else:
        edges = [now, *(edge for each in roster.shifts for edge in (each.begin, each.end)), until]
        for end, begin in zip(edges[::2], edges[1::2], strict=True):
            if end < begin:
                yield f"{rota}: nobody is on call from {local(end)} until {local(begin)}."
    for first, second in pairwise(roster.written):
        if first.end > second.begin:
            yield f"{rota}: {first.person} and {second.person} are both on call at {local(second.begin)}."
    for person in dict.fromkeys(each.person for each in (*roster.written, *roster.shifts) if each.person):
        if known and person not in known:
            yield f"{rota}: {plan_file.FILE} names no {person}. {nearest(person, known)}".rstrip()


def _of_environment(settings: Settings, name: str, rosters: dict[str, Roster], known: Collection[str]) -> Iterator[str]:
    policy, there = environment.load_as_written(settings, name), rotas.names(settings)
    own = {each.person for each in policy.channels.values() if each.person}
    for rota in policy.on_call:
        if rota not in there:
            yield f"{name}: on_call: there is no rota {rota}. {nearest(rota, there)}".rstrip()
        on_call = dict.fromkeys(each.person for each in rosters[rota].shifts) if rota in rosters else ()
        if own:
            yield from (f"{name}: {each} of {rota} has no channel." for each in on_call if each not in own)
    yield from (
        f"{name}: {plan_file.FILE} names no {each}, who has a channel. {nearest(each, known)}"
        for each in sorted(own)
        if known and each not in known
    )
