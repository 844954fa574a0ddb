"""Differences between two runs, step by step. Pure: it takes two sides and returns a value; callers print it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opsbook.core.model.differ import Change, changes_of, lines_of, named, normal, opened, without
from opsbook.core.record.side import Did, DiffInput
from opsbook.core.record.summary import reached

COUNTS = ("ok", "changed", "failed", "unreachable")
"""A host's counts in the result of a playbook."""

NOTABLE, SECONDS = 1.5, 1.0
"""Durations differ notably by at least this factor and at least these seconds."""


@dataclass(frozen=True)
class EffectDiff:
    """An effect that differs. `hosts` maps hosts to the counts that differ, as [before, after]."""

    key: str
    summary: str
    changes: tuple[Change, ...]
    hosts: dict[str, dict[str, list[int]]]


@dataclass(frozen=True)
class StepDiff:
    """One step. A status is None if the run did not reach the step; `ratio` is None unless it is notable."""

    step: str
    title: str
    section: str
    status: tuple[str | None, str | None]
    seconds: tuple[float | None, float | None]
    ratio: float | None
    output: tuple[str, ...]
    effects: tuple[EffectDiff, ...]

    @property
    def differs(self) -> bool:
        return self.status[0] != self.status[1] or bool(self.ratio or self.output or self.effects)


@dataclass(frozen=True)
class Diff:
    """Everything that differs between two runs. `source` is the unified diff of the page that ran."""

    run: str
    other: str
    outcome: tuple[str | None, str | None]
    reason: tuple[str, str]
    parameters: tuple[Change, ...]
    inputs: tuple[Change, ...]
    source: tuple[str, ...]
    steps: tuple[StepDiff, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs, apart from what always does."""
        plain = self.outcome[0] == self.outcome[1] and not (self.parameters or self.inputs or self.source)
        return plain and not any(step.differs for step in self.steps)


def compare(before: DiffInput, after: DiffInput) -> Diff:
    """Differences of `after` from `before`."""
    told = before.summary, after.summary
    return Diff(
        run=after.run,
        other=before.run,
        outcome=(told[0]["outcome"], told[1]["outcome"]),
        reason=(told[0]["reason"], told[1]["reason"]),
        parameters=tuple(changes_of(before.plan["parameters"], after.plan["parameters"])),
        inputs=tuple(_inputs(before.plan, after.plan)),
        source=lines_of(before.source, after.source),
        steps=tuple(_steps(before, after)),
    )


def _inputs(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    """Differences of what the plans rely on, without the page: its source is compared separately."""
    for name in ("secrets", "versions", "trees"):
        for change in changes_of(before[name], after[name]):
            if change.what != "runbook":
                yield change
    for name in ("hosts", "locks"):
        gone, new = set(before[name]) - set(after[name]), set(after[name]) - set(before[name])
        if gone or new:
            yield Change(name, sorted(gone), sorted(new))


def _steps(before: DiffInput, after: DiffInput) -> Iterator[StepDiff]:
    old = {step["step"]: step for step in reached(before.summary)}
    new = {step["step"]: step for step in reached(after.summary)}
    for name in {**new, **old}:
        a, b = old.get(name), new.get(name)
        known: dict[str, Any] = b or a or {}
        seconds = (a["seconds"] if a else None, b["seconds"] if b else None)
        yield StepDiff(
            step=name,
            title=known["title"],
            section=known["section"],
            status=(a["status"] if a else None, b["status"] if b else None),
            seconds=seconds,
            ratio=_ratio(*seconds),
            # If one run did not reach the step, its status is the only difference.
            output=lines_of(normal(before.outputs.get(name, "")), normal(after.outputs.get(name, "")))
            if a and b
            else (),
            effects=tuple(_effects(before, after, name)) if a and b else (),
        )


def _ratio(before: float | None, after: float | None) -> float | None:
    """The ratio of two durations, if it is notable."""
    if not before or not after or abs(after - before) < SECONDS:
        return None
    ratio = after / before
    return ratio if ratio >= NOTABLE or ratio <= 1 / NOTABLE else None


def _effects(before: DiffInput, after: DiffInput, step: str) -> Iterator[EffectDiff]:
    old = {key: did for key, did in before.effects.items() if did.step == step}
    new = {key: did for key, did in after.effects.items() if did.step == step}
    for key in {**new, **old}:
        a, b = old.get(key), new.get(key)
        known = b or a
        assert known is not None
        changes, hosts = _effect(a, b)
        if changes or hosts:
            yield EffectDiff(key, known.summary, tuple(changes), hosts)


def _effect(a: Did | None, b: Did | None) -> tuple[list[Change], dict[str, dict[str, list[int]]]]:
    if a is None or b is None:
        return [Change("status", a.status if a else None, b.status if b else None)], {}
    found = [Change("status", a.status, b.status)] if a.status != b.status else []
    found += changes_of(a.request, b.request, "request", named)
    asked = [(change.before, change.after) for change in found]
    names = {*a.ignore, *b.ignore}
    given = changes_of(_compared(a.result, names), _compared(b.result, names), "result", normal)
    # A result often repeats the request: report such a change once.
    found += [change for change in given if (change.before, change.after) not in asked]
    return found, _hosts(a.result, b.result)


def _compared(result: Any, names: set[str]) -> Any:
    """The result without its hosts, which are compared by their counts, and without ignored names."""
    plain = {name: value for name, value in result.items() if name != "hosts"} if isinstance(result, dict) else result
    return without(opened(plain), names) if names else plain


def _hosts(before: Any, after: Any) -> dict[str, dict[str, list[int]]]:
    old, new = _counts(before), _counts(after)
    found = {}
    for host in sorted({*old, *new}):
        a, b = old.get(host, {}), new.get(host, {})
        differ = {name: [a.get(name, 0), b.get(name, 0)] for name in COUNTS if a.get(name, 0) != b.get(name, 0)}
        if differ:
            found[host] = differ
    return found


def _counts(result: Any) -> dict[str, dict[str, int]]:
    hosts = result.get("hosts") if isinstance(result, dict) else None
    return (
        {host: counts for host, counts in hosts.items() if isinstance(counts, dict)} if isinstance(hosts, dict) else {}
    )


def unified(change: Change) -> tuple[str, ...]:
    """The unified diff of a changed multi-line text; empty for any other value."""
    a, b = change.before, change.after
    if isinstance(a, str) and isinstance(b, str) and "\n" in f"{a}{b}".strip():
        return lines_of(normal(a), normal(b))
    return ()
