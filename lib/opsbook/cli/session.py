"""Serve the gate of a notebook that was opened outside a run. Started by the notebook's kernel itself."""

import argparse

from opsbook import flow
from opsbook.cli import common


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--socket", type=int, required=True, help="descriptor of a connected socket")
    parser.add_argument("--environment", help="default: the only sandbox, or the first by order")


def execute(options: argparse.Namespace) -> int:
    flow.session(common.project(options), options.socket, options.environment)
    return 0
