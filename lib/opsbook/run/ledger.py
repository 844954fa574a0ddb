"""Effects that were allowed: their intents, their event streams, their results. Everything goes to the sink.

An intent is on disk before anything happens, a result before the cell goes on. What never reported a result
is interrupted: nobody knows what it did.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsbook.model.effect import Effect, Status
from opsbook.model.event import Data, Sink, Stream
from opsbook.model.redact import Redactor
from opsbook.model.text import slug

INLINE = 64 * 1024
"""Results longer than this (characters of JSON) are stored as a file of the record."""


@dataclass
class _Open:
    """An effect that has not ended. `intent` is the number of its event."""

    effect: Effect
    intent: int
    stream: Stream | None = None


class Ledger:
    """The effects of one run, by the numbers their kernel gave them."""

    def __init__(self, sink: Sink, redactor: Redactor) -> None:
        self.changed = False
        self.results: dict[str, tuple[str, Any]] = {}
        self._sink = sink
        self._redactor = redactor
        self._open: dict[int, _Open] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._open

    def going_on(self) -> list[Effect]:
        """The effects that have not ended."""
        return [item.effect for item in self._open.values()]

    def begin(self, number: int, effect: Effect, step: str) -> str:
        """Write the intent; when this returns it is durable. Returns a name for private files of the effect."""
        data = {
            "key": effect.key,
            "kind": effect.kind,
            "step": step,
            "summary": effect.summary,
            "changes": effect.changes,
            "idempotent": effect.idempotent,
            "request": effect.request,
            "digest": effect.digest,
        }
        intent = self._sink.write("effect-intent", data, durable=True)
        self._open[number] = _Open(effect, intent.seq)
        return f"{intent.seq:04d}"

    def sample(self, number: int, sample: Any, show: str) -> None:
        """Something an open effect reports: one line of its event stream; `show` is for whoever watches."""
        item = self._open.get(number)
        if item is None:
            return
        if item.stream is None:
            item.stream = self._sink.stream("effects", f"{item.intent:04d}-{slug(item.effect.kind)}.jsonl")
        item.stream.append(json.dumps(self._redactor.value(sample), ensure_ascii=False) + "\n")
        if show:
            self._sink.write("effect-progress", {"intent": item.intent, "text": show})

    def attach(self, number: int, result: Any, content: bytes) -> Any:
        """Store the evidence of an effect; returns its result with the file in it."""
        with contextlib.suppress(UnicodeDecodeError):
            content = self._redactor.text(content.decode()).encode()
        given = Path(self._redactor.text(str(result["name"])))
        name = f"{self._open[number].intent:04d}-{slug(given.stem)[:60]}{_suffix(given)}"
        return {**result, "file": self._sink.blob("effects", name, content)}

    def end(self, number: int, status: Status, result: Any, why: str = "") -> Effect:
        """Write the result; when this returns it is durable. Raises KeyError if nothing is open under the number."""
        item = self._open.pop(number)
        effect = item.effect
        data: Data = {"intent": item.intent, "key": effect.key, "status": status, "digest": effect.digest}
        if why:
            data["why"] = why
        if item.stream is not None:
            data["events"] = item.stream.close()
        if status is Status.SUCCEEDED:
            self.results[effect.key] = (effect.digest, result)
        if effect.changes and not (isinstance(result, dict) and result.get("changed") is False):
            self.changed = True
        self._sink.write("effect-result", data | self._kept(item, result), durable=True)
        return effect

    def _kept(self, item: _Open, result: Any) -> Data:
        """The result as the journal keeps it: itself, or a file where it is long."""
        text = json.dumps(self._redactor.value(result), ensure_ascii=False)
        if len(text) <= INLINE:
            return {"result": result}
        name = f"{item.intent:04d}-{slug(item.effect.kind)}-result.json"
        short = {"changed": result.get("changed")} if isinstance(result, dict) else None
        return {"result": short, "file": self._sink.blob("effects", name, text.encode())}

    def abandon(self, why: str) -> list[Effect]:
        """Every open effect is interrupted from now on: what it did is unknown. Returns them."""
        return [self.end(number, Status.INTERRUPTED, None, why) for number in list(self._open)]


def _suffix(name: Path) -> str:
    """The ending of an attachment's name, if it is a plain one."""
    return name.suffix if name.suffix[1:].isalnum() and name.suffix.isascii() and len(name.suffix) <= 8 else ""
