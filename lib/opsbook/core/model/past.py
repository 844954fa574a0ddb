"""What a run did so far, and how effects are answered when a cell runs again.

The value grows event by event during a run; a resume builds it from the journal. ADR 11 has the rules.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from opsbook.core.model import events as kinds
from opsbook.core.model.attempts import Attempt, Attempts
from opsbook.core.model.effect import Effect, Mode, Status
from opsbook.core.model.event import Event
from opsbook.core.model.runbook import Role

_KEPT = frozenset({"value"})
"""Kinds that are always answered from the journal: a new value would change the run."""

_FAILED = ("failed", "timeout")
"""Statuses of a cell that failed by itself: it was not lost, cancelled or stopped."""

_BY_RUNNER = frozenset({"ask", "confirm", "secret", "note"})
"""Kinds that do not reach external systems."""


@dataclass(frozen=True)
class KnownEffect:
    """The latest attempt at one effect. `status` is None if it never reported; `intent` is its event number.

    `marked`: it succeeded, but its result is unknown: a person marked it as done, or the result was not kept whole.
    `ended` is the event number of its result.
    """

    effect: Effect
    digest: str
    cell: str
    keyed: bool
    intent: int
    status: Status | None = None
    result: Any = None
    why: str = ""
    marked: bool = False
    ended: int = 0

    @property
    def unknown(self) -> bool:
        """Whether its outcome is unknown, and it may have changed something."""
        return self.effect.changes and self.status in (None, Status.INTERRUPTED)


class Meets(StrEnum):
    """What the journal has of an effect that a cell asks for."""

    LIVE = "live"
    RESULT = "result"
    FAILURE = "failure"
    UNKNOWN = "unknown"
    OTHER = "other"
    ABSENT = "absent"


@dataclass
class Before:
    """What the journal has of a cell that is about to run. `status` is how its latest attempt ended, if it did.

    `kept`: the cell belongs to a skipped step. Its earlier effects are replayed, failures included; others never run.
    `anew`: later effects of this cell run again.
    """

    effects: dict[str, KnownEffect] = field(default_factory=dict)
    status: str | None = None
    kept: bool = False
    anew: bool = False

    def pass_by(self, effect: Effect, met: Meets) -> None:
        """Note the answer to an effect: after the first one that runs again, later ones of the cell run again too."""
        self.anew = self.anew or (met is Meets.LIVE and not self._rereads(effect))

    def look_up(self, effect: Effect, *, keyed: bool) -> tuple[Meets, KnownEffect | None]:
        """What the journal has of an effect. Changes nothing."""
        known = self.effects.get(effect.key)
        stays = keyed and (effect.changes or effect.kind in _KEPT)
        if known is not None and self.anew and not (stays or known.unknown):
            known = None
        met = self._met(effect, known)
        if self.kept and met not in (Meets.RESULT, Meets.FAILURE):
            return Meets.ABSENT, known
        return met, known

    def _met(self, effect: Effect, known: KnownEffect | None) -> Meets:
        if known is None or (known.status is Status.SUCCEEDED and not known.marked and self._rereads(effect)):
            return Meets.LIVE
        if known.unknown or known.status is Status.SUCCEEDED:
            answered = Meets.UNKNOWN if known.unknown else Meets.RESULT
            return answered if known.digest == effect.digest else Meets.OTHER
        return Meets.FAILURE if self.kept or self._was_handled(known) else Meets.LIVE

    def _was_handled(self, known: KnownEffect) -> bool:
        """Whether the cell handled the failure of an effect and continued. A cell that failed itself is retried."""
        if known.status is not Status.FAILED or self.status in _FAILED:
            return False
        behind = (other for other in self.effects.values() if not other.keyed and other.intent > known.ended)
        return self.status == "succeeded" or (not known.keyed and any(behind))

    def _rereads(self, effect: Effect) -> bool:
        """Whether an effect of a failed cell runs again: those that only read do; questions and values do not."""
        failed = self.status in _FAILED and not self.kept
        return failed and not effect.changes and effect.kind not in _KEPT | _BY_RUNNER


@dataclass(frozen=True)
class Stepped:
    """A step, as the journal has it. `status` is None if it has not ended."""

    status: str | None
    manual: bool
    role: str
    why: str = ""


class Past:
    """Effects, cells and steps of a run so far."""

    def __init__(self, mode: str = "") -> None:
        self.effects: dict[str, KnownEffect] = {}
        self.steps: dict[str, Stepped] = {}
        self.without: set[str] = set()
        self.undoing = False
        self.operator = ""
        self.mode = mode
        self.last = ""
        self._cells: dict[str, str | None] = {}
        self._intents: dict[int, str] = {}
        self._attempts = Attempts()
        self._changed = False

    # -- growing

    @classmethod
    def of(cls, events: Iterable[Event], whole: Callable[[kinds.EffectResult], Any] | None = None) -> "Past":
        """What the events of a journal say; `whole` gives the whole result for the end of an effect."""
        past = cls()
        for event in events:
            past.take(event)
            if whole is not None and isinstance(ended := kinds.read(event), kinds.EffectResult):
                past.give(ended.intent, whole(ended))
        return past

    def take(self, event: Event) -> None:
        """Take the next event of the run. Raises InputError for an invalid one."""
        self.last = event.time
        if attempt := self._attempts.take(event):
            if attempt.result is None:
                self._intent(attempt)
            else:
                self._result(attempt, attempt.result)
            return
        match kinds.read(event):
            case kinds.RunStarted(operator=operator, mode=mode):
                self.operator, self.mode = operator, mode
            case kinds.RunResumed(anew=anew):
                self.forget(set(anew))
            case kinds.RollbackStarted():
                self.undoing = True
            case kinds.CellStarted(cell=cell, replay=False):
                self._cells[cell] = None
            case kinds.CellFinished(cell=cell, status=status, replay=False):
                self._cells[cell] = status
            case kinds.StepStarted(replay=False) as begun:
                self.steps[begun.step] = Stepped(None, begun.manual, begun.role)
            case kinds.StepFinished(replay=False) as ended if ended.step in self.steps:
                self._step_ended(ended)

    def give(self, intent: int, result: Any) -> None:
        """Set the full result of an effect: its event may have only a part, or a redacted form."""
        key = self._intents.get(intent)
        if key is not None:
            self.effects[key] = replace(self.effects[key], result=result)

    def locate(self, key: str, where: str) -> None:
        """Add to an effect that never reported where it was when it was lost."""
        self.effects[key] = replace(self.effects[key], why=f"never reported; {where}")

    def forget(self, steps: set[str]) -> None:
        """Let these steps run again from their beginning. Their start and their unknown effects are kept."""
        for key in [key for key, known in self.effects.items() if _step(known.cell) in steps]:
            if not self.effects[key].unknown:
                self._drop(key)
        for cell in [cell for cell in self._cells if _step(cell) in steps]:
            self._cells[cell] = None
        for step in steps & set(self.steps):
            self.steps[step] = replace(self.steps[step], status=None)

    def _intent(self, attempt: Attempt) -> None:
        intent, key, cell = attempt.intent, attempt.intent.key, attempt.cell
        if intent.anew and not intent.keyed:
            self._drop_behind(cell, key)
        request = dict(intent.request)
        effect = Effect(intent.kind, key, intent.summary, intent.changes, intent.idempotent, request)
        if key in self.effects:
            self._drop(key)
        self.effects[key] = KnownEffect(effect, intent.digest, cell, intent.keyed, attempt.seq)
        self._intents[attempt.seq] = key

    def _drop_behind(self, cell: str, key: str) -> None:
        """Drop an effect that runs again, and later effects of the earlier attempt at its cell."""
        names = [name for name, known in self.effects.items() if known.cell == cell and not known.keyed]
        for name in names[names.index(key) :] if key in names else []:
            if name == key or not self.effects[name].unknown:
                self._drop(name)

    def _drop(self, key: str) -> None:
        """Drop an effect; keep that it may have changed something."""
        known = self.effects.pop(key)
        self._changed = self._changed or known.unknown

    def _result(self, attempt: Attempt, ended: kinds.EffectResult) -> None:
        key = attempt.intent.key
        if key not in self.effects:
            return
        result, known = ended.result, self.effects[key]
        untouched = isinstance(result, dict) and result.get("changed") is False
        self._changed = self._changed or (known.effect.changes and not untouched)
        self.effects[key] = replace(
            known,
            status=Status(ended.status),
            result=result,
            why=ended.why,
            marked=bool(ended.marked or ended.lost),
            ended=attempt.result_seq,
        )
        self.without.update(ended.left_out)

    def _step_ended(self, event: kinds.StepFinished) -> None:
        ended = replace(self.steps[event.step], status=event.status, why=event.why)
        self.steps[event.step] = ended
        # Only the person knows whether a manual step changed anything: assume that it did.
        by_hand = ended.manual and ended.role == Role.CHANGE and ended.status not in ("skipped", "waiting")
        self._changed = self._changed or by_hand

    # -- queries

    @property
    def changed(self) -> bool:
        """Whether the run has changed anything, or may have."""
        if self.mode == Mode.CHECK:
            return False
        by_hand = any(s.manual and s.role == Role.CHANGE and s.status is None for s in self.steps.values())
        return self._changed or by_hand or any(known.unknown for known in self.effects.values())

    def begun(self, step: str) -> bool:
        """Whether the step began."""
        return step in self.steps

    def finished(self, step: str) -> bool:
        """Whether the step is finished: it succeeded, or was skipped."""
        return step in self.steps and self.steps[step].status in ("succeeded", "skipped")

    def unsettled(self, cells: Collection[str] | None = None) -> list[KnownEffect]:
        """Effects with an unknown outcome, of these cells or of all, except those of skipped steps.

        During a rollback, only its own effects count: it undoes the others.
        """
        found = [known for known in self.effects.values() if known.unknown and not self._kept(known.cell)]
        if cells is not None:
            return [known for known in found if known.cell in cells]
        return [known for known in found if not self.undoing or self._undoes(known.cell)]

    def _undoes(self, cell: str) -> bool:
        step = self.steps.get(_step(cell))
        return step is not None and step.role == Role.UNDO

    def replays(self, cell: str) -> bool:
        """Whether a cell is only replayed: it succeeded, or belongs to a skipped step."""
        return self._cells.get(cell) == "succeeded" or self._kept(cell)

    def _kept(self, cell: str) -> bool:
        step = self.steps.get(_step(cell))
        return step is not None and step.status == "skipped"

    def knows(self, cell: str) -> bool:
        """Whether a cell with this id ran."""
        return cell in self._cells

    def before(self, cell: str) -> Before:
        """What the journal has of a cell."""
        effects = {key: known for key, known in self.effects.items() if known.cell == cell}
        return Before(effects, self._cells.get(cell), self._kept(cell))


def _step(cell: str) -> str:
    """The step of a cell: `unpack/1` -> `unpack`."""
    return cell.rpartition("/")[0]
