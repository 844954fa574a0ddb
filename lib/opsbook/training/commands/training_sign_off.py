"""Sign that somebody else passed a drill. Nobody who took part in it can sign."""

import argparse
import sys

from opsbook.console import common
from opsbook.console.text import say
from opsbook.training import certificates, sign_offs


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    parser.add_argument("--note", required=True, help="what you saw; it is signed")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    drilled = sign_offs.sign_off(settings, options.run, options.note, ask=sys.stdin.isatty())
    if options.json:
        common.print_json({"run": drilled.run, "drill": drilled.drill, "person": drilled.person, "signed_off": True})
        return 0
    say(f"{drilled.run} is signed off: {drilled.person} passed {drilled.drill} with {drilled.points} points.")
    for each in certificates.certificate(settings, drilled.run).counts:
        say(f"  {each}")
    return 0
