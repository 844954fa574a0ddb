"""Attempts at effects: an intent of the journal, and how it ended. The one place where the two are put together."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from opsbook.core.model.event import Event
from opsbook.core.model.events import EffectIntent, EffectResult, read

LOOK = "look:"
"""Beginning of the keys of effects that only look at what has become of the prerequisites."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at an effect: the number and the time of its intent, and of its result if it has one.

    A result that comes later says more: somebody marked the effect as done.
    """

    intent: EffectIntent
    seq: int
    began: str
    result: EffectResult | None = None
    result_seq: int = 0
    ended: str = ""

    @property
    def status(self) -> str:
        """How it ended; unknown if it never reported."""
        return self.result.status if self.result else "unknown"

    @property
    def cell(self) -> str:
        """The cell that it belongs to; journals of the first format have it in the key alone."""
        return self.intent.cell or self.intent.key.rsplit("/", 2)[0]


class Attempts:
    """The attempts of a run so far, by the numbers of their intents. What a look found is no effect of the run."""

    def __init__(self) -> None:
        self.all: dict[int, Attempt] = {}

    def take(self, event: Event, *, lenient: bool = False) -> Attempt | None:
        """The attempt that an event begins or ends, if it does."""
        if event.type not in (EffectIntent.type, EffectResult.type):
            return None
        fact = read(event, lenient=lenient)
        if isinstance(fact, EffectIntent) and not fact.key.startswith(LOOK):
            self.all[event.seq] = found = Attempt(fact, event.seq, event.time)
            return found
        if isinstance(fact, EffectResult) and fact.intent in self.all:
            found = replace(self.all[fact.intent], result=fact, result_seq=event.seq, ended=event.time)
            self.all[fact.intent] = found
            return found
        return None


def attempts(events: Iterable[Event], *, lenient: bool = False) -> list[Attempt]:
    """Every attempt of these events, in the order in which they began."""
    found = Attempts()
    for event in events:
        found.take(event, lenient=lenient)
    return list(found.all.values())


def latest(found: Iterable[Attempt]) -> list[Attempt]:
    """The latest attempt at each effect, in the order in which those began."""
    last = {attempt.intent.key: attempt for attempt in found}
    return sorted(last.values(), key=lambda attempt: attempt.seq)
