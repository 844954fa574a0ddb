"""What runs left behind: list them, show one, verify that nobody changed it since."""

import argparse
from dataclasses import asdict
from typing import Any

from opsbook.cli import common
from opsbook.cli.text import say
from opsbook.errors import InputError
from opsbook.model.event import Outcome
from opsbook.model.text import duration, nearest
from opsbook.record import seal, store
from opsbook.settings import Settings

_OUTCOMES = (*map(str, Outcome), "running", store.DAMAGED)
_CHANGED = {True: "yes", False: "no", None: "unknown"}


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", required=True, metavar="list|show|verify")
    listing = commands.add_parser("list", help="newest first")
    listing.add_argument("--runbook", help="only runs of this runbook")
    listing.add_argument("--outcome", help="only this outcome, such as failed or lost")
    listing.add_argument("--limit", type=int, default=20, help="at most so many (20)")
    show = commands.add_parser("show", help="what a run did, step by step")
    verify = commands.add_parser("verify", help="compare every file with the seal")
    show.add_argument("run", help="an id, its beginning, or last")
    verify.add_argument("run", nargs="?", help="an id, its beginning, or last")
    verify.add_argument("--all", action="store_true", help="every record")
    for command in (listing, show, verify):
        common.add_json(command)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    return {"list": _list, "show": _show, "verify": _verify}[options.what](settings, options)


def _list(settings: Settings, options: argparse.Namespace) -> int:
    _check_filter(options)
    rows = []
    for record in store.records(settings.records):
        told = record.glance()
        if options.runbook in (None, told["runbook"]) and options.outcome in (None, told["outcome"]):
            rows.append(told | {"run": record.id})
        if len(rows) == options.limit:
            break
    if options.json:
        common.print_json(rows)
    elif rows:
        columns = ("RUN", "ENVIRONMENT", "OUTCOME", "TOOK", "STARTED", "BY")
        common.table(columns, [_row(told) for told in rows])
    elif options.runbook or options.outcome:
        say("No record fits. opsbook records list without options shows the newest.")
    else:
        say("No run has left a record here yet. Start one: opsbook list, then opsbook run NAME -e ENV.")
    return 0


def _check_filter(options: argparse.Namespace) -> None:
    if options.limit < 1:
        raise InputError(f"--limit {options.limit} would show nothing.", "Give a number from 1 on.")
    if options.outcome is not None and options.outcome not in _OUTCOMES:
        raise InputError(f"There is no outcome {options.outcome}.", nearest(options.outcome, _OUTCOMES))


def _row(told: dict[str, Any]) -> tuple[object, ...]:
    took = duration(told["seconds"]) if told["seconds"] is not None else "—"
    return (
        told["run"],
        told["environment"] or "—",
        told["outcome"],
        took,
        common.local(told["started"]),
        told["operator"] or "—",
    )


def _show(settings: Settings, options: argparse.Namespace) -> int:
    record = store.find(settings.records, options.run)
    told = record.summary() | {"folder": str(record.folder), "state": record.state}
    if options.json:
        common.print_json(told)
        return 0
    say(f"{told['title'] or record.id} in {told['environment'] or '—'}: {told['outcome']}")
    say(f"  {told['reason']}")
    say(f"  {record.id} by {told['operator'] or '—'}, {common.local(told['started'])} to {common.local(told['ended'])}")
    for name, value in (told["parameters"] or {}).items():
        say(f"  {name}={value}")
    say()
    common.table(("STEP", "STATUS", "TOOK"), [_step_row(step) for step in told["steps"]])
    _effects(told)
    say(f"\nrecord: {record.folder}")
    return 0


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


def _verify(settings: Settings, options: argparse.Namespace) -> int:
    if not options.all and options.run is None:
        raise InputError("Which record?", "opsbook records verify RUN, or --all.")
    chosen = list(store.records(settings.records)) if options.all else [store.find(settings.records, options.run)]
    found = {record.id: seal.verify(record.folder) for record in chosen if record.state != "running"}
    bad = {run: flaws for run, flaws in found.items() if flaws}
    if options.json:
        common.print_json({run: [asdict(flaw) for flaw in flaws] for run, flaws in found.items()})
        return 1 if bad else 0
    for run, flaws in bad.items():
        for flaw in flaws:
            event = f", event {flaw.event}" if flaw.event else ""
            say(f"{run}: {flaw.file}{event}: {flaw.message}")
    say(f"{len(found) - len(bad)} records are as they were sealed (seals are not signed), {len(bad)} are not")
    return 1 if bad else 0
