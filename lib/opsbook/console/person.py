"""Who can be asked: the person at this terminal, or nobody."""

import asyncio
import contextlib
import sys
import termios

from opsbook.console.text import plain, say
from opsbook.console.view import View
from opsbook.core.model.events import Fact, QuestionAnswered
from opsbook.core.model.person import PROBLEM, Answer, Gone, Question
from opsbook.errors import Fault

_WHY = {PROBLEM: "  what is wrong? "}
"""How a remark on a choice is asked for; it stands in the record, so it is asked for until there is one."""


class Nobody:
    """There is no terminal."""

    present = False

    async def ask(self, question: Question) -> Answer:
        raise Fault(f"Nobody is there to answer {question.name}.")


class Elsewhere:
    """The run was detached on purpose: whoever answers does so through the inbox."""

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
        """Show the question, read answers until one fits. Raises Gone when the terminal gives no more lines."""
        # A prompt asks the same again after each line; whoever pasted ten lines means all of them.
        again = _is_prompt(question) and question == self._shown
        self._withdrawn = ""
        if not again:
            _forget_typed()
        with self._view.paused():
            if not again:
                self._show(question)
            self._shown = question
            try:
                return await self._answer(question)
            except asyncio.CancelledError:
                # Whatever is shown next must not stand behind a prompt that nobody answers any more.
                say()
                self._withdrawn = question.name
                raise

    def hear(self, fact: Fact | None) -> None:
        """Say who answered, where the question was withdrawn here because somebody else did."""
        if isinstance(fact, QuestionAnswered) and fact.name == self._withdrawn:
            say(answered(fact))

    async def _answer(self, question: Question) -> Answer:
        while True:
            value = _completed(await self._line(_prompt(question)), question.choices)
            if question.accepts(value):
                break
            say(f"  {_misfit(value, question.choices)}")
        note = ""
        while value in question.remarks and not note:
            note = await self._line(_WHY.get(value, "  why? "))
        return Answer(value, self._who, note)

    def _show(self, question: Question) -> None:
        say(f"\n{question.text}")
        if question.detail:
            from rich.console import Console
            from rich.markdown import Markdown
            from rich.padding import Padding

            # As a link, a text could name one place and lead to another.
            shown = Markdown(plain(question.detail), hyperlinks=False)
            Console().print(Padding(shown, (0, 0, 0, 2)))

    async def _line(self, prompt: str) -> str:
        """One line of standard input, without keeping the run's other work from going on."""
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
    """The line about an answer that was given elsewhere."""
    note = f": {answer.note}" if answer.note else ""
    return f"  answered by {answer.by}: {answer.value}{note}"


def _read_line() -> str:
    """A line, or nothing at its end: a terminal that was closed gives an error instead."""
    try:
        return sys.stdin.readline()
    except (OSError, ValueError):
        return ""


def _forget_typed() -> None:
    """What was typed before a question could be read is no answer to it."""
    with contextlib.suppress(termios.error, OSError, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _is_prompt(question: Question) -> bool:
    """Whether this is the prompt of a failed step: a decision that is any line of Python."""
    return question.kind == "decide" and not question.choices


def _prompt(question: Question) -> str:
    if _is_prompt(question):
        return "  >>> "
    return f"  [{'/'.join(question.choices)}] " if question.choices else "  > "


def _completed(text: str, choices: tuple[str, ...]) -> str:
    """`d` for done: the one choice that starts so."""
    matches = _starting(text, choices)
    return matches[0] if len(matches) == 1 else text


def _misfit(text: str, choices: tuple[str, ...]) -> str:
    """What to say about a line that is no answer."""
    matches = _starting(text, choices)
    if matches:
        return f"{text} could be {' or '.join(matches)}; write more of it."
    return f"Please answer {', '.join(choices)}."


def _starting(text: str, choices: tuple[str, ...]) -> list[str]:
    return [choice for choice in choices if choice.lower().startswith(text.lower())] if text else []
