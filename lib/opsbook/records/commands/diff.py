"""Compare a run with another, by default the last successful one before it in the same environment.

Times, run ids, temporary paths, durations, digests and uuids in outputs and results are ignored.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from opsbook.console import common
from opsbook.console.printed import clipped
from opsbook.core.model.differ import Change, named, narrowed, normal, shown
from opsbook.core.model.text import duration, one_line
from opsbook.core.record import side, step_timings, store
from opsbook.errors import InputError
from opsbook.records import compare
from opsbook.settings import Settings

_LONGEST = 60
"""Characters of a value."""

_WIDEST = 160
"""Characters of a line."""


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    record = store.find(settings.records, options.run)
    other = store.find(settings.records, options.other) if options.other else _last_good(settings, record)
    found = compare.compare(side.read(other), side.read(record))
    said = f"{found.run} against {found.other}{'' if options.other else ', the last good run before it'}"
    return common.tell(options, asdict(found) | {"same": found.same}, said, *_lines(found))


def _last_good(settings: Settings, record: store.Record) -> store.Record:
    told = record.summary()
    runbook, environment = told["runbook"] or store.runbook_of(record.id), told["environment"] or ""
    found = step_timings.last_good(settings.records, runbook, environment, record)
    if found is None:
        raise InputError(
            f"No run of {runbook} in {environment or 'that environment'} succeeded before {record.id}.",
            f"Name the run to compare with: opsbook records diff {record.id} OTHER; opsbook records list shows them.",
        )
    return store.find(settings.records, found)


def _lines(found: compare.Diff) -> Iterator[str]:
    if found.same:
        yield "  No difference, except times and names that always differ."
        return
    if found.outcome[0] != found.outcome[1]:
        yield f"  outcome: {found.outcome[0]} → {found.outcome[1]}"
        yield f"  {found.reason[1]}"
    for change in (*found.parameters, *found.inputs):
        yield from _indented("  ", _change(change))
    if found.source:
        yield "\nThe page itself"
        yield from _indented("  ", narrowed(found.source, _WIDEST))
    for step in found.steps:
        if step.differs:
            yield from _step(step)
    alike = sum(not step.differs for step in found.steps)
    yield f"\n{alike} of {len(found.steps)} steps did the same."


def _indented(by: str, lines: Sequence[str]) -> Iterator[str]:
    """Indent the lines, clipped for a terminal."""
    return (f"{by}{line}" for line in clipped("\n".join(lines)))


def _step(step: compare.StepDiff) -> Iterator[str]:
    before, after = step.status
    about = [after or "not there"] if before == after else [f"{before or 'not there'} → {after or 'not there'}"]
    if step.ratio:
        about.append(f"{duration(step.seconds[0])} → {duration(step.seconds[1])} ({step.ratio:.2g} ×)")
    yield f"\n{step.section} / {step.title}: {', '.join(about)}"
    if step.output:
        yield "  output"
        yield from _indented("    ", narrowed(step.output, _WIDEST))
    for effect in step.effects:
        yield f"  {effect.summary}"
        for change in effect.changes:
            yield from _indented("    ", _change(change))
        for host, counts in effect.hosts.items():
            yield f"    {host}: " + ", ".join(f"{name} {a} → {b}" for name, (a, b) in counts.items())


def _change(change: Change) -> list[str]:
    lines = narrowed(compare.unified(change), _WIDEST)
    if lines:
        return [f"{change.what}:", *(f"  {line}" for line in lines)]
    if change.what in ("hosts", "locks"):
        return [f"{change.what}: {' '.join([f'-{name}' for name in change.before] + [f'+{n}' for n in change.after])}"]
    if all(isinstance(value, str) and len(value) == 64 for value in (change.before, change.after)):
        return [f"{change.what}: changed"]
    return [f"{change.what}: {_shown(change)}"]


def _shown(change: Change) -> str:
    """Both values, shortened around the place where they differ."""
    if change.before is None or change.after is None:
        return " → ".join(
            "—" if each is None else one_line(str(each), _LONGEST) for each in (change.before, change.after)
        )
    # As they were compared.
    like = {"result": normal, "request": named}.get(change.what.partition(".")[0], str)
    where, before, after = shown(change, like, _LONGEST)
    return f"{where}: {before} → {after}" if where else f"{before} → {after}"
