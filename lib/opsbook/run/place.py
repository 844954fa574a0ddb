"""Where in the page an effect is asked for, and what is said where the journal and a cell do not agree."""

from collections import Counter
from dataclasses import dataclass, field

from opsbook.model.differ import changes_of
from opsbook.model.effect import Effect
from opsbook.model.past import Before, Known
from opsbook.model.person import Question
from opsbook.model.runbook import Role
from opsbook.run.look import Look

UNKNOWN = "unknown"
"""Name of the question what to do about an effect whose outcome nobody knows."""

LOOK_FIRST, AGAIN, MARKED = "look", "again", "done"


@dataclass
class Place:
    """The cell that runs now, and what the journal has of it from earlier. `look` is there if it only looks."""

    step: str
    cell: str
    role: Role
    before: Before = field(default_factory=Before)
    look: Look | None = None
    counts: "Counter[str]" = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)


def other(known: Known, effect: Effect) -> str:
    """A cell asks for something else than it did: guessing which is meant is nobody's business."""
    asked = [f"{c.what}: {c.before!r} -> {c.after!r}" for c in changes_of(known.effect.request, effect.request)]
    differs = "; ".join(asked) or "the kind of effect, or whether it changes something"
    return f"{effect.summary} asks for something else than in the journal: {differs}"


def what_became(known: Known, effect: Effect) -> Question:
    """The question about an effect whose outcome nobody knows."""
    text = f"{effect.summary}: nobody knows what it did. Look at its target; then run it again, or mark it as done?"
    detail = f"It began and {known.why or 'never reported'}. `look` stops here; the run can be resumed again."
    return Question(UNKNOWN, "decide", text, (LOOK_FIRST, AGAIN, MARKED), detail)
