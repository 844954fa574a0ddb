"""What is locked, by which run, and why."""

import argparse
from dataclasses import asdict

from opsbook.cli import common
from opsbook.cli.text import say
from opsbook.policy import lock


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    held = lock.holders(common.project(options).state)
    if options.json:
        common.print_json([asdict(one) for one in held])
    elif held:
        common.table(
            ("TARGET", "RUN", "BY", "SINCE", "WHAT FOR"),
            [(h.target, h.run, h.operator, common.local(h.since), h.reason) for h in held],
        )
    else:
        say("Nothing is locked.")
    return 0
