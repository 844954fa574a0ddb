"""Replay runbooks against their recordings, in seconds each, without touching any system.

Recordings are in recordings/ beside their page; opsbook records export RUN --recording NAME makes one. A page passes if
it asks for the same effects and ends the same way. A recording is stale if its playbooks have changed since. Every
playbook of a recording is parsed too, with the recorded variables.
"""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import number_of
from opsbook.errors import InputError
from opsbook.replay import recordings, testing


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    chosen = list(recordings.find(settings, options.runbook))
    if not chosen:
        what = ", ".join(options.runbook) or "any runbook"
        hint = "Make one of a run: opsbook records export last --recording good"
        raise InputError(f"There is no recording of {what}.", hint)
    told: list[testing.Tested] = []

    def tell(tested: testing.Tested) -> None:
        told.append(tested)
        if not options.json and (tested.status != "passed" or tested.seconds):
            _say(tested)

    good = testing.every(settings, chosen, tell, accept_stale=options.accept_stale)
    without = [] if options.runbook else recordings.without(settings)
    if options.json:
        found = {"passed": good, "tests": [asdict(each) for each in told], "without": without}
        return common.tell(options, found, code=0 if good else 1)
    bad = [each for each in told if each.status != "passed"]
    replays, parsed = len(chosen), len(told) - len(chosen)
    say(f"{number_of(replays, 'recording')} replayed, {number_of(parsed, 'playbook')} parsed, {len(bad)} not well")
    if without:
        say(f"without a recording: {', '.join(without)}")
    if any(each.status == "stale" for each in bad):
        say("Stale: run it again, and record that; or opsbook test --accept-stale.")
    return 0 if good else 1


def _say(tested: testing.Tested) -> None:
    say(f"{tested.status:<7} {tested.runbook} {tested.name}  {tested.seconds:.1f} s")
    for problem in tested.problems:
        for line in problem.split("\n"):
            say(f"        {line}")
