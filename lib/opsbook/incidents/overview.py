"""All incidents at a glance: which are open, and which actions of earlier ones are overdue."""

import contextlib
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import date

from opsbook.errors import InputError
from opsbook.incidents import store
from opsbook.incidents.incident import Action, Incident
from opsbook.settings import Settings


@dataclass(frozen=True)
class Due:
    """An action that should have been done."""

    incident: Incident
    action: Action


@dataclass(frozen=True)
class Overview:
    """Incidents that are not over, newest first, and actions that are overdue, the oldest day first."""

    open: tuple[Incident, ...] = ()
    overdue: tuple[Due, ...] = ()


def overview(settings: Settings, today: date, hidden: Container[str] = ()) -> Overview:
    """What is open and overdue; incidents of `hidden` environments are left out, and those that cannot be read."""
    known = [each for each in readable(settings) if each.environment not in hidden]
    due = [
        Due(each, action)
        for each in known
        for action in each.actions
        if not action.closed and action.due < today.isoformat()
    ]
    return Overview(
        tuple(each for each in known if not each.over), tuple(sorted(due, key=lambda each: each.action.due))
    )


def open_(settings: Settings) -> Iterator[Incident]:
    """Incidents that are not over, newest first; those that are sealed are not even read."""
    for path in store.every(settings):
        with contextlib.suppress(InputError):
            if not store.sealed(path) and not (found := store.load(path)).over:
                yield found


def readable(settings: Settings) -> Iterator[Incident]:
    """Every incident that can be read, newest first."""
    for path in store.every(settings):
        with contextlib.suppress(InputError):
            yield store.load(path)
