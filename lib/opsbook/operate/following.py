"""What the events of a run say of this moment."""

from dataclasses import dataclass

from opsbook.core.model import events as kinds
from opsbook.core.model.event import Event
from opsbook.core.model.person import Question

_ENDS = (kinds.CellFinished, kinds.StepFinished, kinds.RunFinished, kinds.RunResumed)
"""Events behind which no earlier question stands any more."""


@dataclass(frozen=True)
class StandingQuestion:
    """A question that stands, with the number and the time of its event."""

    number: int
    since: str
    question: Question


class Following:
    """What the events of a run say of this moment: its step, its questions, whether its terminal is there."""

    def __init__(self) -> None:
        self.doing = ""
        self.detached = False
        self._open: dict[int, StandingQuestion] = {}

    @property
    def first(self) -> StandingQuestion | None:
        """The question that is asked: of several, a terminal puts one after the other."""
        return next(iter(self._open.values()), None)

    def take(self, event: Event) -> None:
        fact = kinds.read(event)
        match fact:
            case kinds.StepStarted(section=section, title=title):
                self.doing = f"{section}, {title}"
            case kinds.RollbackStarted():
                self.doing = "rolling back"
            case kinds.WaitingForLock(why=why) | kinds.WaitingForApproval(why=why):
                self.doing = why
            case kinds.Locked():
                self.doing = ""
            case kinds.Detached():
                self.detached = True
            case kinds.QuestionAsked():
                self._open[event.seq] = StandingQuestion(event.seq, event.time, Question(**vars(fact)))
            case kinds.QuestionAnswered(asked=asked):
                self._open.pop(asked, None)
            case kinds.RunResumed():
                self.doing, self.detached = "", False
        if isinstance(fact, _ENDS):
            self._open.clear()
