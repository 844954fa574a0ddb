"""Views of a running run: live on a terminal, plain lines on a pipe, JSON for programs.

Everything shown comes from the journal's events, so it is redacted. Each view has one function that prints; it
removes control sequences and shortens long output.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from opsbook.console.printed import GAP, Printed, clipped, short, traceback
from opsbook.console.story import Story, said, shown, values
from opsbook.console.text import json_text, plain, say_text
from opsbook.core.model import events as kinds
from opsbook.core.model.event import Event
from opsbook.core.model.plan import Plan
from opsbook.core.model.text import duration, quoted
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.operate.run_record import Finished

Listener = Callable[[Event], None]


class View:
    """Shows one run."""

    def __init__(self) -> None:
        self._story = Story()

    def start(self, run: str, plan: Plan, usual: Mapping[str, float]) -> None:
        """The run begins, or goes on; `usual` is how long each step takes."""

    def event(self, event: Event) -> None:
        """Show what happened."""
        raise NotImplementedError

    def paused(self) -> contextlib.AbstractContextManager[None]:
        """A person is asked meanwhile."""
        return contextlib.nullcontext()

    def once(self, text: str) -> str:
        """The text without what was shown before."""
        return self._story.once(text)

    def close(self) -> None:
        """Nothing more comes."""

    def finish(self, finished: "Finished", settings: Settings) -> None:
        """Show how it ended."""
        raise NotImplementedError


class JsonView(View):
    """One event a line, for programs; the last line names the record's folder."""

    def event(self, event: Event) -> None:
        say_text(json_text(asdict(event)))

    def finish(self, finished: "Finished", settings: Settings) -> None:
        ending = finished.ending
        content = {
            "type": "record",
            "run": finished.run,
            "folder": shown(finished.folder, settings),
            "outcome": ending.outcome,
            "exit_code": int(ending.exit_code),
            "quarantined": list(finished.quarantined),
        } | ({"check": finished.told["check"]} if "check" in finished.told else {})
        say_text(json_text(content))


class PlainView(View):
    """Lines with the local time, for logs and pipes: each step, and what it prints line by line as it comes."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__()
        self._quiet = quiet
        self._printed = Printed()
        self._prompt = False
        self._run = ""

    def start(self, run: str, plan: Plan, usual: Mapping[str, float]) -> None:
        self._story.begin(plan, usual)
        self._run = run
        self._line(f"{quoted(plan.title)} in {plan.environment}: {values(plan)}")
        self._line(f"run {run}")

    def event(self, event: Event) -> None:
        fact = kinds.read(event, lenient=True)
        for line in said(fact):
            self._line(line)
        self._output(self._printed.take(fact))
        self._story.take(fact)
        match fact:
            case kinds.StepStarted():
                self._prompt = False
                usual = self._story.usual(fact.step)
                again = "(from the record)" if fact.replay else usual
                self._line("  ".join(filter(None, (f"{fact.section} / {fact.title}", self._story.place, again))))
            case kinds.StepFinished():
                self._prompt = True
                why = f": {self._story.reason(fact)}" if fact.why else ""
                idle = self._story.idle and fact.status == "succeeded" and not fact.replay
                self._line("  nothing to do" if idle else f"  {fact.status} in {duration(fact.seconds)}{why}")
            case kinds.EffectIntent(summary=summary):
                self._line(f"  {summary}")
            case kinds.EffectProgress(ended=True) if fact.failures or not self._quiet:
                for line in self._story.task(fact):
                    self._line(f"    {line}")
            case kinds.RollbackStarted():
                self._line("ROLLBACK")
            case _:
                self._asked(fact)

    def _asked(self, fact: kinds.Fact | None) -> None:
        match fact:
            case kinds.RefusedEffect(why=why):
                self._line(f"  refused: {why}")
            case kinds.QuestionAsked(name=name, text=text):
                self._line(f"  ? {name}: {text}")
            case kinds.QuestionAnswered(name=name, value=value, by=by):
                self._line(f"  {name}: {quoted(plain(value))} ({by})")

    def _output(self, lines: list[str]) -> None:
        """Print lines of output and errors. Between steps, a person who typed a line sees what it gave."""
        shown = clipped("\n".join(lines)) if lines and (self._prompt or not self._quiet) else []
        if error := self._printed.failed:
            shown += short(error) if self._prompt else traceback(error)
        for line in shown:
            more = f" lines left out here: opsbook records show {self._run} --output" if line == GAP else ""
            say_text(f"    | {line}{more}".rstrip())

    def _line(self, text: str) -> None:
        """Print the text with the time; its further lines are indented below."""
        say_text(f"{datetime.now().astimezone():%H:%M:%S} " + "\n           ".join(clipped(text)))

    def finish(self, finished: "Finished", settings: Settings) -> None:
        ending = finished.ending
        self._line(f"{str(ending.outcome).upper()} in {duration(ending.seconds)}: {self.once(ending.reason)}")
        for line in self._story.ending(finished, settings):
            say_text("\n    ".join(clipped(line)))


def choose(*, terminal: bool, as_json: bool, quiet: bool = False) -> View:
    """The view for the output's destination; `quiet` leaves out what steps print, except for errors."""
    if as_json:
        return JsonView()
    if not terminal or os.environ.get("TERM") == "dumb":
        return PlainView(quiet=quiet)
    from opsbook.console.live_view import LiveView

    return LiveView(quiet=quiet)
