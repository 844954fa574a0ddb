"""What is wrong with rotas: gaps, people whom nobody knows, shifts at the same time, overrides that do not count."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from opsbook.core.catalog import catalog
from opsbook.core.model.environment import Channel
from opsbook.core.model.text import nearest
from opsbook.core.planning import environment
from opsbook.core.trust.windows import local
from opsbook.errors import InputError
from opsbook.incidents import rotas
from opsbook.incidents.rotas import Roster
from opsbook.incidents.telling import PAGING
from opsbook.settings import Settings
from opsbook.training import plan_file


def people(settings: Settings) -> Collection[str]:
    """Who is known, by training.yml; nobody where it names none. Raises InputError."""
    plan = plan_file.load(settings, catalog.entries(settings)) if plan_file.exists(settings) else None
    return plan.people if plan else ()


def problems(settings: Settings, now: datetime, days: int) -> list[str]:
    """Everything that is wrong from now on for these days, by the calendars of the folder, a sentence each."""
    found: list[str] = []
    span = _Span(settings, now, now + timedelta(days=days))
    looks = [partial(_of_rota, span, rota) for rota in rotas.names(settings)]
    looks += [
        partial(_strangers, span),
        *(partial(_of_environment, span, name) for name in environment.names(settings)),
    ]
    for look in looks:
        try:
            found += look()
        except InputError as error:
            found += error.problems
    return list(dict.fromkeys(found))


class _Span(NamedTuple):
    settings: Settings
    now: datetime
    until: datetime

    def roster(self, rota: str) -> Roster:
        return rotas.read(self.settings, rota, self.now, self.until, draft=True)


def _of_rota(span: _Span, rota: str) -> Iterator[str]:
    roster = span.roster(rota)
    yield from (f"{rota}: {each}." for each in roster.complaints)
    edges = [span.now, *(edge for each in roster.shifts for edge in (each.begin, each.end)), span.until]
    for end, begin in zip(edges[::2], edges[1::2], strict=True):
        if end < begin:
            yield f"{rota}: nobody is on call from {local(end)} until {local(begin)}."
    for first, second in pairwise(roster.written):
        if first.end > second.begin:
            yield f"{rota}: {first.person} and {second.person} are both on call at {local(second.begin)}."


def _strangers(span: _Span) -> Iterator[str]:
    known = people(span.settings)
    for rota in rotas.names(span.settings) if known else ():
        roster = span.roster(rota)
        for person in dict.fromkeys(each.person for each in (*roster.written, *roster.shifts) if each.person):
            if person not in known:
                yield f"{rota}: {plan_file.FILE} names no {person}. {nearest(person, known)}"


def _of_environment(span: _Span, name: str) -> Iterator[str]:
    policy, there = environment.load_as_written(span.settings, name), rotas.names(span.settings)
    for rota in policy.on_call:
        if rota not in there:
            yield f"{name}: on_call: there is no rota {rota}. {nearest(rota, there)}".rstrip()
            continue
        for person in dict.fromkeys(each.person for each in span.roster(rota).shifts):
            yield from (f"{name}: {each}." for each in _unreached(span.settings, policy.channels, person))


def _unreached(settings: Settings, channels: Mapping[str, Channel], person: str) -> Iterator[str]:
    """What pages this person, and reaches nobody, or no channel of his own where people have some."""
    # What sends is loaded by whoever looks at it.
    from opsbook.core.trust import telling

    own = {name for name, each in channels.items() if each.person == person}
    personal = any(each.person for each in channels.values())
    if personal and not own:
        yield f"{person} is on call, and has no channel"
        return
    for event in PAGING:
        reached = telling.reached(settings, channels, event, person)
        if not (reached & own if personal else reached):
            yield f"no channel{f' of {person}' if own else ''} gets {event}"
