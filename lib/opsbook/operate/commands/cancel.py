"""Ask a running run to stop before its next effect. Asked again, it interrupts the current one."""

import argparse

from opsbook.console import common
from opsbook.console.text import say
from opsbook.operate import run_requests


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="an id, its beginning, or last")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    run = run_requests.send(common.project(options), options.run, {"kind": "cancel"})
    if options.json:
        common.print_json({"run": run, "request": "cancel"})
    else:
        say(f"{run} was asked to stop.")
    return 0
