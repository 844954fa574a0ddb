"""What makes a page a drill: a par time, and a Validation that shows the fault and then waits until it is mended."""

from opsbook.core.model.parameter import Parameter
from opsbook.core.model.runbook import Runbook, Step
from opsbook.core.model.text import span_seconds

PAR = "par"
"""Parameter of a drill: its par time."""

_LONGEST = 7 * 86400
"""Seconds. Nobody practises for longer."""


def checks(runbook: Runbook) -> list[Step]:
    """The steps of its Validation: the first shows the fault, the last waits until it is mended."""
    return [step for step in runbook.forward() if step.section.lower() == "validation"]


def par(runbook: Runbook) -> str:
    """The par time as it is written; nothing without one."""
    found = (each.default for each in runbook.parameters if each.name == PAR and each.default is not None)
    return str(next(found, ""))


def is_time(text: str) -> bool:
    """Whether a drill can have this par time. Raises ValueError for what is no time."""
    return 0 < span_seconds(text) <= _LONGEST


def lacks(runbook: Runbook) -> str:
    """What keeps a drill from being one, in a sentence; nothing if nothing does."""
    if not any(_is_par(each) for each in runbook.parameters):
        return f'it has no par time; give it a parameter {PAR}: Duration = "5m"'
    if len(checks(runbook)) < 2:
        return "it does not show its fault first; its Validation needs two steps, one that shows it and one that waits"
    return ""


def _is_par(parameter: Parameter) -> bool:
    """Whether it is a time that whoever starts the drill need not give."""
    if (parameter.name, parameter.base) != (PAR, "duration") or parameter.many or parameter.default is None:
        return False
    return is_time(str(parameter.default))
