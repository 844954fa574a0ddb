"""What a person may do about a step that failed."""

from enum import StrEnum

from opsbook.model.person import Answer, Question
from opsbook.model.runbook import Cell, Step
from opsbook.run.questions import Unanswered
from opsbook.run.steps import StepFailed, Steps

NAME = "failed"
"""Name of the question."""

_DETAIL = """\
- `retry`: run it again; what succeeded in it is not done twice
- `skip`: go on without it; you are asked why
- `prompt`: Python in the kernel of this run, line by line, through the gate and into the journal
{undo}- `stop`: leave it as it is; the run can be resumed
"""
_UNDO = "- `roll-back`: undo what was changed\n"


class Choice(StrEnum):
    RETRY = "retry"
    SKIP = "skip"
    PROMPT = "prompt"
    ROLL_BACK = "roll-back"
    STOP = "stop"


async def after_failure(steps: Steps, failure: StepFailed, *, undoable: bool) -> tuple[Choice | None, Answer | None]:
    """What the person decides; nothing if the run is cancelled meanwhile, or nobody answers."""
    choices = tuple(choice for choice in Choice if undoable or choice is not Choice.ROLL_BACK)
    detail = _DETAIL.format(undo=_UNDO if undoable else "")
    question = Question(NAME, "decide", f"{failure}. What now?", choices, detail, (Choice.SKIP,))
    try:
        answer = await steps.or_cancelled(question)
    except Unanswered:
        return None, None
    return (Choice(answer.value), answer) if answer else (None, None)


async def prompt(steps: Steps, step: Step) -> None:
    """Run lines in the kernel until an empty one; each is a cell of the failed step, with what that may do."""
    number, detail = 0, "Python, in the kernel of this run. An empty line ends it."
    while True:
        try:
            answer = await steps.or_cancelled(Question("prompt", "ask", step.title, (), detail))
        except Unanswered:
            return
        if answer is None or not answer.value.strip():
            return
        detail, number = "", number + 1
        while steps.past.knows(f"{step.id}/prompt-{number}"):
            number += 1
        cell = Cell(f"{step.id}/prompt-{number}", answer.value, step.line)
        await steps.cells.run(cell, cell.source, step.id, step.role)
        steps.gate.clear()
