"""End a hold: the retention policy applies again."""

import argparse

from opsbook.console import common
from opsbook.records import keeping


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    parser.add_argument("--reason", required=True, help="why it need not be kept any more; it is written down")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    held = keeping.release(common.project(options), options.run, options.reason)
    said = f"{held.run} is no longer held; it was since {common.local(held.since)}: {held.reason}"
    return common.tell(options, {"run": held.run, "action": "release"}, said)
