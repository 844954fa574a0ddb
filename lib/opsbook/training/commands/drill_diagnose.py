"""Say which runbook mends it. It is noted with the time; whether it is right is shown at the end."""

import argparse

from opsbook.console import common
from opsbook.training import drill_clock, drilling


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runbook", help="a name from opsbook list")
    common.add_run(parser, nargs="?")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    now = drill_clock.progress_of(settings, options.run)
    drilling.diagnose(settings, now, options.runbook)
    return common.tell(options, {"run": now.run, "diagnosis": options.runbook}, f"Noted: {options.runbook}.")
