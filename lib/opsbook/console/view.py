"""Views of a running run: live on a terminal, plain lines on a pipe, JSON for programs.

Everything shown comes from the journal's events, so it is redacted. Each view has one function that prints; it
removes control sequences and shortens long output.
"""

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from opsbook.console.story import Story, said, shown, values
from opsbook.console.text import json_text, plain, say
from opsbook.core.model import events as kinds
from opsbook.core.model.event import GOOD, Event, Outcome
from opsbook.core.model.plan import Plan
from opsbook.core.model.text import duration, one_line
from opsbook.settings import Settings

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from opsbook.operate.running import Finished

Listener = Callable[[Event], None]

MOST_LINES = 200
LONGEST_LINE = 2000
"""Limits for one text: more would only scroll past. The record has the rest."""

_TURNS = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
"""The spinner beside the running step."""

_MARKS = {
    "succeeded": "✓",
    "skipped": "–",
    "failed": "✗",
    "timeout": "✗",
    "died": "✗",
    "cancelled": "■",
    "waiting": "…",
    "unpredictable": "~",
}


class View(Protocol):
    """Shows one run."""

    def start(self, run: str, plan: Plan, usual: Mapping[str, float]) -> None: ...
    def event(self, event: Event) -> None: ...
    def paused(self) -> contextlib.AbstractContextManager[None]: ...
    def close(self) -> None: ...
    def finish(self, finished: "Finished", settings: Settings) -> None: ...


def choose(*, terminal: bool, as_json: bool) -> View:
    """The view for the output's destination."""
    if as_json:
        return JsonView()
    return LiveView() if terminal and os.environ.get("TERM") != "dumb" else PlainView()


