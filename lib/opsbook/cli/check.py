"""Report every problem of every document, as PATH:LINE:COLUMN CODE MESSAGE."""

import argparse
import sys
from dataclasses import asdict

from opsbook.cli import common
from opsbook.cli.text import say
from opsbook.source import catalog


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runbook", nargs="*", help="names or paths; all documents if none is given")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    problems = catalog.check(settings, options.runbook)
    errors = sum(not problem.warning for problem in problems)
    if options.json:
        common.print_json([asdict(problem) for problem in problems])
        return 2 if errors else 0
    for problem in problems:
        say(f"{problem}{'  (warning)' if problem.warning else ''}")
    checked = len(options.runbook) or len(catalog.paths(settings))
    say(f"{checked} documents, {errors} errors, {len(problems) - errors} warnings", to=sys.stderr)
    return 2 if errors else 0
