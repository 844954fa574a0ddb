"""R: what a rollback may rely on."""

from opsbook.core.model.role import Role
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest, slug
from opsbook.core.rules.base import Found, Known, Rule, at, calls, cells
from opsbook.core.source import names

_PAGE = """\
## Prerequisites

### Look
```python
from opsbook import command, done, http

before = http("GET", "http://127.0.0.1:6060/size").text
```

## Steps

### Grow it
```python
after = command(["cache-size", "64"])
```

## Rollback

### Shrink it
```python
if done("Grow it"):
    command(["cache-size", before])
```
"""

RULES = (
    Rule(
        code="R001",
        name="rollback-name",
        text="The rollback uses a name that neither Parameters, Prerequisites nor the rollback itself define.",
        why="It runs after a failure: the step that would have made the name may be the one that failed.",
        bad=_PAGE.replace('"cache-size", before', '"cache-size", after'),
        good=_PAGE,
        soft=True,
    ),
    Rule(
        code="R002",
        name="no-such-step",
        text="`done(…)` asks for a step that the page does not have.",
        why="It would never be done, so the rollback would leave what it should undo.",
        bad=_PAGE.replace('done("Grow it")', 'done("Grow")'),
        good=_PAGE,
    ),
)


def _rollback_names(runbook: Runbook, _: Known) -> Found:
    """R001: the rollback may rely only on what a fresh kernel can know again."""
    safe = set(names.BUILTINS) | {parameter.name for parameter in runbook.parameters}
    for step, cell in cells(runbook):
        if step.role in (Role.UNDO, Role.PARAMETERS) or step.section.lower() == "prerequisites":
            safe |= names.bound(cell)
    for step, cell in cells(runbook):
        for name, line, column in names.used(cell) if step.role is Role.UNDO else ():
            if name not in safe:
                text = f"the rollback uses {name}, which only a later step defines; define it under Prerequisites"
                yield at(runbook, line, "R001", text, column=column)


def _done_names(runbook: Runbook, _: Known) -> Found:
    """R002: done() must name a step of this page."""
    steps = {step.id for step in runbook.steps()}
    for _step, call in calls(runbook):
        name = call.literal(0, "step") if call.name == "done" else None
        if name is not None and slug(name) not in steps:
            text = f"no step is named {name}. {nearest(slug(name), steps)}"
            yield at(runbook, call.line, "R002", text, column=call.column)


CHECKS = (_rollback_names, _done_names)
