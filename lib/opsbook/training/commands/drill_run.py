"""Begin a drill, and end it."""

import argparse
import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial

from opsbook.console import common, inputs
from opsbook.console.person import Nobody
from opsbook.console.text import say, say_text
from opsbook.core.engine import engine
from opsbook.core.model.planned import RunOptions
from opsbook.core.model.text import duration, number_of
from opsbook.core.planning import drafts
from opsbook.errors import Fault, InputError, Refused
from opsbook.operate import resuming, run_requests, running
from opsbook.operate.commands import run_command
from opsbook.settings import Settings
from opsbook.training import drills
from opsbook.training.commands.drill import shown
from opsbook.training.trained import Drilled, Feedback

_NOBODY_ASKED = {"failed": "stop", "roll-back": "no"}
"""Answers for a drill that is not mended in time: it stops as it is, and opsbook drill stop rolls it back."""

_LOOK, _PATIENCE = 0.2, 120.0
"""Seconds between two checks of its run, and seconds after which it gives up waiting for the end."""

_URGENTLY = 2
"""Stop requests to send: the second one interrupts an effect that waits, which may take minutes."""

_FEEDBACK = re.compile(r"([1-5])\b[ .:,-]*(.*)", re.DOTALL)


def start(options: argparse.Namespace) -> int:
    """Start a drill: its page injects a fault into the environment, and the clock starts when the fault shows.

    Mend it as you would in production: any runbook, any terminal. The drill watches the service; it fails after three
    times its par time.
    """
    settings = common.project(options)
    page = drills.drill(settings, options.drill)
    where = options.environment or next(iter(page.front.environments), "")
    if not where:
        raise InputError(f"Where is {page.name} to be?", "Name the environment: -e ENV.")
    wanted = drafts.RunRequest(page.name, where, {"par": options.par} if options.par else {})
    planned = drafts.plan(settings, drafts.draft(settings, wanted))
    drills.check_par(page, planned.plan.parameters)
    labels = inputs.labels(options) | ({drills.TRAINEE: options.person} if options.person else {})
    asked = RunOptions(labels=labels, answers=_NOBODY_ASKED)
    told = run_command.detached(settings, partial(running.run, settings, planned, asked))
    if "waits" in told:
        # A run that waits could inject its fault after the trainee has left.
        run_requests.send(settings, str(told["run"]), {"kind": "cancel"})
        raise Refused(str(told["waits"]), "Nothing was broken. Start the drill again when it may begin.")
    if not options.json:
        say(f"{told['run']}: injecting the fault …")
    now = _shown(settings, str(told["run"]))
    symptoms = drills.told(page, "Symptoms")
    if not options.json:
        say_text(f"\n{symptoms}\n")
    return common.tell(
        options,
        {"run": now.run, "started": now.started, "par": now.par, "symptoms": symptoms},
        shown(now),
        "  opsbook drill diagnose RUNBOOK   say what mends it, before you do",
        "  opsbook drill hint               if you are stuck",
        "  opsbook drill stop               when it is over, or you give up",
    )


def _shown(settings: Settings, run: str) -> drills.DrillProgress:
    """Wait until the fault shows; the drill's progress. Raises InputError if its run ended before."""
    while True:
        now = drills.progress_of(settings, run)
        if now.started is not None:
            return now
        if not now.goes_on:
            hint = f"opsbook records show {run} says why; opsbook drill stop {run} puts everything right."
            raise InputError("The fault did not show: the run of the drill ended before.", hint)
        time.sleep(_LOOK)


def stop(options: argparse.Namespace) -> int:
    """End a drill: roll back its fault if nobody mended it, and show the result.

    Its training record is written to records/training/.
    """
    settings = common.project(options)
    feedback = _feedback(options.feedback) if options.feedback is not None else None
    now = _ended(settings, drills.progress_of(settings, options.run))
    if now.broken:
        _undo(settings, now.run, quiet=options.json)
    if now.started is None:
        said = f"{now.drill}: its fault never showed, so it was no drill. opsbook records show {now.run} says why."
        return common.tell(options, {"run": now.run, "passed": False, "points": 0, "began": False}, said, code=1)
    if feedback is None and run_command.on_terminal(options):
        feedback = _asked()
    drilled = drills.finish(settings, now.run, feedback)
    told = {**asdict(drilled), "passed": drilled.passed, "points": drilled.points}
    fault = drills.told(drills.drill(settings, drilled.drill), "Fault")
    return common.tell(options, told, *_lines(drilled), "", f"What it was: {fault}", code=0 if drilled.passed else 1)


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


def _ended(settings: Settings, now: drills.DrillProgress) -> drills.DrillProgress:
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
        now = drills.progress_of(settings, now.run)
    return now


def _undo(settings: Settings, run: str, *, quiet: bool) -> None:
    wanted = RunOptions(answers={engine.ACCEPT: "yes"})
    work = partial(resuming.rollback, settings, resuming.stopped(settings, run), wanted, {})
    if quiet:
        code = int(work(running.Audience(Nobody(), lambda *_: lambda _: None)).ending.exit_code)
    else:
        say("What the drill broke is put right:")
        code = run_command.carry(argparse.Namespace(detach=False, json=False, quiet=False), settings, work)
    if code:
        hint = f"opsbook records show {run} says why; then opsbook rollback {run}, and opsbook drill stop {run}."
        raise Fault("What the drill broke could not be put right.", hint)


def _lines(drilled: Drilled) -> Iterator[str]:
    if drilled.mended is None:
        yield f"{drilled.drill}: not mended. {drilled.person} has no points."
        return
    yield f"{drilled.drill}: mended in {duration(drilled.mended)}, par {duration(drilled.par)}."
    named = "never named what mends it" if drilled.diagnosed is None else f"found in {duration(drilled.diagnosed)}"
    yield f"  {named}; {number_of(drilled.hints, 'hint')}, {number_of(len(drilled.wrong), 'wrong change')}"
    yield f"  {drilled.points} of 100 points for {drilled.person}"
    yield f"  Somebody else signs it off: opsbook training sign-off {drilled.run} --note TEXT"
