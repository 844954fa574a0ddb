"""Questions to a person, and who answers them."""

from dataclasses import dataclass
from typing import Literal, Protocol

DONE, SKIP, PROBLEM = "done", "skip", "problem"
MANUAL_CHOICES = (DONE, SKIP, PROBLEM)

QuestionKind = Literal["ask", "confirm", "manual", "decide"]


@dataclass(frozen=True)
class Question:
    """What a person is asked. `choices` is empty for free text; `detail` is Markdown shown above it.

    `remarks` are the choices for which a word of explanation is asked too.
    """

    name: str
    kind: QuestionKind
    text: str
    choices: tuple[str, ...] = ()
    detail: str = ""
    remarks: tuple[str, ...] = ()

    def accepts(self, value: str) -> bool:
        """Whether this value answers the question."""
        return not self.choices or value in self.choices


@dataclass(frozen=True)
class Answer:
    """What was answered, by whom (user@host), with a remark where one was given."""

    value: str
    by: str
    note: str = ""


class Gone(Exception):
    """Whoever was asked is not there any more."""


class Person(Protocol):
    """Somebody who can be asked while a run goes on."""

    @property
    def present(self) -> bool:
        """Was anybody ever there? Without a terminal nobody is, unless the run was detached on purpose."""
        ...

    async def ask(self, question: Question) -> Answer:
        """Ask and wait. Cancelling the task withdraws the question. Raises Gone if the person went away."""
        ...
