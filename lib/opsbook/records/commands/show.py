"""Show what a run did, step by step."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from opsbook.console import common, story
from opsbook.console.text import say
from opsbook.core.model.text import duration
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.records import retention

_CHANGED = {True: "yes", False: "no", None: "unknown"}


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    records = common.project(options).records
    record = store.find(records, options.run)
    held = _held(records, record.id)
    told = record.summary() | {
        "folder": str(record.folder),
        "state": record.state,
        "held": asdict(held) if held else None,
    }
    if options.json:
        common.print_json(told)
        return 0
    say(f"{told['title'] or record.id} in {told['environment'] or '—'}: {told['outcome']}")
    say(f"  {told['reason']}")
    by = ", then ".join(told.get("operators") or [told["operator"] or "—"])
    say(f"  {record.id} by {by}, {common.local(told['started'])} to {common.local(told['ended'])}")
    if held:
        say(f"  held by {held.by} since {common.local(held.since)}: {held.reason}")
    if told.get("emergency"):
        say(f"  EMERGENCY: {told['emergency']}")
    if told.get("approved_by"):
        say(f"  approved by {', '.join(told['approved_by'])}")
    for name, value in (told.get("labels") or {}).items():
        say(f"  label {name}={value}")
    for name, value in (told["parameters"] or {}).items():
        say(f"  {name}={value}")
    say()
    common.table(("STEP", "STATUS", "TOOK"), [_step_row(step) for step in told["steps"]])
    _effects(told)
    for line in story.would(told.get("check") or {}):
        say(line)
    say(f"\nrecord: {record.folder}")
    return 0


def _held(records: Path, run: str) -> retention.Hold | None:
    """The hold on the record, if any. An unreadable list of holds must not hide what a run did."""
    try:
        return retention.holds(records).get(run)
    except InputError:
        return None


def _step_row(step: dict[str, Any]) -> tuple[object, ...]:
    took = duration(step["seconds"]) if step["seconds"] is not None else "—"
    return f"{step['section']} / {step['title']}", step["status"], took


def _effects(told: dict[str, Any]) -> None:
    changing = [effect for effect in told["effects"] if effect["changes"]]
    if changing:
        say()
        titles = {step["step"]: step["title"] for step in told["steps"]}
        rows = [(e["summary"], titles.get(e["step"], e["step"]), e["status"], _CHANGED[e["changed"]]) for e in changing]
        common.table(("EFFECT THAT MAY CHANGE", "IN STEP", "STATUS", "CHANGED SOMETHING"), rows)
    if told["unknown"]:
        say("\nUnknown, because it was stopped half-way: look before you go on")
        for summary in told["unknown"]:
            say(f"  {summary}")
    if told["gaps"]:
        say(f"\n{told['gaps']} messages of output were lost on the way and are not in this record.")
