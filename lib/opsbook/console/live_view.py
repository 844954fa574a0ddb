"""The live view of a terminal: finished steps, and below them the running one."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opsbook.console.printed import LONGEST_LINE, Kept, Printed, clipped, short, traceback
from opsbook.console.story import said, values
from opsbook.console.text import hanging, plain
from opsbook.console.view import View
from opsbook.core.model import events as kinds
from opsbook.core.model.event import Event
from opsbook.core.model.outcome import GOOD, Outcome
from opsbook.core.model.plan import Plan
from opsbook.core.model.text import duration, flat, one_line, quoted
from opsbook.settings import Settings

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from opsbook.operate.run_record import Finished

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


class LiveView(View):
    """Finished steps, and below them the running one: step, time, task, last lines of output."""

    LINES = 4

    def __init__(self, *, quiet: bool = False) -> None:
        from opsbook.console.steady import Steady

        self._console = Steady(highlight=False)
        super().__init__()
        self._quiet = quiet
        self._printed = Printed()
        self._kept = Kept()
        self._run = ""
        self._section = ""
        self._step = ""
        self._name = ""
        self._again = False
        self._usual = ""
        self._since = 0.0
        self._doing = ""
        self._headed = False
        self._lines: deque[str] = deque(maxlen=self.LINES)
        self._errors: list[str] = []
        self._live = self._new_live()

    def _new_live(self) -> "Live":
        """A new display after each pause: one started again would erase the lines that it showed before."""
        from rich.live import Live

        return Live(get_renderable=self._now, console=self._console, transient=True, refresh_per_second=8)

    def start(self, run: str, plan: Plan, usual: Mapping[str, float]) -> None:
        self._story.begin(plan, usual)
        self._run = run
        self._print(quoted(plan.title), "bold", f"  {plan.environment}", "bold magenta")
        self._print(f"  {values(plan)}", "")
        self._print(f"  {run}", "dim", whole=True)
        self._live.start()

    def _print(self, *parts: str, whole: bool = False) -> None:
        """Print pairs of text and style; text is never parsed as markup. `whole`: do not wrap, so it can be copied."""
        from rich.padding import Padding
        from rich.text import Text

        text = Text()
        for content, style in zip(parts[::2], parts[1::2], strict=True):
            text.append("\n".join(clipped(content)), style=style)
        indent = len(text.plain) - len(text.plain.lstrip(" "))
        # Without its lock, the thread that refreshes the display may write between the erasing and the text.
        with self._live._lock:
            # Below the text comes what is running now, not what ran at the last refresh.
            self._live._live_render.set_renderable(self._now())
            if whole:
                self._console.print(text, soft_wrap=True)
            else:
                # A line that is wrapped goes on below its beginning.
                self._console.print(Padding(text[indent:], (0, 0, 0, indent), expand=False))

    def _now(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        if not self._step:
            return Text("")
        took = time.monotonic() - self._since
        spent = f"{duration(took)} {self._usual}".rstrip()
        step = one_line(self._step, max(self._console.width // 2, 20))
        now = Text.assemble((_TURNS[int(time.monotonic() * 12) % len(_TURNS)], "cyan"), (f"  {step}  {spent}", "bold"))
        now.append("  " + "  ".join(filter(None, (self._story.place, self._story.left(took)))), "dim")
        doing = [Text(f"     {one_line(plain(self._doing))}", "cyan")] if self._doing else []
        current = [] if self._quiet else self._printed.current
        last = [*self._lines, *(line for line in current if line.strip())][-self.LINES :]
        lines = [Text(f"    | {one_line(plain(line), LONGEST_LINE)}", "dim") for line in last]
        return Group(*map(self._row, (now, *doing, *lines)))

    def _row(self, text: "Text") -> "Text":
        """Cut a text to one row of the terminal: a wrapped row would not be erased completely."""
        text.truncate(self._console.width - 1, overflow="ellipsis")
        text.no_wrap = True
        return text

    def event(self, event: Event) -> None:
        fact = kinds.read(event, lenient=True)
        for line in said(fact):
            self._print(f"  {line}", "yellow")
        self._output(self._printed.take(fact))
        self._story.take(fact)
        match fact:
            case kinds.StepStarted():
                self._begin(fact)
            case kinds.StepFinished():
                self._end(fact)
            case kinds.EffectProgress(ended=True):
                if fact.failures or not self._quiet:
                    self._task_ended(fact)
            case kinds.EffectIntent(summary=doing) | kinds.EffectProgress(text=doing):
                self._doing = doing
            case kinds.EffectResult():
                self._doing = ""
            case kinds.OutputProgress(text=text) if not self._quiet:
                self._lines.append(text)
            case kinds.RollbackStarted(reason=reason):
                self._section = ""
                self._print("Rolling back", "bold yellow", f"  {one_line(self.once(reason), 200)}", "yellow")

    def _task_ended(self, task: kinds.EffectProgress) -> None:
        """Print a line for the task of a playbook, and what belongs to it; the first one below the name of the step."""
        if not self._headed:
            self._headed = True
            self._print(f"  {self._step}", "dim")
        first, *more = self._story.task(task)
        self._print(f"    {first}", "red" if task.failures else "")
        for number, line in enumerate(more):
            self._print(f"    {line}", "red" if number < len(task.failures) else "dim")

    def _begin(self, started: kinds.StepStarted) -> None:
        self._again = started.replay
        if started.section != self._section:
            self._section = started.section
            self._print(flat(self._section), "bold")
        self._step, self._since, self._doing = flat(one_line(started.title)), time.monotonic(), ""
        self._name = started.step
        self._usual = self._story.usual(started.step)
        self._headed = False
        self._lines.clear()
        self._errors.clear()

    def _end(self, finished: kinds.StepFinished) -> None:
        good = finished.status in ("succeeded", "skipped", "unpredictable")
        # Nothing of the live display stays between the lines below.
        title, self._step = self._step, ""
        style = "green" if good else "red"
        idle = self._story.idle and finished.status == "succeeded" and not self._again
        mark = _MARKS["skipped"] if idle else _MARKS.get(finished.status, "?")
        took = "nothing to do" if idle else "from the record" if self._again else duration(finished.seconds)
        self._print(f"  {mark} ", style, title, "dim" if self._again else "", f"  {took}", "dim")
        self._print_kept()
        if finished.why:
            self._print(f"    {self._story.reason(finished)}", "dim" if good else "red")
        if not good:
            for line in self._errors[-12:]:
                self._print(f"    {line}", "dim")

    def _output(self, lines: list[str]) -> None:
        """Keep lines and errors for the end of the step. Between steps, show at once what a line at the prompt gave."""
        error = self._printed.failed
        if self._step:
            self._errors = traceback(error) if error else self._errors
            if not self._quiet:
                self._lines.extend(line for line in lines if line.strip())
                self._kept.add(lines)
        else:
            if lines and (self._section or not self._quiet):
                self._print("\n".join(f"    {line}" for line in clipped("\n".join(lines))), "", whole=True)
            if error:
                self._print("\n".join(f"    {line}" for line in short(error)), "red", whole=True)

    def _print_kept(self) -> None:
        """Print what the step printed, below its line."""
        lines = self._kept.taken(f"opsbook records show {self._run} --step {self._name} --output")
        if shown := "\n".join(f"    | {line}" for line in lines):
            self._print(shown, "dim", whole=True)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the live display while a person is asked, who sees first what the step has printed."""
        self._live.stop()
        began = time.monotonic()
        if self._kept.head:
            self._print(f"  … {self._step}", "")
            self._print_kept()
            self._lines.clear()
        try:
            yield
        finally:
            # A person who thinks is no work of the step.
            self._since += time.monotonic() - began
            self._live = self._new_live()
            self._live.start()

    def close(self) -> None:
        self._live.stop()

    def finish(self, finished: "Finished", settings: Settings) -> None:
        ending = finished.ending
        good = ending.outcome in GOOD
        # Of a step that did not end.
        self._print_kept()
        style = "bold green" if good else "bold yellow" if ending.outcome is Outcome.ROLLED_BACK else "bold red"
        self._print("", "")
        self._print(f"{ending.outcome!s} in {duration(ending.seconds)}", style)
        self._print("\n  ".join(hanging(f"  {self.once(ending.reason)}")), "dim" if good else "")
        for line in self._story.ending(finished, settings):
            self._print(line, "", whole=True)
