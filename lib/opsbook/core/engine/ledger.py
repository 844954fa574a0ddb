"""Allowed effects: their intents, event streams and results. Everything goes to the sink.

An intent is on disk before anything happens, a result before the cell continues. An effect that never reports a
result is interrupted: its outcome is unknown. An intent is written only if there is room for its result.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.core.model.effect import Effect, Status
from opsbook.core.model.event import Data
from opsbook.core.model.events import EffectIntent, EffectOutput, EffectProgress, EffectResult
from opsbook.core.model.past import KnownEffect, Past
from opsbook.core.model.redact import RedactedStream, Redactor
from opsbook.core.model.sink import Sink, Stream
from opsbook.core.model.tasks import TaskProgress, Tasks
from opsbook.core.model.text import slug
from opsbook.errors import OpsbookError

INLINE = 64 * 1024
"""Longer results (in characters of JSON) are stored as a file of the record."""


@dataclass
class _Open:
    """An effect that has not ended. `intent` is its event's number; `tasks` are those of a playbook."""

    effect: Effect
    intent: int
    stream: Stream | None = None
    lost: str = ""
    tasks: Tasks = field(default_factory=Tasks)
    printed: dict[str, RedactedStream] = field(default_factory=dict)


class Ledger:
    """The effects of one run, by the kernel's request numbers."""

    def __init__(self, sink: Sink, redactor: Redactor, past: Past) -> None:
        self._sink = sink
        self._redactor = redactor
        self._past = past
        self._open: dict[int, _Open] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._open

    def going_on(self) -> list[Effect]:
        """The effects that have not ended."""
        return [item.effect for item in self._open.values()]

    def begin(self, number: int, effect: Effect, step: str, cell: str, *, keyed: bool, anew: bool) -> str:
        """Write the intent; when this returns it is durable. Returns a name for private files of the effect.

        `anew`: later effects of an earlier attempt at the cell no longer count. Raises NoRoom if there is no
        room for the result.
        """
        wanted = EffectIntent(step=step, cell=cell, keyed=keyed, anew=anew, digest=effect.digest, **vars(effect))
        self._sink.reserve(len(self._open) + 1)
        intent = self._sink.write(wanted, durable=True)
        self._open[number] = _Open(effect, intent.seq)
        return f"{intent.seq:04d}"

    def sample(self, number: int, sample: Any, show: str) -> None:
        """Add a line to the event stream of an open effect; `show` is its progress for people."""
        item = self._open.get(number)
        if item is None:
            return
        sample = self._redactor.value(sample)
        if not item.lost:
            try:
                if item.stream is None:
                    item.stream = self._sink.stream("effects", f"{item.intent:04d}-{slug(item.effect.kind)}.jsonl")
                item.stream.append(json.dumps(sample, ensure_ascii=False) + "\n")
            except OpsbookError as error:
                item.lost = f"the rest could not be stored: {error.message}"
        self._tell(item, item.tasks.take(sample) if isinstance(sample, dict) else [])
        if show:
            self._tell(item, [TaskProgress(show)])

    def _tell(self, item: _Open, lines: Sequence[TaskProgress]) -> None:
        for line in lines:
            self._sink.write(EffectProgress(intent=item.intent, **vars(line)))

    def printed(self, number: int, name: str, text: str) -> None:
        """Journal whole lines that an open effect printed."""
        if item := self._open.get(number):
            self._say(item, name, item.printed.setdefault(name, self._redactor.stream()).feed(text))

    def _say(self, item: _Open, name: str, text: str) -> None:
        """Journal what an effect printed, without what may be the beginning of a secret."""
        if text:
            self._sink.write(EffectOutput(intent=item.intent, name=name, text=text))

    def attach(self, number: int, result: Any, content: bytes) -> Any:
        """Store an attachment; returns the effect's result with the file added."""
        with contextlib.suppress(UnicodeDecodeError):
            content = self._redactor.text(content.decode()).encode()
        given = Path(self._redactor.text(str(result["name"])))
        suffix = given.suffix
        usable = suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 8
        name = f"{self._open[number].intent:04d}-{slug(given.stem)[:60]}{suffix if usable else ''}"
        return {**result, "file": self._sink.blob("effects", name, content)}

    def end(self, number: int, status: Status, result: Any, why: str = "", *, left_out: Sequence[str] = ()) -> Effect:
        """Write the result; when this returns it is durable. Raises KeyError if no effect has this number."""
        item = self._open.pop(number)
        effect = item.effect
        with contextlib.suppress(OpsbookError):
            # The result has its own room on a full disk; what people watch has none.
            self._tell(item, item.tasks.close())
            for name, stream in item.printed.items():
                self._say(item, name, stream.flush())
        ended = EffectResult(
            intent=item.intent,
            key=effect.key,
            status=status,
            digest=effect.digest,
            why=why,
            left_out=left_out or (),
            events=_closed(item),
            **self._kept(item, result),
        )
        self._sink.write(ended, durable=True)
        self._past.give(item.intent, result)
        return effect

    def located(self, number: int, why: str) -> str:
        """Why an effect was interrupted, with the task of a playbook that was running, and where it still may."""
        where = self._open[number].tasks.where() if number in self._open else ""
        return "; ".join(filter(None, (why, where)))

    def mark_done(self, known: KnownEffect, by: str) -> None:
        """Mark an unknown effect as done, because a person checked it."""
        done = EffectResult(
            intent=known.intent,
            key=known.effect.key,
            status=Status.SUCCEEDED,
            digest=known.digest,
            result=None,
            why=f"marked as done by {by}",
            marked=True,
        )
        self._sink.write(done, durable=True)

    def _kept(self, item: _Open, result: Any) -> Data:
        """The result for the journal: inline, or as a file if it is long. A lost file does not lose the status."""
        text = json.dumps(self._redactor.value(result), ensure_ascii=False)
        # The mark of an encoded secret, such as base64, does not say how it was encoded.
        kept = {} if self._redactor.exact(result) else {"lost": "an encoded secret in it cannot be restored"}
        if len(text) <= INLINE:
            return {"result": result} | kept
        name = f"{item.intent:04d}-{slug(item.effect.kind)}-result.json"
        short = {"changed": result.get("changed")} if isinstance(result, dict) else None
        try:
            return {"result": short, "file": self._sink.blob("effects", name, text.encode())} | kept
        except OpsbookError as error:
            return {"result": short, "lost": f"{len(text)} characters could not be stored: {error}"}

    def abandon(self, why: str) -> list[Effect]:
        """Mark every open effect as interrupted: its outcome is unknown. Returns them."""
        return [self.end(number, Status.INTERRUPTED, None, self.located(number, why)) for number in list(self._open)]


def _closed(item: _Open) -> Data | None:
    """Close the event stream of an effect; returns its file."""
    if item.stream is None:
        return None
    try:
        return item.stream.close() | ({"lost": item.lost} if item.lost else {})
    except OpsbookError as error:
        return {"lost": f"it could not be stored: {error.message}"}
