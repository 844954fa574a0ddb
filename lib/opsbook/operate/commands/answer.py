"""Answer a question of a running run, from another terminal."""

import argparse

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import quoted
from opsbook.core.planning import bind
from opsbook.operate import run_requests


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="an id, its beginning, or last")
    parser.add_argument("answer", metavar="NAME=VALUE", help="the question's name, and the answer")
    parser.add_argument("--note", default="", help="a remark for the record")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    ((name, values),) = bind.pairs([options.answer]).items()
    request = {"kind": "answer", "name": name, "value": values[-1], "note": options.note}
    run = run_requests.send(common.project(options), options.run, request)
    if options.json:
        common.print_json({"run": run, "request": "answer", "name": name})
    else:
        say(f"{run} was sent {name}={quoted(values[-1])}.")
    return 0
