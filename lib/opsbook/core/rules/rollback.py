"""R: names and steps that a rollback uses."""

from opsbook.core.model.runbook import Role, Runbook
from opsbook.core.model.text import nearest, slug
from opsbook.core.rules.base import Found, Known, at, calls, cells
from opsbook.core.source import names


def _rollback_names(runbook: Runbook, _: Known) -> Found:
    """R001: the rollback may use only names that a fresh kernel can define again. What nobody defines is C013."""
    safe = set(names.BUILTINS) | {parameter.name for parameter in runbook.parameters}
    defined = {name for _step, cell in cells(runbook) for name in names.bound(cell)}
    for step, cell in cells(runbook):
        if step.role in (Role.UNDO, Role.PARAMETERS) or step.section.lower() == "prerequisites":
            safe |= names.bound(cell)
    for step, cell in cells(runbook):
        for name, line, column in names.used(cell) if step.role is Role.UNDO else ():
            if name in defined and name not in safe:
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
