"""Attempts at effects: the only module that pairs intents with results in the journal."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from opsbook.core.model.event import Event
from opsbook.core.model.events import EffectIntent, EffectResult, read

LOOK = "look:"
"""Prefix of the keys of effects in a recheck."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at an effect: number and time of its intent, and of its result if it has one.

    A later result replaces an earlier one: a person marked the effect as done.
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
        """The cell that it belongs to; journals of format 1 have it only in the key."""
        return self.intent.cell or self.intent.key.rsplit("/", 2)[0]


class Attempts:
    """The attempts of a run so far, by the numbers of their intents. Effects of a recheck do not count."""

    def __init__(self) -> None:
        self.all: dict[int, Attempt] = {}

    def take(self, event: Event, *, lenient: bool = False) -> Attempt | None:
        """The attempt that an event begins or ends; None for other events."""
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
    """Every attempt in these events, by start."""
    found = Attempts()
    for event in events:
        found.take(event, lenient=lenient)
    return list(found.all.values())


def latest(found: Iterable[Attempt]) -> list[Attempt]:
    """The latest attempt at each effect, by start."""
    last = {attempt.intent.key: attempt for attempt in found}
    return sorted(last.values(), key=lambda attempt: attempt.seq)
