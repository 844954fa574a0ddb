"""List the drills. The list does not reveal the faults; do not read a drill's page before you have done it."""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.console.text import say
from opsbook.training import drills


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    found = list(drills.drills(common.project(options)))
    if options.json:
        common.print_json([asdict(each) for each in found])
    elif not found:
        say("There is no drill. One is a page with drill: in its front matter.")
    else:
        rows = [(each.name, each.par, ", ".join(each.environments) or "any", each.hints) for each in found]
        common.table(("drill", "par", "environment", "hints"), rows)
    return 0
