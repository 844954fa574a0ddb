"""A recording: the effects of a run and their results, small enough to review (ADR 18).

In a test or a trainee's replay, it stands in for external systems. Equal effects get the recorded results, in order;
an effect that was not recorded gets none, and nothing is guessed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from opsbook.core.model.differ import changes_of, told
from opsbook.core.model.effect import Effect, Status
from opsbook.core.model.outcome import NOT_REACHED
from opsbook.core.model.plan import Plan

PROJECT = "⟦project⟧"
"""Stands in a recording for the project's folder, which differs on every machine."""

NOWHERE = "session"
"""Stands for the cell if a notebook does not say which one runs."""


@dataclass(frozen=True)
class Take:
    """One attempt at an effect. `at` is when it began (UTC, ISO 8601), `seconds` how long it took."""

    key: str
    kind: str
    summary: str
    changes: bool
    step: str
    request: dict[str, Any]
    status: Status
    at: str
    seconds: float
    result: Any = None
    why: str = ""

    @property
    def digest(self) -> str:
        return Effect(self.kind, self.key, self.summary, self.changes, request=self.request).digest


@dataclass(frozen=True)
class Reply:
    """An answer to a question of opsbook itself: about a manual step, or what to do about a failure."""

    name: str
    value: str
    by: str
    at: str
    note: str = ""


@dataclass(frozen=True)
class RecordedStep:
    """How a step ended."""

    step: str
    status: str


@dataclass(frozen=True)
class Recording:
    """One run. `context` is what its cells saw as `here`; `playbooks` are the SHA-256 of the files of its playbooks, by
    path below playbooks/; `present`: a person was there to be asked.
    """

    format: Literal[1]
    runbook: str
    run: str
    recorded: str
    opsbook: str
    plan: Plan
    context: dict[str, Any]
    present: bool
    outcome: str
    steps: tuple[RecordedStep, ...]
    replies: tuple[Reply, ...]
    takes: tuple[Take, ...]
    playbooks: dict[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets that the run used."""
        asked = {str(take.request.get("name")) for take in self.takes if take.kind == "secret"}
        return tuple(sorted({*asked, *self.plan.secrets}))

    def missing(self, steps: Mapping[str, str]) -> list[str]:
        """Sentences on steps that ended differently. `steps` are the current statuses, by step."""
        then = {each.step: each.status for each in self.steps}
        names = [*then, *(name for name in steps if name not in then)]
        return [
            f"step {name}: {then.get(name, NOT_REACHED)} in the recording, {steps.get(name, NOT_REACHED)} now"
            for name in names
            if then.get(name, NOT_REACHED) != steps.get(name, NOT_REACHED)
        ]


class Tape:
    """Plays takes back, by key. A run is `strict`: each take is played once. In a session, cells run in any order and
    more than once; if it does not say which cell runs, the request identifies the take. `asks`: questions are asked
    again.
    """

    def __init__(self, takes: Iterable[Take], *, strict: bool, asks: bool = False) -> None:
        self.asks = asks
        self._takes = tuple(takes)
        self._strict = strict
        self._played: set[int] = set()
        self._found: dict[str, list[int]] = defaultdict(list)
        for number, take in enumerate(self._takes):
            for name in (take.key, take.digest):
                self._found[name].append(number)

    def play(self, effect: Effect) -> tuple[Take | None, str]:
        """The take that answers an effect, or why there is none."""
        numbers = self._found.get(effect.key) or (None if self._strict else self._found.get(effect.digest)) or []
        open_ = [number for number in numbers if number not in self._played]
        if not numbers or (self._strict and not open_):
            return None, self._why_missing(effect, again=bool(numbers))
        number = open_[0] if open_ else numbers[-1]
        take = self._takes[number]
        if take.digest != effect.digest:
            return None, _differs(take, effect)
        self._played.add(number)
        return take, ""

    def left(self) -> list[Take]:
        """Takes that were never asked for."""
        return [take for number, take in enumerate(self._takes) if number not in self._played]

    def _why_missing(self, effect: Effect, *, again: bool) -> str:
        if again:
            return f"{effect.summary} is asked for once more than in the recording"
        nearest = next((take for take in self.left() if take.kind == effect.kind), None)
        placed = not effect.key.startswith(f"{NOWHERE}/")
        if self._strict or placed or nearest is None:
            return f"{effect.summary} is not in the recording"
        return _differs(nearest, effect)


def _differs(take: Take, effect: Effect) -> str:
    lines = list(told(changes_of(take.request, effect.request)))
    if take.kind != effect.kind:
        lines = [f"kind of effect: {take.kind} -> {effect.kind}"]
    elif take.changes != effect.changes:
        lines.append(f"changes: {take.changes} -> {effect.changes}")
    return "\n  ".join([f"{effect.summary} asks for something else than in the recording:", *lines])
