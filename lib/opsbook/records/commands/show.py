"""Show what a run did: its steps, effects and questions; with options also output, tasks, diffs, or a run that goes on.

Without --output, --tasks and --diff, --json has all three. With --follow it prints one event a line.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from opsbook.console import common, story, view
from opsbook.console.text import hanging, json_text, say, say_text
from opsbook.core.model import events as kinds
from opsbook.core.model.lines import overwritten
from opsbook.core.model.text import duration, nearest, one_line, quoted
from opsbook.core.record import step_timings, store, streams
from opsbook.errors import InputError
from opsbook.operate import watching
from opsbook.records import retention
from opsbook.records.details import Details, Focus, Item, Wanted
from opsbook.settings import Settings

_CHANGED = {True: "yes", False: "no", None: "unknown"}
_LONGEST = 200
"""Characters of a reason in a table."""

_STATES = {
    "running": "It still runs: opsbook records show {run} --follow",
    "lost": "Its process was killed, or its machine went down: opsbook resume {run}",
}


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    record = store.find(settings.records, options.run)
    wanted = Wanted(options.output, options.tasks, options.diff, options.step or "")
    # An unknown step would show nothing, with --follow until the end.
    told = _told(settings.records, record, wanted.step)
    if options.follow:
        return _follow(settings, record, wanted, as_json=options.json)
    if options.json and not wanted.any:
        wanted = replace(wanted, output=True, tasks=True, diff=True)
    pieces = Details(record, wanted).all(event for event, _ in store.chain(record.folder))
    if options.json:
        return _json(told, pieces)
    _story(told, record)
    shown = _Pieces()
    for piece in pieces if wanted.any else ():
        shown.show(piece)
    if shown.damaged:
        return 1
    say("", f"record: {record.folder}")
    return 0


def _told(records: Path, record: store.Record, step: str) -> dict[str, Any]:
    """The summary of a record, or its part about one step. Raises InputError if there is no such step."""
    held = _held(records, record.id)
    told = record.summary() | {
        "folder": str(record.folder),
        "state": record.state,
        "held": asdict(held) if held else None,
    }
    if not step:
        return told
    known = [each["step"] for each in told["steps"]]
    if step not in known:
        raise InputError(f"{record.id} has no step {step}. {nearest(step, known)}", f"Steps: {', '.join(known)}.")
    parts = {name: [each for each in told.get(name) or () if each.get("step") == step] for name in _PARTS}
    unknown = [each["summary"] for each in parts["effects"] if each["summary"] in told["unknown"]]
    return told | parts | {"unknown": unknown, "check": None}


_PARTS = ("steps", "effects", "questions")


def _held(records: Path, run: str) -> retention.Hold | None:
    """The hold on the record, if any. An unreadable list of holds must not hide what a run did."""
    try:
        return retention.holds(records).get(run)
    except InputError:
        return None


# -- the story


def _story(told: dict[str, Any], record: store.Record) -> None:
    for line in _head(told, record):
        say(line)
    say()
    steps = [(f"{s['section']} / {s['title']}", s["status"], duration(s["seconds"])) for s in told["steps"]]
    if steps:
        common.table(("STEP", "STATUS", "TOOK"), steps)
    _effects(told, record)
    if told.get("questions"):
        say()
        rows = [(each["name"], _answer(each), each["by"] or "—") for each in told["questions"]]
        common.table(("QUESTION", "ANSWER", "BY"), rows)
    for line in story.would(told.get("check") or {}):
        say(line)


def _head(told: dict[str, Any], record: store.Record) -> Iterator[str]:
    yield f"{quoted(told['title'] or record.id)} in {told['environment'] or '—'}: {told['outcome']}"
    yield from (f"  {each}" for each in hanging(told["reason"]))
    by = ", then ".join(map(quoted, told.get("operators") or [told["operator"] or "—"]))
    yield f"  {record.id} by {by}, {common.local(told['started'])} to {common.local(told['ended'])}"
    if told.get("commit"):
        yield f"  from commit {told['commit']}"
    if record.state in _STATES:
        yield f"  {_STATES[record.state].format(run=record.id)}"
    if record.folder.parent.name == store.QUARANTINE:
        yield "  In quarantine, because a secret is in it: opsbook records scan says where."
    if held := told["held"]:
        yield f"  held by {quoted(held['by'])} since {common.local(held['since'])}: {held['reason']}"
    if told.get("emergency"):
        yield f"  EMERGENCY: {told['emergency']}"
    if told.get("not_promoted"):
        yield from (f"  {each}" for each in hanging(f"not promoted: {told['not_promoted']}"))
    yield from (f"  {story.promoted(each)}" for each in told.get("promotion") or ())
    if told.get("approved_by"):
        yield f"  approved by {', '.join(map(quoted, told['approved_by']))}"
    yield from (f"  label {quoted(name)}={quoted(value)}" for name, value in (told.get("labels") or {}).items())
    yield from (f"  {quoted(name)}={quoted(value)}" for name, value in (told["parameters"] or {}).items())


def _answer(question: dict[str, Any]) -> str:
    if question["value"] is None:
        return "(none)"
    return str(question["value"]) + (f": {question['note']}" if question["note"] else "")


def _effects(told: dict[str, Any], record: store.Record) -> None:
    changing = [effect for effect in told["effects"] if effect["changes"]]
    if changing:
        say()
        titles = {step["step"]: step["title"] for step in told["steps"]}
        rows = [(e["summary"], titles.get(e["step"], e["step"]), e["status"], _CHANGED[e["changed"]]) for e in changing]
        common.table(("EFFECT THAT MAY CHANGE", "IN STEP", "STATUS", "CHANGED SOMETHING"), rows)
    if told["unknown"]:
        say("", "Unknown, because it was stopped half-way: look before you go on")
        for effect in changing:
            if effect["status"] in ("unknown", "interrupted"):
                say(f"  {': '.join(filter(None, (effect['summary'], _where(effect, record))))}")
    if told["gaps"]:
        say("", f"{told['gaps']} messages of output were lost on the way and are not in this record.")


def _where(effect: dict[str, Any], record: store.Record) -> str:
    """Where an unknown effect was when it was stopped. A damaged stream says nothing."""
    if effect.get("why") or "intent" not in effect:
        return str(effect.get("why") or "")
    try:
        return streams.where(record, effect["intent"], effect["kind"])
    except InputError:
        return ""


# -- the pieces


def _json(told: dict[str, Any], pieces: Iterable[Item]) -> int:
    """One document; its last key, `details`, is written piece by piece."""
    say_text(json_text(told, indent=2).removesuffix("\n}") + ',\n  "details": [', end="")
    code, separator = 0, "\n"
    for piece in pieces:
        say_text(f"{separator}    {json_text(piece)}", end="")
        code, separator = (1 if piece["kind"] == "damaged" else code), ",\n"
    say("", "  ]", "}")
    return code


class _Pieces:
    """Prints pieces; a heading says where each belongs, once."""

    def __init__(self) -> None:
        self.damaged = False
        self._heads = ("", "", "")
        self._line_ended = True

    def show(self, piece: Item) -> None:
        if piece["kind"] == "output":
            self._head(piece, "output", "")
            say_text(overwritten(piece["text"]), end="")
            self._line_ended = piece["text"].endswith("\n")
            return
        self._end_line()
        match piece["kind"]:
            case "task":
                self._head(piece, "tasks", f"{piece['task']} ({piece['place']})")
                took = duration(piece["seconds"]) if piece["seconds"] is not None else ""
                say_text(f"    {piece['state']:<12}{piece['host']}  {took}".rstrip())
                changed = (f"changed {path}" for path in piece["files"])
                for text in filter(None, (piece["message"], *piece["said"], *changed)):
                    say_text("\n".join(f"      {line}" for line in text.split("\n")))
            case "diff":
                self._head(piece, "diff", "")
                say(f"  {piece['host']}: {piece['task']}")
                say_text("\n".join(f"    {line}" for line in piece["text"].split("\n")))
            case "attachment":
                say(f"  attached: {piece['text']}")
            case _:
                self.damaged = True
                say(f"  {piece['text']} opsbook records verify names every file that is not as it was sealed.")

    def _head(self, piece: Item, kind: str, task: str) -> None:
        title = piece.get("title") or "Before the first step, or between steps"
        heads = (f"{title}: {piece['effect']}" if piece.get("effect") else title, kind, task)
        if heads[:2] != self._heads[:2]:
            self._end_line()
            say("", f"{heads[0]}: {kind}")
        if task and heads != self._heads:
            say(f"  {task}")
        self._heads = heads

    def _end_line(self) -> None:
        if not self._line_ended:
            say()
        self._line_ended = True


# -- a run that goes on


def _follow(settings: Settings, record: store.Record, wanted: Wanted, *, as_json: bool) -> int:
    watched = watching.Watched(settings, record)
    if wanted.any and not as_json:
        return _follow_pieces(watched, Details(record, wanted))
    shown, focus = view.choose(terminal=sys.stdout.isatty(), as_json=as_json), Focus(wanted.step)
    plan = record.plan()
    try:
        shown.start(record.id, plan, step_timings.seconds(settings.records, plan.runbook, plan.environment))
        for event in watched.until_over():
            if focus.sees(event):
                shown.event(event)
    finally:
        shown.close()
    shown.finish(watched.finished(), settings)
    return 0


def _follow_pieces(watched: watching.Watched, details: Details) -> int:
    shown = _Pieces()
    for event in watched.until_over():
        for piece in details.take(event):
            shown.show(piece)
        if isinstance(ended := kinds.read(event, lenient=True), kinds.StepFinished):
            why = f": {one_line(ended.why, _LONGEST)}" if ended.why else ""
            say("", f"{ended.step} {ended.status} in {duration(ended.seconds)}{why}")
    for piece in details.left():
        shown.show(piece)
    ending = watched.finished().ending
    say("", f"{str(ending.outcome).upper()} in {duration(ending.seconds)}: {ending.reason}")
    return 1 if shown.damaged else 0
