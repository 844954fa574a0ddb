"""Ask a running run to stop before its next effect. Asked again, it interrupts the current one.

A notebook that somebody works in ends. A check or a notebook whose process was killed is closed: nobody resumes one.
"""

import argparse

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.record import store
from opsbook.operate import resuming, run_requests


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="an id, its beginning, or last")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    record = store.find(settings.records, options.run)
    lost = record.state == "lost"
    if lost:
        resuming.close_lost(settings, resuming.stopped(settings, record.id))
    else:
        run_requests.send(settings, record.id, {"kind": "cancel"})
    if options.json:
        common.print_json({"run": record.id, "request": "close" if lost else "cancel"})
    else:
        say(f"{record.id} is closed." if lost else f"{record.id} was asked to stop.")
    return 0
