"""Keep a record regardless of the retention policy, until the hold is released."""

import argparse

from opsbook.console import common
from opsbook.records import keeping


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    parser.add_argument("--reason", required=True, help="why it must be kept; it is written down")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    held = keeping.hold(common.project(options), options.run, options.reason)
    said = f"{held.run} is kept until opsbook records release."
    return common.tell(options, {"run": held.run, "action": "hold"}, said)
