"""F: the front matter. All but F004 are found while it is read (core/source/front.py)."""

import re
import string

from opsbook.core.model.drill import lacks
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.rules.base import PAGE, Found, Known, Rule, at, front_line

_DRILL = """\
---
title: The cache is down
kind: training
owner: platform
rollback: automatic
drill: {solved_by: [restart-cache]}
reviewed: 2026-11-20
---

# The cache is down

## Symptoms
Every page takes seconds.

## Fault
The cache does not run.

## Parameters

```python tags=["parameters"]
from opsbook.params import Duration

par: Duration = "5m"  # Par time
```

## Prerequisites

### The cache runs
```python
from opsbook import command, http, wait_until

def runs():
    return http("GET", "http://127.0.0.1:6081/", expect=(200, 503)).status == 200

assert runs()
```

## Steps

### Stop it
```python
command(["systemctl", "stop", "cache"], idempotent=True)
```

## Validation

### The fault shows
```python
wait_until("the cache is down", lambda: not runs(), timeout=60)
```

### It is mended
```python
wait_until("the cache runs", runs, timeout=3 * par)
```

## Rollback

### Start it
```python
command(["systemctl", "start", "cache"], idempotent=True)
```
"""
_PAGES = {"runbooks/cache-down.md": _DRILL, "runbooks/restart-cache.md": PAGE}

RULES = (
    Rule(
        code="F001",
        name="front-matter-unreadable",
        text="The front matter is not YAML, is no list of keys, or has no closing `---`.",
        why="Nothing of it would count: no owner, no lock, no rollback.",
        bad=PAGE.replace("kind: maintenance", "kind: [maintenance"),
        good=PAGE,
    ),
    Rule(
        code="F002",
        name="unknown-key",
        text="A key of the front matter is neither opsbook's nor one of MkDocs.",
        why="A key with a slip in it does nothing, and nobody notices: `rolback: automatic` rolls nothing back.",
        bad=PAGE.replace("owner:", "Owner:"),
        good=PAGE,
        fix="A known key in other case, or with hyphens for underscores, is written as it should be.",
    ),
    Rule(
        code="F003",
        name="bad-value",
        text="A key of the front matter has a value that it cannot take.",
        why="The whole key would be ignored.",
        bad=PAGE.replace("kind: maintenance", "kind: Maintenance"),
        good=PAGE,
        fix="A `kind` or `rollback` in other case is written in lower case.",
    ),
    Rule(
        code="F004",
        name="lock-name",
        text="A lock names, in braces, what is no parameter of the page, or a secret one.",
        why="A lock's name is made before the run from `{environment}` and the parameters; it is shown to everybody.",
        bad=PAGE.replace("reviewed:", 'lock: ["{environment}/{cache}"]\nreviewed:'),
        good=PAGE.replace("reviewed:", 'lock: ["{environment}/cache"]\nreviewed:'),
    ),
    Rule(
        code="F005",
        name="late-front-matter",
        text="Blank lines stand before the front matter.",
        why="Front matter begins on the first line, or it is text like any other.",
        bad="\n" + PAGE,
        good=PAGE,
        fix="The blank lines are removed.",
    ),
    Rule(
        code="F006",
        name="drill-without-runbook",
        text="A drill is mended by what is no document.",
        why="Whoever practises could not do it, and nothing that mends it would count as right.",
        bad=_DRILL.replace("solved_by: [restart-cache]", "solved_by: [restart-cahce]"),
        good=_PAGES,
    ),
    Rule(
        code="F007",
        name="drill-without-clock",
        text="A drill has no par time, or its Validation does not show the fault before it waits for its end.",
        why="The clock of a drill runs from when its fault shows to when it is mended, and is compared with par.",
        bad=_DRILL.replace("par: Duration", "limit: Duration"),
        good=_PAGES,
    ),
)


def _solvers(runbook: Runbook, known: Known) -> Found:
    """F006: a drill names the runbooks that mend it."""
    drill = runbook.front.drill
    # Where nobody looked which documents there are, there is nothing to compare with.
    for name in drill.solved_by if drill and known.documents else ():
        if name not in known.documents:
            text = f"the drill is mended by {name}, which is no document. {nearest(name, known.documents)}".rstrip()
            yield at(runbook, front_line(runbook, "drill"), "F006", text)


def _clock(runbook: Runbook, _: Known) -> Found:
    """F007: a drill has what its clock needs."""
    # Where nobody could read the parameters, that is said already.
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
    """What stands in braces in a lock target: names, and with them whatever else Python would obey there."""
    try:
        found = [part for part in string.Formatter().parse(target) if part[1] is not None]
    except ValueError:
        return [target]
    return [f"{name}{f'!{how}' if how else ''}{f':{form}' if form else ''}" for _, name, form, how in found]


CHECKS = (_locks, _solvers, _clock)
