"""Take a lock from a run that was lost or stopped half-way. Inspect its target first."""

import argparse

from opsbook.console import common
from opsbook.console.text import say
from opsbook.operate import run_requests


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="as opsbook locks shows it, such as dev/arcade")
    parser.add_argument("--reason", required=True, help="why this is safe; it is kept")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    taken = run_requests.unlock(common.project(options), options.target, options.reason)
    if options.json:
        common.print_json({"target": taken.target, "run": taken.run})
    else:
        say(f"{taken.target} is free again; it was held by {taken.run}.")
    return 0
