"""Effects that were allowed: their intents, their event streams, their results. Everything goes to the sink.

An intent is on disk before anything happens, a result before the cell goes on. What never reported a result
is interrupted: nobody knows what it did. An intent is written only where there is room for its result.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.core.model.effect import Effect, Status
from opsbook.core.model.event import Data
from opsbook.core.model.events import EffectIntent, EffectProgress, EffectRecorded, EffectResult
from opsbook.core.model.past import KnownEffect, Past
from opsbook.core.model.redact import Redactor
from opsbook.core.model.sink import Sink, Stream
from opsbook.core.model.text import slug
from opsbook.errors import OpsbookError

INLINE = 64 * 1024
"""Results longer than this (characters of JSON) are stored as a file of the record."""

_STARTED = "runner_on_start"
_ENDED = frozenset({"runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_on_skipped"})
"""Events of Ansible about a host: whose task began and did not end may still be at it."""


@dataclass
class _Open:
    """An effect that has not ended. `intent` is the number of its event; `busy` are hosts in the middle of a task."""

    effect: Effect
    intent: int
    stream: Stream | None = None
    lost: str = ""
    busy: set[str] = field(default_factory=set)


class Ledger:
    """The effects of one run, by the numbers their kernel gave them."""

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

        `anew` says that whatever an earlier attempt at the cell did behind it does not count any more. Raises
        NoRoom if the result would have no place.
        """
        wanted = EffectIntent(
            key=effect.key,
            cell=cell,
            keyed=keyed,
            anew=anew,
            kind=effect.kind,
            step=step,
            summary=effect.summary,
            changes=effect.changes,
            idempotent=effect.idempotent,
            request=effect.request,
            digest=effect.digest,
            ignore=effect.ignore,
        )
        self._sink.reserve(len(self._open) + 1)
        intent = self._sink.write(wanted, durable=True)
        self._open[number] = _Open(effect, intent.seq)
        return f"{intent.seq:04d}"

    def sample(self, number: int, sample: Any, show: str) -> None:
        """Something an open effect reports: one line of its event stream; `show` is for whoever watches."""
        item = self._open.get(number)
        if item is None:
            return
        if isinstance(sample, dict) and isinstance(sample.get("host"), str):
            _follow(item.busy, sample)
        if not item.lost:
            try:
                self._append(item, sample)
            except OpsbookError as error:
                item.lost = f"the rest could not be stored: {error.message}"
        if show:
            self._sink.write(EffectProgress(intent=item.intent, text=show))

    def _append(self, item: _Open, sample: Any) -> None:
        if item.stream is None:
            item.stream = self._sink.stream("effects", f"{item.intent:04d}-{slug(item.effect.kind)}.jsonl")
        item.stream.append(json.dumps(self._redactor.value(sample), ensure_ascii=False) + "\n")

    def attach(self, number: int, result: Any, content: bytes) -> Any:
        """Store the evidence of an effect; returns its result with the file in it."""
        with contextlib.suppress(UnicodeDecodeError):
            content = self._redactor.text(content.decode()).encode()
        given = Path(self._redactor.text(str(result["name"])))
        name = f"{self._open[number].intent:04d}-{slug(given.stem)[:60]}{_suffix(given)}"
        return {**result, "file": self._sink.blob("effects", name, content)}

    def end(self, number: int, status: Status, result: Any, why: str = "", *, left_out: Sequence[str] = ()) -> Effect:
        """Write the result; when this returns it is durable. Raises KeyError if nothing is open under the number."""
        item = self._open.pop(number)
        effect = item.effect
        if status is Status.INTERRUPTED and item.busy:
            why = f"{why}; a task may still run on {', '.join(sorted(item.busy))}"
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

    def recorded(self, known: KnownEffect) -> None:
        """An effect is answered from the journal."""
        self._sink.write(EffectRecorded(intent=known.intent, key=known.effect.key))

    def mark_done(self, known: KnownEffect, by: str) -> None:
        """Somebody looked, and says that an effect whose outcome was unknown did what it should."""
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
        """The result as the journal keeps it: itself, or a file where it is long. How it ended is never lost."""
        text = json.dumps(self._redactor.value(result), ensure_ascii=False)
        # Where a secret stands in another form, such as base64, its mark does not say in which.
        kept = {} if self._redactor.exact(result) else {"lost": "it holds a secret in another form than it is kept in"}
        if len(text) <= INLINE:
            return {"result": result} | kept
        name = f"{item.intent:04d}-{slug(item.effect.kind)}-result.json"
        short = {"changed": result.get("changed")} if isinstance(result, dict) else None
        try:
            return {"result": short, "file": self._sink.blob("effects", name, text.encode())} | kept
        except OpsbookError as error:
            return {"result": short, "lost": f"{len(text)} characters could not be stored: {error}"}

    def abandon(self, why: str) -> list[Effect]:
        """Every open effect is interrupted from now on: what it did is unknown. Returns them."""
        return [self.end(number, Status.INTERRUPTED, None, why) for number in list(self._open)]


def _follow(busy: set[str], sample: dict[str, Any]) -> None:
    """Which hosts are in the middle of a task."""
    if sample.get("event") == _STARTED:
        busy.add(sample["host"])
    elif sample.get("event") in _ENDED:
        busy.discard(sample["host"])


def _closed(item: _Open) -> Data | None:
    """The event stream of an effect that ended."""
    if item.stream is None:
        return None
    try:
        return item.stream.close() | ({"lost": item.lost} if item.lost else {})
    except OpsbookError as error:
        return {"lost": f"it could not be stored: {error.message}"}


def _suffix(name: Path) -> str:
    """The ending of an attachment's name, if it is a plain one."""
    return name.suffix if name.suffix[1:].isalnum() and name.suffix.isascii() and len(name.suffix) <= 8 else ""
