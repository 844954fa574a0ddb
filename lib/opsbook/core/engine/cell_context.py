"""The cell that asks for an effect, and the messages for effects that differ from the journal or are unknown."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsbook.core.engine.recheck import Recheck
from opsbook.core.model.attempts import LOOK
from opsbook.core.model.differ import changes_of, told
from opsbook.core.model.effect import Effect, Status
from opsbook.core.model.past import Before, KnownEffect
from opsbook.core.model.person import Question
from opsbook.core.model.recording import Take
from opsbook.core.model.redact import Redactor
from opsbook.core.model.runbook import Role

UNKNOWN = "unknown"
"""Name of the question what to do about an effect with an unknown outcome."""

LOOK_FIRST, AGAIN, MARKED = "look", "again", "done"


@dataclass
class CellContext:
    """The running cell, and what the journal has of earlier attempts. `look` is set in a recheck."""

    step: str
    cell: str
    role: Role
    before: Before = field(default_factory=Before)
    look: Recheck | None = None
    counts: "Counter[str]" = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)


def asked(frame: Mapping[str, Any], place: CellContext, redactor: Redactor) -> Effect:
    """The effect that a cell asks for. Without a key of the cell, its key is its number among effects of its kind."""
    kind, order = str(frame["kind"]), frame.get("key")
    if order is None:
        place.counts[kind] += 1
        order = place.counts[kind]
    return Effect(
        kind=kind,
        key=f"{LOOK if place.look else ''}{place.cell}/{kind}/{order}",
        summary=redactor.text(str(frame["summary"])),
        changes=bool(frame["changes"]),
        idempotent=bool(frame.get("idempotent")),
        request=redactor.value(dict(frame["request"])),
        ignore=tuple(map(str, frame.get("ignore") or ())),
    )


def clash(effect: Effect, place: CellContext, others: Iterable[Effect], *, keyed: bool, once: bool) -> str:
    """Why the key of an effect is ambiguous in its cell. If it is not, note it. `once`: no key occurs twice."""
    if not keyed and any(each.kind == effect.kind for each in others):
        return f"effects that run at the same time need key=: {effect.summary}"
    if effect.key in place.keys and once:
        return f"{effect.summary}: this cell used the key {effect.key} before; give each effect its own"
    place.keys.add(effect.key)
    return ""


def played(take: Take, *, asks: bool) -> dict[str, Any]:
    """The gate's answer from a recording. With `asks`, a question is asked again, along with the recorded answer."""
    then = {"at": take.at, "seconds": take.seconds}
    if asks and take.status is Status.SUCCEEDED:
        nothing = {"folder": "", "without": [], "check": False}
        return {"do": "run", **nothing, "then": {**take.result, **then}}
    if take.status is Status.SUCCEEDED:
        return {"do": "value", "value": take.result, "then": then}
    return {"do": "fail", "why": take.why, "result": take.result, "then": then}


def other(known: KnownEffect, effect: Effect) -> str:
    """Why an effect is refused whose request differs from the journal. opsbook does not guess which one is meant."""
    asked = "; ".join(told(changes_of(known.effect.request, effect.request)))
    differs = asked or "the kind of effect, or whether it changes something"
    return f"{effect.summary} asks for something else than in the journal: {differs}"


def what_became(known: KnownEffect, *, again: bool) -> Question:
    """The question about an effect with an unknown outcome. `again`: the page has reached it, and can run it again."""
    way = "then run it again, or mark it as done?" if again else "is it as it should be?"
    text = f"{known.effect.summary}: nobody knows what it did. Look at its target; {way}"
    detail = f"It began and {known.why or 'never reported'}. `look` stops here; the run can be resumed again."
    return Question(UNKNOWN, "decide", text, (LOOK_FIRST, *([AGAIN] if again else []), MARKED), detail)
