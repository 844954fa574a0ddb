"""End a drill: roll back its fault if nobody mended it, and show the result.

Its training record is written to records/training/.
"""

import argparse
import re
import sys
import time
from contextlib import suppress
from dataclasses import asdict

from opsbook.console import common
from opsbook.console.person import Nobody
from opsbook.console.text import say
from opsbook.core.engine import engine
from opsbook.core.model.options import RunOptions
from opsbook.core.model.text import duration, number_of
from opsbook.errors import Fault, InputError
from opsbook.operate import resuming, run_record, run_requests, running
from opsbook.operate.commands import run_command
from opsbook.settings import Settings
from opsbook.training import drill_clock, drilling, drills
from opsbook.training.training import Drilled, Feedback

_LOOK, _PATIENCE = 0.2, 120.0
"""Seconds between two checks whether its run has ended, and seconds after which it gives up."""

_URGENTLY = 2
"""Stop requests to send: the second one interrupts an effect that waits, which may take minutes."""

_FEEDBACK = re.compile(r"([1-5])\b[ .:,-]*(.*)", re.DOTALL)


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser, nargs="?")
    parser.add_argument("--feedback", metavar="TEXT", help="how it was: 1 (bad) to 5 (good), and a sentence")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    feedback = _feedback(options.feedback) if options.feedback is not None else None
    now = _ended(settings, drill_clock.progress_of(settings, options.run))
    if now.broken:
        _undo(settings, now.run, quiet=options.json)
    if now.started is None:
        return _never_began(now, as_json=options.json)
    if feedback is None and run_command.on_terminal(options):
        feedback = _asked()
    drilled = drilling.finish(settings, now.run, feedback)
    if options.json:
        common.print_json({**asdict(drilled), "passed": drilled.passed, "points": drilled.points})
    else:
        _show(drilled, drills.told(drills.drill(settings, drilled.drill), "Fault"))
    return 0 if drilled.passed else 1


def _never_began(now: drill_clock.DrillProgress, *, as_json: bool) -> int:
    """Report a drill whose fault never showed: it is not judged."""
    if as_json:
        common.print_json({"run": now.run, "passed": False, "points": 0, "began": False})
    else:
        say(f"{now.drill}: its fault never showed, so it was no drill. opsbook records show {now.run} says why.")
    return 1


def _feedback(text: str) -> Feedback:
    match = _FEEDBACK.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} does not begin with a number from 1 to 5.", 'Write it so: --feedback "4 Good."')
    return Feedback(int(match[1]), match[2].strip())


def _asked() -> Feedback | None:
    """Ask for feedback: one key and a sentence; None if there is no answer."""
    say("How was it? 1 (bad) to 5 (good), and a sentence; Enter for nothing: ", end="")
    try:
        line = sys.stdin.readline().strip()
        return _feedback(line) if line else None
    except InputError as error:
        say(error.message)
        return _asked()


def _ended(settings: Settings, now: drill_clock.DrillProgress) -> drill_clock.DrillProgress:
    """Stop the drill's run and wait for its end; the drill's progress."""
    for _ in range(_URGENTLY if now.goes_on else 0):
        # The run may end by itself in between.
        with suppress(InputError):
            run_requests.send(settings, now.run, {"kind": "cancel"})
        time.sleep(_LOOK)
    deadline = time.monotonic() + _PATIENCE
    while now.goes_on:
        if time.monotonic() > deadline:
            raise Fault(f"{now.run} does not end.", f"Watch it: opsbook attach {now.run}; then stop the drill again.")
        time.sleep(_LOOK)
        now = drill_clock.progress_of(settings, now.run)
    return now


def _undo(settings: Settings, run: str, *, quiet: bool) -> None:
    found = resuming.stopped(settings, run)
    wanted = RunOptions(answers={engine.ACCEPT: "yes"})

    def work(audience: running.Audience) -> run_record.Finished:
        return resuming.rollback(settings, found, wanted, {}, audience)

    if quiet:
        code = int(work(running.Audience(Nobody(), lambda *_: lambda _: None)).ending.exit_code)
    else:
        say("What the drill broke is put right:")
        code = run_command.carry(argparse.Namespace(detach=False, json=False, quiet=False), settings, work)
    if code:
        hint = f"opsbook records show {run} says why; then opsbook rollback {run}, and opsbook drill stop {run}."
        raise Fault("What the drill broke could not be put right.", hint)


def _show(drilled: Drilled, fault: str) -> None:
    if drilled.mended is None:
        say(f"{drilled.drill}: not mended. {drilled.person} has no points.")
    else:
        say(f"{drilled.drill}: mended in {duration(drilled.mended)}, par {duration(drilled.par)}.")
        named = "never named what mends it" if drilled.diagnosed is None else f"found in {duration(drilled.diagnosed)}"
        wrong = number_of(len(drilled.wrong), "wrong change")
        say(f"  {named}; {number_of(drilled.hints, 'hint')}, {wrong}")
        say(f"  {drilled.points} of 100 points for {drilled.person}")
        say(f"  Somebody else signs it off: opsbook training sign-off {drilled.run} --note TEXT")
    say("", f"What it was: {fault}")
