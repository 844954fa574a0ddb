"""Run a runbook in an environment. Every run leaves a record, whatever its outcome."""

import argparse
from pathlib import Path

from opsbook.console import arguments


def configure(parser: argparse.ArgumentParser) -> None:
    arguments.add_request(parser)
    arguments.add_manner(parser)
    arguments.add_emergency(parser)
    parser.add_argument("--plan", default="", help="run what was planned and approved, by its id")
    arguments.add_labels(parser)
    parser.add_argument("--id-file", type=Path, metavar="FILE", help="write the run's id there as soon as it has one")
    parser.add_argument("--check", action="store_true", help="say what it would do, and change nothing")


def execute(options: argparse.Namespace) -> int:
    # Asked for its arguments alone, the command starts without what runs.
    from opsbook.operate.commands import run_start

    return run_start.start(options)
