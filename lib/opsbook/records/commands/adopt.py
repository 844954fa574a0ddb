"""Adopt an imported record, signed: only then may somebody here resume it, or roll it back."""

import argparse
import sys

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.trust import adopting


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    parser.add_argument("--note", required=True, help="why it is yours now; it is signed")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    run = adopting.adopt(common.project(options), options.run, options.note, ask=sys.stdin.isatty())
    if options.json:
        common.print_json({"run": run, "action": "adopt"})
    else:
        say(f"{run} is adopted: opsbook resume and opsbook rollback go on with it.")
    return 0
