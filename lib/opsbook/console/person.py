"""Who answers questions: the person at this terminal, somebody elsewhere, or nobody."""

import asyncio
import contextlib
import sys
import termios

from opsbook.console.text import hanging, plain, say
from opsbook.console.view import View
from opsbook.core.model.events import Fact, QuestionAnswered
from opsbook.core.model.person import PROBLEM, Answer, Gone, Question
from opsbook.core.model.text import quoted
from opsbook.errors import Fault

_WHY = {PROBLEM: "  what is wrong? "}
"""Prompts for the remark that a choice requires; asked until there is one, since the record keeps it."""


class Nobody:
    """No terminal: every question fails."""

    present = False

    async def ask(self, question: Question) -> Answer:
        raise Fault(f"Nobody is there to answer {question.name}.")


class Elsewhere:
    """The run is detached: answers arrive through its inbox."""

    present = True

    async def ask(self, question: Question) -> Answer:
        raise Gone("the run was started without a terminal")


class TerminalPerson:
    """The person at this terminal."""

    present = True

    def __init__(self, view: View, who: str) -> None:
        self._view = view
        self._who = who
        self._shown: Question | None = None
        self._withdrawn = ""

    async def ask(self, question: Question) -> Answer:
        """Show the question, read answers until one is valid. Raises Gone at the end of the terminal's input."""
        # The prompt of a failed step repeats after each line: keep pasted lines for it.
        again = _is_prompt(question) and question == self._shown
        self._withdrawn = ""
        if not again:
            # What was typed before the question was shown is no answer to it.
            with contextlib.suppress(termios.error, OSError, ValueError):
                termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
        with self._view.paused():
            if not again:
                self._show(question)
            self._shown = question
            try:
                return await self._answer(question)
            except asyncio.CancelledError:
                # End the line of the withdrawn prompt before anything else is shown.
                say()
                self._withdrawn = question.name
                raise

    def hear(self, fact: Fact | None) -> None:
        """Print who answered a question that was withdrawn here because it was answered elsewhere."""
        if isinstance(fact, QuestionAnswered) and fact.name == self._withdrawn:
            say(answered(fact))

    async def _answer(self, question: Question) -> Answer:
        while True:
            typed = await self._line(_prompt(question))
            fits = [each for each in question.choices if typed and each.lower().startswith(typed.lower())]
            # The beginning of a choice is enough: `d` for done.
            value = fits[0] if len(fits) == 1 else typed
            if question.accepts(value):
                break
            unsure = f"{typed} could be {' or '.join(fits)}; write more of it."
            say(f"  {unsure}" if fits else f"  Please answer {', '.join(question.choices)}.")
        note = ""
        while value in question.remarks and not note:
            note = await self._line(_WHY.get(value, "  why? "))
        return Answer(value, self._who, note)

    def _show(self, question: Question) -> None:
        say("", *hanging(self._view.once(question.text)))
        if detail := self._view.once(question.detail):
            from rich.console import Console
            from rich.markdown import Markdown
            from rich.padding import Padding

            # No hyperlinks: a link's text could name one place and lead to another.
            shown = Markdown(plain(detail), hyperlinks=False)
            Console().print(Padding(shown, (0, 0, 0, 2)))

    async def _line(self, prompt: str) -> str:
        """Read one line of standard input without blocking the run's other work."""
        say(prompt, end="")
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[str] = loop.create_future()

        def read() -> None:
            if not ready.done():
                ready.set_result(_read_line())

        loop.add_reader(sys.stdin.fileno(), read)
        try:
            line = await ready
        finally:
            loop.remove_reader(sys.stdin.fileno())
        if not line:
            raise Gone("the terminal gives no more lines")
        return line.strip()


def answered(answer: QuestionAnswered) -> str:
    """The line to print for an answer given elsewhere."""
    note = f": {answer.note}" if answer.note else ""
    return f"  answered by {answer.by}: {quoted(answer.value)}{note}"


def _read_line() -> str:
    """A line; empty at the end of input, or if the terminal was closed, which raises an error."""
    try:
        return sys.stdin.readline()
    except (OSError, ValueError):
        return ""


def _is_prompt(question: Question) -> bool:
    """Whether this is the prompt of a failed step, which takes any line of Python."""
    return question.kind == "decide" and not question.choices


def _prompt(question: Question) -> str:
    if _is_prompt(question):
        return "  >>> "
    return f"  [{'/'.join(map(quoted, question.choices))}] " if question.choices else "  > "
