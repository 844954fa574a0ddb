"""List the drills. The list does not reveal the faults; do not read a drill's page before you have done it."""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.training import drills


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    found = list(drills.drills(common.project(options)))
    if found and not options.json:
        rows = [(each.name, each.par, ", ".join(each.environments) or "any", each.hints) for each in found]
        common.table(("drill", "par", "environment", "hints"), rows)
        return 0
    none = "There is no drill. One is a page with drill: in its front matter."
    return common.tell(options, [asdict(each) for each in found], none)
