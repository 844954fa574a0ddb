"""Run a runbook in an environment. Every run leaves a record, whatever its outcome."""

import argparse
import sys

from opsbook import flow
from opsbook.cli import common, inputs, plan, view
from opsbook.cli.person import Nobody, TerminalPerson
from opsbook.cli.text import say
from opsbook.errors import InputError
from opsbook.model.person import Person
from opsbook.model.plan import Plan
from opsbook.model.runbook import Runbook
from opsbook.record import usual


def configure(parser: argparse.ArgumentParser) -> None:
    inputs.configure(parser)
    parser.add_argument(
        "--answer",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="answer a question ahead; a manual step takes done, skip or problem",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="start without asking")
    parser.add_argument("--json", action="store_true", help="one event a line, as JSON")


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    wanted, drafted = inputs.complete(settings, inputs.request(options))
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and not options.json
    if terminal and not options.yes:
        _agreed(flow.plan(settings, drafted))
    shown = view.choose(terminal=sys.stdout.isatty(), as_json=options.json)
    person: Person = TerminalPerson(shown, flow.operator()) if terminal else Nobody()

    def on_start(run: str, planned: Plan, runbook: Runbook) -> "view.Listener":
        known = usual.seconds(settings.records, planned.runbook, planned.environment)
        shown.start(run, planned, runbook, known)
        return shown.event

    try:
        finished = flow.run(settings, wanted, drafted, person, on_start)
    finally:
        shown.close()
    shown.finish(finished, settings)
    return int(finished.ending.exit_code)


def _agreed(planned: Plan) -> None:
    plan.show(planned)
    say("Run it? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("Not started.", "Nothing ran.")
