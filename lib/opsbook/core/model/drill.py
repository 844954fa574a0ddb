"""Requirements of a drill: a par time, and a Validation that shows the fault and then waits until it is fixed."""

from opsbook.core.model.parameter import Parameter
from opsbook.core.model.runbook import Runbook, Step
from opsbook.core.model.text import span_seconds

PAR = "par"
"""Parameter of a drill: its par time."""

_LONGEST = 7 * 86400
"""Longest par time in seconds."""


def checks(runbook: Runbook) -> list[Step]:
    """The steps of its Validation: the first shows the fault, the last waits until it is fixed."""
    return [step for step in runbook.forward() if step.section.lower() == "validation"]


def par(runbook: Runbook) -> str:
    """The par time as written; empty without one."""
    found = (each.default for each in runbook.parameters if each.name == PAR and each.default is not None)
    return str(next(found, ""))


def is_time(text: str) -> bool:
    """Whether a drill can have this par time. Raises ValueError if it is not a duration."""
    return 0 < span_seconds(text) <= _LONGEST


def lacks(runbook: Runbook) -> str:
    """What is missing for a drill, in a sentence; empty if nothing is."""
    if not any(_is_par(each) for each in runbook.parameters):
        return f'it has no par time; give it a parameter {PAR}: Duration = "5m"'
    if len(checks(runbook)) < 2:
        return "it does not show its fault first; its Validation needs two steps, one that shows it and one that waits"
    return ""


def _is_par(parameter: Parameter) -> bool:
    """Whether it is a duration with a default."""
    if (parameter.name, parameter.base) != (PAR, "duration") or parameter.many or parameter.default is None:
        return False
    return is_time(str(parameter.default))
