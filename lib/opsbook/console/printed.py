"""What the cells and programs of a run print, from its events: whole lines, within limits."""

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsbook.console.text import plain
from opsbook.core.model import events as kinds
from opsbook.core.model.attempts import LOOK
from opsbook.core.model.lines import LineBuffer, overwritten
from opsbook.core.model.text import number_of

MOST_LINES = 200
LONGEST_LINE = 2000
"""Limits for one text: more would only scroll past. The record has the rest."""

GAP = "…"
"""A line that stands for those which are not in the journal."""

_END = 20
"""Lines shown of the end of output that is too long for the journal."""

_ENDS = (kinds.CellStarted, kinds.CellFinished, kinds.StepFinished, kinds.RunFinished)
"""Events at which an unfinished line has come to its end."""


class Printed:
    """Collects output into whole lines, each stream by itself. Cells that only run again are left out."""

    def __init__(self) -> None:
        self._streams: defaultdict[str, LineBuffer] = defaultdict(LineBuffer)
        self._programs: set[str] = set()
        self._tasks = False
        self._hidden = False
        self.failed: Mapping[str, Any] | None = None

    def take(self, fact: kinds.Fact | None) -> list[str]:
        """The lines that end with this event. An error is no line: `failed` has it, until the next event."""
        self.failed = None
        lines = self._ended() if isinstance(fact, _ENDS) else []
        match fact:
            case kinds.CellStarted(cell=cell, replay=replay):
                self._hidden = replay or cell.startswith(LOOK)
            case kinds.EffectIntent():
                self._programs.clear()
                self._tasks = False
            case kinds.EffectProgress(ended=True):
                self._tasks = True
            case kinds.Output(output=output) if not self._hidden:
                lines = self._output(output)
            case kinds.EffectOutput(intent=intent, name=name, text=text) if not self._hidden:
                lines = self._streams[f"{intent} {name}"].feed(text)
                self._programs.update(lines)
            case kinds.CellFinished(tail=tail) if tail and not self._hidden:
                lines += [GAP, *tail.rstrip("\n").split("\n")[-_END:]]
        return lines

    def _output(self, output: Mapping[str, Any]) -> list[str]:
        match output["output_type"]:
            case "stream":
                return self._streams[output["name"]].feed(output["text"])
            case "error":
                self.failed = output
            case "display_data" | "execute_result" if text := str(output["data"].get("text/plain", "")).rstrip():
                first, *more = overwritten(text).split("\n")
                # The result of a command quotes what it printed, and that of a playbook counts tasks, which were shown.
                told = self._programs.issuperset(more) or (self._tasks and first.startswith("playbook "))
                return [first] if told else [first, *more]
        return []

    def _ended(self) -> list[str]:
        lines = [line for stream in self._streams.values() for line in stream.end()]
        self._streams.clear()
        return lines

    @property
    def current(self) -> list[str]:
        """The unfinished line of each stream, as it is now."""
        return [stream.current for stream in self._streams.values() if stream.rest]


@dataclass
class Kept:
    """The beginning and the end of what a step printed; `left_out` counts the lines between them, if all are known."""

    HALF = 20

    head: list[str] = field(default_factory=list)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=Kept.HALF))
    left_out: int = 0
    known: bool = True

    def add(self, lines: list[str]) -> None:
        self.known = self.known and GAP not in lines
        for line in lines:
            if len(self.head) < self.HALF:
                self.head.append(line)
            else:
                self.left_out += len(self.tail) == self.HALF
                self.tail.append(line)

    def taken(self, more: str) -> Iterator[str]:
        """The lines, which are forgotten; `more` is the command that shows all of them."""
        yield from self.head
        if self.left_out:
            yield f"… {number_of(self.left_out, 'line') if self.known else 'many lines'} left out here. All of them:"
            yield f"  {more}"
        yield from self.tail
        self.head, self.left_out, self.known = [], 0, True
        self.tail.clear()


def traceback(error: Mapping[str, Any]) -> list[str]:
    """The lines of an error's traceback; none for a failed effect, which the line of its step tells in words."""
    if error.get("ename") == "EffectFailed":
        return []
    return clipped("\n".join(error["traceback"]).rstrip())


def short(error: Mapping[str, Any]) -> list[str]:
    """An error in one or two lines, with its kind."""
    return clipped(f"{error['ename']}: {error['evalue']}".rstrip(": "))[:2]


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
