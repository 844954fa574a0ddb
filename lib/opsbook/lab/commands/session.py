"""Serve the gate of a notebook that was opened outside a run. The notebook's kernel starts it."""

import argparse

from opsbook.console import common
from opsbook.core.catalog import catalog
from opsbook.core.planning import bind
from opsbook.lab import sessions


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--socket", type=int, required=True, help="descriptor of a connected socket")
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=REFERENCE",
        help="the reference of a secret parameter",
    )
    parser.add_argument("--replay", help="a run, or the file of a recording, that answers every effect")
    parser.add_argument("--asks", action="store_true", help="with --replay: ask questions again")
    parser.add_argument("--page", help="the name of the page that is open")
    parser.add_argument("--notebook", default="", help="the path of what is open; it may be a page, or anything")
    parser.add_argument("--environment", help="default: the only sandbox, or the first by order")


def execute(options: argparse.Namespace) -> int:
    secrets = {name: given[-1] for name, given in bind.pairs(options.secret).items()}
    settings = common.project(options)
    if options.replay:
        sessions.replay_session(settings, options.socket, options.replay, asks=options.asks)
    else:
        page = catalog.load(settings, options.page) if options.page else sessions.page_of(settings, options.notebook)
        sessions.session(settings, options.socket, options.environment, secrets, page)
    return 0
