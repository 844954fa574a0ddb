"""What a person may do about a step that failed."""

from enum import StrEnum

from opsbook.core.engine.steps import StepFailed, Steps
from opsbook.core.model.person import Answer, Question
from opsbook.core.model.runbook import Cell, Step
from opsbook.core.model.text import one_line

NAME = "failed"
"""Name of the question."""

_DETAIL = """\
- `retry`: run it again; what succeeded in it is not done twice
- `skip`: go on without it; you are asked why
{prompt}{undo}- `stop`: leave it as it is; the run can be resumed
"""
_LINES = "- `prompt`: Python in the kernel of this run, line by line, through the gate and into the journal\n"
_UNDO = "- `roll-back`: undo what was changed\n"

_LONGEST = 300
"""Characters of the reason in the question; the journal and the terminal show all of it before."""

_PROMPT = "Python, in the kernel of this run, line by line. An empty line ends it."


class FailureChoice(StrEnum):
    RETRY = "retry"
    SKIP = "skip"
    PROMPT = "prompt"
    ROLL_BACK = "roll-back"
    STOP = "stop"


async def after_failure(
    steps: Steps, failure: StepFailed, *, undoable: bool
) -> tuple[FailureChoice | None, Answer | None]:
    """Ask what to do; (None, None) if the run is cancelled meanwhile, or nobody answers."""
    without = {FailureChoice.ROLL_BACK: not undoable, FailureChoice.PROMPT: not steps.lines}
    choices = tuple(choice for choice in FailureChoice if not without.get(choice))
    detail = _DETAIL.format(undo=_UNDO if undoable else "", prompt=_LINES if steps.lines else "")
    text = f"{one_line(str(failure), _LONGEST).rstrip('.')}. What now?"
    question = Question(NAME, "decide", text, choices, detail, (FailureChoice.SKIP,))
    answer = await steps.answered(question)
    if answer is None:
        return None, None
    # An earlier cancel was handled: what follows is what this person decided.
    steps.cancel.clear()
    return FailureChoice(answer.value), answer


async def prompt(steps: Steps, step: Step) -> None:
    """Run lines in the kernel until an empty one. Each is a cell of the failed step, with the same role.

    An answer given ahead is one line, not all of them. After a cancelled line, or a cancel at the prompt, the
    person is asked again what to do: the run does not continue by itself.
    """
    number = 0
    while not steps.cancel.level:
        answer = await steps.answered(Question("prompt", "decide", step.title, (), _PROMPT))
        if answer is None or not answer.value.strip():
            return
        number += 1
        while steps.past.knows(f"{step.id}/prompt-{number}"):
            number += 1
        cell = Cell(f"{step.id}/prompt-{number}", answer.value, step.line)
        await steps.cells.run(cell, cell.source, step.id, step.role)
        steps.gate.clear()
