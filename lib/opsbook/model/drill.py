"""What makes a page a drill: a par time, and a Validation that shows the fault and then waits until it is mended."""

from opsbook.model.runbook import Role, Runbook, Step

PAR = "par"
"""Parameter of a drill: its par time."""


def checks(runbook: Runbook) -> list[Step]:
    """The steps of its Validation: the first shows the fault, the last waits until it is mended."""
    return [step for step in runbook.forward() if step.role is Role.READ and not step.prerequisite]


def par(runbook: Runbook) -> str:
    """The par time as it is written; nothing without one."""
    return next((str(each.default) for each in runbook.parameters if each.name == PAR), "")


def lacks(runbook: Runbook) -> str:
    """What keeps a drill from being one, in a sentence; nothing if nothing does."""
    if not par(runbook):
        return f'it has no par time; give it a parameter {PAR}: Duration = "5m"'
    if len(checks(runbook)) < 2:
        return "it does not show its fault first; its Validation needs two steps, one that shows it and one that waits"
    return ""
