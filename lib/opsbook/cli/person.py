"""Who can be asked: the person at this terminal, or nobody."""

import asyncio
import sys

from opsbook.cli.text import plain, say
from opsbook.cli.view import View
from opsbook.errors import Fault
from opsbook.model.person import Answer, Gone, Question


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

    async def ask(self, question: Question) -> Answer:
        """Show the question, read answers until one fits. Raises Gone when the terminal gives no more lines."""
        with self._view.paused():
            self._show(question)
            while True:
                value = _completed(await self._line(_prompt(question)), question.choices)
                if question.accepts(value):
                    break
                say(f"  Please answer {', '.join(question.choices)}.")
            note = ""
            if value in question.remarks:
                note = await self._line("  why? ")
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


def _read_line() -> str:
    """A line, or nothing at its end: a terminal that was closed gives an error instead."""
    try:
        return sys.stdin.readline()
    except (OSError, ValueError):
        return ""


def _prompt(question: Question) -> str:
    return f"  [{'/'.join(question.choices)}] " if question.choices else "  > "


def _completed(text: str, choices: tuple[str, ...]) -> str:
    """`d` for done: the one choice that starts so."""
    matches = [choice for choice in choices if choice.lower().startswith(text.lower())] if text else []
    return matches[0] if len(matches) == 1 else text
