"""What a record holds besides its summary, in the order in which it happened: output, tasks of playbooks, diffs.

Everything is yielded piece by piece, since output and event streams may be larger than memory.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opsbook.core.model import events as kinds
from opsbook.core.model.differ import ansible_diff
from opsbook.core.model.event import Event
from opsbook.core.model.runbook import SHELLS
from opsbook.core.model.tasks import TaskOnHost, diffs, on_host
from opsbook.core.record import side, streams
from opsbook.core.record.store import Record
from opsbook.errors import InputError

Item = dict[str, Any]
"""A piece: its `kind` (output, task, diff, attachment, damaged) and its `step`, and what belongs to the kind."""

_FENCES = tuple(f"{shell}: " for shell in SHELLS)
"""How the summary of a shell cell begins: its cell prints its output."""


@dataclass(frozen=True)
class Wanted:
    """Which pieces to read; `step` narrows them to one step."""

    output: bool = False
    tasks: bool = False
    diff: bool = False
    step: str = ""

    @property
    def any(self) -> bool:
        return self.output or self.tasks or self.diff


class Focus:
    """Which step an event belongs to: a run does one after the other."""

    def __init__(self, step: str) -> None:
        self._wanted = step
        self.step = self.title = self._over = ""

    def sees(self, event: Event) -> bool:
        """Take the next event; whether it belongs to the step, if there is one, or to the run itself."""
        if self._over:
            self.step = self.title = self._over = ""
        match kinds.read(event, lenient=True):
            case kinds.StepStarted(step=step, title=title):
                self.step, self.title = step, title
            case kinds.StepFinished(step=step):
                self._over = step
            case kinds.RunStarted() | kinds.RunResumed() | kinds.RunFinished():
                return True
        return not self._wanted or self.step == self._wanted


class Details:
    """Reads the pieces of one record, event by event."""

    def __init__(self, record: Record, wanted: Wanted) -> None:
        self._record = record
        self._wanted = wanted
        self._focus = Focus(wanted.step)
        self._open: dict[int, tuple[kinds.EffectIntent, Item]] = {}
        self._seen: defaultdict[tuple[int, str], int] = defaultdict(int)

    def all(self, events: Iterable[Event]) -> Iterator[Item]:
        """The pieces of all events. What is damaged is one of them, in words; the rest follows if it can be read."""
        yield from _readable((piece for event in events for piece in self.take(event)), {"step": ""})
        yield from self.left()

    def take(self, event: Event) -> Iterator[Item]:
        """The pieces that an event brings."""
        if not self._focus.sees(event):
            return
        at = {"step": self._focus.step, "title": self._focus.title}
        match fact := kinds.read(event, lenient=True):
            case kinds.Output(output=output) if self._wanted.output and (text := _text(output)):
                yield {"kind": "output", **at, "text": text}
            case kinds.CellFinished(file=dict() as file) | kinds.OutputBetween(file=dict() as file):
                if self._wanted.output:
                    texts = streams.text(self._record, str(file.get("path")))
                    yield from _readable(({"kind": "output", **at, "text": piece} for piece in texts), at)
            case kinds.EffectIntent():
                self._open[event.seq] = (fact, at)
            case kinds.EffectOutput(intent=intent, name=name, text=text) if self._wanted.output:
                self._seen[intent, name] += len(text)
                yield {"kind": "output", **at, "text": text}
            case kinds.EffectResult() if fact.intent in self._open:
                yield from self._effect(fact.intent, *self._open.pop(fact.intent), fact)

    def left(self) -> Iterator[Item]:
        """The pieces of effects that never reported."""
        for number, (intent, at) in self._open.items():
            if streams.exists(self._record, number, intent.kind):
                yield from self._stream(streams.name_of(number, intent.kind), intent, at)

    def _effect(self, number: int, intent: kinds.EffectIntent, at: Item, ended: kinds.EffectResult) -> Iterator[Item]:
        if self._wanted.output:
            yield from _readable(self._said(ended, number, intent, at), at)
        file = ended.events
        if isinstance(file, Mapping) and file.get("path"):
            yield from self._stream(str(file["path"]), intent, at)

    def _stream(self, name: str, intent: kinds.EffectIntent, at: Item) -> Iterator[Item]:
        """What an effect reported while it ran."""
        at = {**at, "effect": intent.summary}
        yield from _readable(self._samples(name, at), at)

    def _samples(self, name: str, at: Item) -> Iterator[Item]:
        for sample in streams.samples(self._record, name):
            if (found := on_host(sample)) is not None:
                yield from self._task(found, at)
            elif self._wanted.output and "poll" in sample:
                yield {"kind": "output", **at, "text": f"{sample['poll']}: {sample.get('value')}\n"}

    def _said(self, ended: kinds.EffectResult, number: int, intent: kinds.EffectIntent, at: Item) -> Iterator[Item]:
        """What a program printed beyond what the journal has room for, and the file of an attachment."""
        result = side.result_of(self._record, ended)
        if not isinstance(result, Mapping):
            return
        if intent.kind == "command" and not intent.summary.startswith(_FENCES):
            for name in ("stdout", "stderr"):
                if text := str(result.get(name) or "")[self._seen.pop((number, name), 0) :]:
                    yield {"kind": "output", **at, "text": text}
        if intent.kind == "attach" and isinstance(result.get("file"), Mapping):
            yield {"kind": "attachment", **at, "text": str(result["file"].get("path"))}

    def _task(self, found: TaskOnHost, at: Item) -> Iterator[Item]:
        named = {"play": found.play, "task": found.task, "place": found.place, "host": found.host}
        if self._wanted.tasks:
            ended = {"state": found.state, "seconds": found.seconds, "message": found.message}
            yield {"kind": "task", **at, **named, **ended, "said": found.said, "files": found.files}
        for diff in diffs(found.result) if self._wanted.diff else ():
            if lines := ansible_diff(diff):
                yield {"kind": "diff", **at, **named, "text": "\n".join(lines)}


def _readable(pieces: Iterable[Item], at: Item) -> Iterator[Item]:
    """The pieces; what is damaged among them is one, too, in words."""
    try:
        yield from pieces
    except InputError as error:
        yield {"kind": "damaged", **at, "text": error.message}


def _text(output: Mapping[str, Any]) -> str:
    """The text of an output of a cell, whole."""
    if output.get("output_type") == "error":
        return "\n".join(map(str, output.get("traceback") or ())) + "\n"
    data = output.get("data")
    return f"{data['text/plain']}\n" if isinstance(data, dict) and "text/plain" in data else str(output.get("text", ""))
