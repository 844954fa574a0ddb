"""Show the state of a drill: the newest that is not stopped, unless a run is named."""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import duration, number_of
from opsbook.training import drill_clock

_SAYS = {
    "starting": "its fault is being injected",
    "open": "not mended yet",
    "mended": "mended",
    "failed": "not mended in time",
}


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser, nargs="?")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    now = drill_clock.progress_of(common.project(options), options.run)
    if options.json:
        common.print_json(asdict(now))
        return 0
    show(now)
    if not now.goes_on:
        say("  opsbook drill stop ends it, and says what it was worth")
    return 0


def show(now: drill_clock.DrillProgress) -> None:
    """Print a drill's state on one line."""
    cost = [number_of(now.hints, "hint")] if now.hints else []
    cost += [number_of(len(now.wrong), "wrong change")] if now.wrong else []
    more = f"; {', '.join(cost)}" if cost else ""
    clock = f"{duration(now.seconds)} of {duration(now.par)} par"
    say(f"{now.drill} in {now.environment}: {_SAYS[now.state]}, {clock}{more}")