class JsonView:
    """One event a line; the last line names the record's folder."""

    def start(self, run: str, plan: Plan, usual: Mapping[str, float]) -> None:
        """Nothing: the first event has it."""

    def event(self, event: Event) -> None:
        self._line(asdict(event))

    def _line(self, content: dict[str, Any]) -> None:
        say(json_text(content))

    def paused(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def close(self) -> None:
        """Nothing is open."""

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
        self._line(content)


class PlainView:
    """Lines with the local time, for logs and pipes."""

    def __init__(self) -> None:
        self._story = Story()

    def start(self, run: str, plan: Plan, usual: Mapping[str, float]) -> None:
        self._story.begin(plan, usual)
        self._line(f"{plan.title} in {plan.environment}: {values(plan)}")
        self._line(f"run {run}")

    def event(self, event: Event) -> None:
        fact = kinds.read(event, lenient=True)
        for line in said(fact):
            self._line(line)
        match fact:
            case kinds.StepStarted():
                again = "  (from the record)" if fact.replay else self._story.usual(fact.step)
                self._line(f"{fact.section} / {fact.title} {again}".rstrip())
            case kinds.StepFinished():
                why = f": {one_line(fact.why, 400)}" if fact.why else ""
                self._line(f"  {fact.status} in {duration(fact.seconds)}{why}")
            case kinds.EffectIntent(summary=summary):
                self._line(f"  {summary}")
            case kinds.RefusedEffect(why=why):
                self._line(f"  refused: {why}")
            case kinds.QuestionAsked(name=name, text=text):
                self._line(f"  ? {name}: {text}")
            case kinds.QuestionAnswered(name=name, value=value, by=by):
                self._line(f"  {name}: {value} ({by})")
            case kinds.RollbackStarted():
                self._line("ROLLBACK")
            case kinds.Output(output=output):
                self._output(output)

    def _output(self, output: Mapping[str, Any]) -> None:
        for line in _text_of(output):
            say(f"    | {line}")

    def _line(self, text: str) -> None:
        """Print the text with the time; its further lines are indented below."""
        say(f"{datetime.now().astimezone():%H:%M:%S} " + "\n           ".join(clipped(text)))

    def paused(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def close(self) -> None:
        """Nothing is open."""

    def finish(self, finished: "Finished", settings: Settings) -> None:
        ending = finished.ending
        self._line(f"{str(ending.outcome).upper()} in {duration(ending.seconds)}: {ending.reason}")
        for line in self._story.ending(finished, settings):
            say("\n    ".join(clipped(line)))


def _text_of(output: Mapping[str, Any]) -> list[str]:
    """The lines of an output that a terminal can show."""
    match output["output_type"]:
        case "stream":
            text = output["text"]
        case "error":
            text = "\n".join(output["traceback"])
        case "display_data" | "execute_result":
            text = str(output["data"].get("text/plain", ""))
        case _:
            text = ""
    return clipped(text.rstrip("\r\n")) if text.strip() else []


def clipped(text: str) -> list[str]:
    """The lines of a text to show on a terminal: beginning and end of a long text, and how much is left out."""
    lines = plain(text).split("\n")
    if len(lines) > MOST_LINES:
        head, tail = MOST_LINES // 2, MOST_LINES // 2 - 1
        missing = f"… {len(lines) - head - tail} lines are left out here; the record has them …"
        lines = [*lines[:head], missing, *lines[-tail:]]
    return [_clipped_line(line) for line in lines]


def _clipped_line(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[:LONGEST_LINE]}… ({len(line) - LONGEST_LINE} characters are left out; the record has them)"


class LiveView:
    """Finished steps, and below them the running one: step, time, task, last lines of output."""

    LINES = 4

    def __init__(self) -> None:
        from opsbook.console.steady import Steady

        self._console = Steady(highlight=False)
        self._story = Story()
        self._section = ""
        self._step = ""
        self._again = False
        self._usual = ""
        self._since = 0.0
        self._doing = ""
        self._lines: deque[str] = deque(maxlen=self.LINES)
        self._errors: list[str] = []
        self._live = self._new_live()

    def _new_live(self) -> "Live":
        """A new display after each pause: one started again would erase the lines that it showed before."""
        from rich.live import Live

        return Live(get_renderable=self._now, console=self._console, transient=True, refresh_per_second=8)

    def start(self, run: str, plan: Plan, usual: Mapping[str, float]) -> None:
        self._story.begin(plan, usual)
        self._print(f"{plan.title}", "bold", f"  {plan.environment}", "bold magenta")
        self._print(f"  {values(plan)}", "")
        self._print(f"  {run}", "dim", whole=True)
        self._live.start()

    def _print(self, *parts: str, whole: bool = False) -> None:
        """Print pairs of text and style; text is never parsed as markup. `whole`: do not wrap, so it can be copied."""
        from rich.text import Text

        text = Text()
        for content, style in zip(parts[::2], parts[1::2], strict=True):
            text.append("\n".join(clipped(content)), style=style)
        self._console.print(text, soft_wrap=whole)

    def _now(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        if not self._step:
            return Text("")
        spent = f"{duration(time.monotonic() - self._since)} {self._usual}".rstrip()
        step = one_line(self._step, max(self._console.width // 2, 20))
        now = Text.assemble(
            (_TURNS[int(time.monotonic() * 12) % len(_TURNS)], "cyan"), (f"  {step}  {spent}  ", "bold")
        )
        now.append(one_line(plain(self._doing)), "cyan")
        lines = [Text(f"      {one_line(line, LONGEST_LINE)}", "dim") for line in self._lines]
        return Group(*map(self._row, (now, *lines)))

    def _row(self, text: "Text") -> "Text":
        """Cut a text to one row of the terminal: a wrapped row would not be erased completely."""
        text.truncate(self._console.width - 1, overflow="ellipsis")
        text.no_wrap = True
        return text

    def event(self, event: Event) -> None:
        fact = kinds.read(event, lenient=True)
        for line in said(fact):
            self._print(f"  {line}", "yellow")
        match fact:
            case kinds.StepStarted():
                self._begin(fact)
            case kinds.StepFinished():
                self._end(fact)
            case kinds.EffectIntent(summary=doing) | kinds.EffectProgress(text=doing):
                self._doing = doing
            case kinds.EffectResult():
                self._doing = ""
            case kinds.Output(output=output):
                self._output(output)
            case kinds.RollbackStarted(reason=reason):
                self._section = ""
                self._print("Rolling back", "bold yellow", f"  {one_line(reason, 200)}", "yellow")

    def _begin(self, started: kinds.StepStarted) -> None:
        self._again = started.replay
        if started.section != self._section:
            self._section = started.section
            self._print(f"{self._section}", "bold")
        self._step, self._since, self._doing = one_line(plain(started.title)), time.monotonic(), ""
        self._usual = self._story.usual(started.step)
        self._lines.clear()
        self._errors.clear()

    def _end(self, finished: kinds.StepFinished) -> None:
        good = finished.status in ("succeeded", "skipped", "unpredictable")
        style = "green" if good else "red"
        self._print(
            f"  {_MARKS.get(finished.status, '?')} ",
            style,
            f"{self._step}",
            "dim" if self._again else "",
            "  from the record" if self._again else f"  {duration(finished.seconds)}",
            "dim",
        )
        if finished.why:
            self._print(f"    {finished.why}", "dim" if good else "red")
        if not good:
            for line in self._errors[-12:]:
                self._print(f"    {line}", "dim")
        self._step = ""

    def _output(self, output: Mapping[str, Any]) -> None:
        lines = _text_of(output)
        self._lines.extend(line for line in lines if line.strip())
        if output["output_type"] == "error":
            self._errors = lines

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the live display while a person is asked."""
        self._live.stop()
        try:
            yield
        finally:
            self._live = self._new_live()
            self._live.start()

    def close(self) -> None:
        self._live.stop()

    def finish(self, finished: "Finished", settings: Settings) -> None:
        ending = finished.ending
        good = ending.outcome in GOOD
        style = "bold green" if good else "bold yellow" if ending.outcome is Outcome.ROLLED_BACK else "bold red"
        self._print("", "")
        self._print(f"{ending.outcome!s} in {duration(ending.seconds)}", style)
        self._print(f"  {ending.reason}", "dim" if good else "")
        for line in self._story.ending(finished, settings):
            self._print(line, "", whole=True)
