"""Questions to a person, and who answers them."""

from dataclasses import dataclass
from typing import Literal, Protocol

from opsbook.core.model.text import slug

DONE, SKIP, PROBLEM = "done", "skip", "problem"
MANUAL_CHOICES = (DONE, SKIP, PROBLEM)

QuestionKind = Literal["ask", "confirm", "manual", "decide"]


@dataclass(frozen=True)
class Question:
    """What a person is asked. `choices` is empty for free text; `detail` is Markdown shown above it.

    `remarks` are the choices that also ask for an explanation.
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
    """An answer, by whom (user@host), and a remark if one was given."""

    value: str
    by: str
    note: str = ""


class Gone(Exception):
    """The person who was asked is gone."""


class Person(Protocol):
    """A person who can be asked during a run."""

    @property
    def present(self) -> bool:
        """Whether a person was ever there: the run has a terminal, or was detached on purpose."""
        ...

    async def ask(self, question: Question) -> Answer:
        """Ask and wait. Cancelling the task withdraws the question. Raises Gone if the person is gone."""
        ...


def input_name(prompt: str) -> str:
    """The name of the question that a plain input() asks: `Which host? ` is which-host."""
    name = slug(prompt)
    return "input" if name == "x" else name
