"""Start a drill: its page injects a fault into the environment, and the clock starts when the fault shows.

Mend it as you would in production: any runbook, any terminal. The drill watches the service; it fails after three times
its par time.
"""

import argparse
import time

from opsbook.console import arguments, common, inputs
from opsbook.console.text import say, say_text
from opsbook.core.model.options import RunOptions
from opsbook.core.planning import drafts
from opsbook.errors import InputError, Refused
from opsbook.operate import run_record, run_requests, running
from opsbook.operate.commands import run_command
from opsbook.settings import Settings
from opsbook.training import drill_clock, drills
from opsbook.training.commands.drill_status import show

_LOOK = 0.2

_NOBODY_ASKED = {"failed": "stop", "roll-back": "no"}
"""Answers for a drill that is not mended in time: it stops as it is, and opsbook drill stop rolls it back."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("drill", help="a name from opsbook drill list")
    parser.add_argument("-e", "--environment", metavar="ENV", help="where; the page's own, unless given")
    parser.add_argument("--par", metavar="TIME", help="another par time, such as 5m")
    parser.add_argument("--for", dest="person", default="", metavar="PERSON", help="who practises, if it is not you")
    arguments.add_labels(parser)
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    page = drills.drill(settings, options.drill)
    where = options.environment or next(iter(page.front.environments), "")
    if not where:
        raise InputError(f"Where is {page.name} to be?", "Name the environment: -e ENV.")
    wanted = drafts.RunRequest(page.name, where, {"par": options.par} if options.par else {})
    planned = drafts.plan(settings, drafts.draft(settings, wanted))
    drills.check_par(page, planned.plan.parameters)
    labels = inputs.labels(options) | ({drill_clock.TRAINEE: options.person} if options.person else {})
    asked = RunOptions(labels=labels, answers=_NOBODY_ASKED)

    def work(audience: running.Audience) -> run_record.Finished:
        return running.run(settings, planned, asked, audience)

    told = run_command.detached(settings, work)
    if "waits" in told:
        # A run that waits could inject its fault after the trainee has left.
        run_requests.send(settings, str(told["run"]), {"kind": "cancel"})
        raise Refused(str(told["waits"]), "Nothing was broken. Start the drill again when it may begin.")
    if not options.json:
        say(f"{told['run']}: injecting the fault …")
    now = _shown(settings, str(told["run"]))
    symptoms = drills.told(page, "Symptoms")
    if options.json:
        common.print_json({"run": now.run, "started": now.started, "par": now.par, "symptoms": symptoms})
        return 0
    say_text(f"\n{symptoms}\n")
    show(now)
    say("  opsbook drill diagnose RUNBOOK   say what mends it, before you do")
    say("  opsbook drill hint               if you are stuck")
    say("  opsbook drill stop               when it is over, or you give up")
    return 0


def _shown(settings: Settings, run: str) -> drill_clock.DrillProgress:
    """Wait until the fault shows; the drill's progress. Raises InputError if its run ended before."""
    while True:
        now = drill_clock.progress_of(settings, run)
        if now.started is not None:
            return now
        if not now.goes_on:
            hint = f"opsbook records show {run} says why; opsbook drill stop {run} puts everything right."
            raise InputError("The fault did not show: the run of the drill ended before.", hint)
        time.sleep(_LOOK)
