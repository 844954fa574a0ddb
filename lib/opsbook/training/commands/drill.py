"""What a trainee asks and says in a drill."""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.core.model.text import duration, number_of
from opsbook.training import drills

_SAYS = {
    "starting": "its fault is being injected",
    "open": "not mended yet",
    "mended": "mended",
    "failed": "not mended in time",
}


def listing(options: argparse.Namespace) -> int:
    """List the drills. The list does not reveal the faults; do not read a drill's page before you have done it."""
    found = list(drills.drills(common.project(options)))
    rows = [(each.name, each.par, ", ".join(each.environments) or "any", each.hints) for each in found]
    none = "There is no drill. One is a page with drill: in its front matter."
    columns = ("drill", "par", "environment", "hints")
    return common.tell_rows(options, [asdict(each) for each in found], columns, rows, none)


def status(options: argparse.Namespace) -> int:
    """Show the state of a drill: the newest that is not stopped, unless a run is named."""
    now = drills.progress_of(common.project(options), options.run)
    over = [] if now.goes_on else ["  opsbook drill stop ends it, and says what it was worth"]
    return common.tell(options, asdict(now), shown(now), *over)


def shown(now: drills.DrillProgress) -> str:
    """A drill's state on one line."""
    cost = [number_of(now.hints, "hint")] if now.hints else []
    cost += [number_of(len(now.wrong), "wrong change")] if now.wrong else []
    more = f"; {', '.join(cost)}" if cost else ""
    clock = f"{duration(now.seconds)} of {duration(now.par)} par"
    return f"{now.drill} in {now.environment}: {_SAYS[now.state]}, {clock}{more}"


def hint(options: argparse.Namespace) -> int:
    """The next hint. Each costs points, and is noted in the drill's journal before it is shown."""
    settings = common.project(options)
    now = drills.progress_of(settings, options.run)
    text = drills.hint(settings, now)
    return common.tell(options, {"run": now.run, "hint": text, "number": now.hints + 1}, *text.split("\n"))


def diagnose(options: argparse.Namespace) -> int:
    """Say which runbook mends it. It is noted with the time; whether it is right is shown at the end."""
    settings = common.project(options)
    now = drills.progress_of(settings, options.run)
    drills.diagnose(settings, now, options.runbook)
    return common.tell(options, {"run": now.run, "diagnosis": options.runbook}, f"Noted: {options.runbook}.")
