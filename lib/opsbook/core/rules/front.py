"""F004, F006, F007: the front matter. The other F rules are found while it is read (core/source/front.py)."""

import re
import string

from opsbook.core.model.drill import lacks
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.rules.base import Found, Known, at, front_line


def _solvers(runbook: Runbook, known: Known) -> Found:
    """F006: a drill names the runbooks that solve it."""
    drill = runbook.front.drill
    # Without collected documents there is nothing to compare with.
    for name in drill.solved_by if drill and known.documents else ():
        if name not in known.documents:
            text = f"the drill is mended by {name}, which is no document. {nearest(name, known.documents)}".rstrip()
            yield at(runbook, front_line(runbook, "drill"), "F006", text)


def _clock(runbook: Runbook, _: Known) -> Found:
    """F007: a drill has what its clock needs."""
    # Unreadable parameters are reported already.
    unread = not runbook.parameters and re.search(r"(?m)^par\s*:", runbook.source)
    if runbook.front.drill is not None and not unread and (lacking := lacks(runbook)):
        yield at(runbook, front_line(runbook, "drill"), "F007", f"the drill cannot be started: {lacking}")


def _locks(runbook: Runbook, _: Known) -> Found:
    """F004: a lock names a target by parameters that exist and are not secret."""
    usable = {p.name for p in runbook.parameters if not p.secret} | {"environment"}
    for target in runbook.front.lock:
        for name in _placeholders(target):
            if name not in usable:
                text = f"the lock names {{{name}}}. {nearest(name, usable)}"
                yield at(runbook, front_line(runbook, "lock"), "F004", text)


def _placeholders(target: str) -> list[str]:
    """The contents of braces in a lock target: names, each with its conversion and format, which Python would apply."""
    try:
        found = [part for part in string.Formatter().parse(target) if part[1] is not None]
    except ValueError:
        return [target]
    return [f"{name}{f'!{how}' if how else ''}{f':{form}' if form else ''}" for _, name, form, how in found]


CHECKS = (_locks, _solvers, _clock)
