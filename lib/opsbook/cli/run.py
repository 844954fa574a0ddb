"""Run a runbook in an environment. Every run leaves a record, whatever its outcome."""

import argparse
import sys

from opsbook import flow
from opsbook.cli import carry, common, inputs, plan
from opsbook.cli.text import say
from opsbook.errors import InputError
from opsbook.model.effect import Mode
from opsbook.model.person import Person
from opsbook.model.plan import Plan


def configure(parser: argparse.ArgumentParser) -> None:
    inputs.configure(parser)
    carry.configure(parser)
    parser.add_argument("--check", action="store_true", help="say what it would do, and change nothing")


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    wanted, drafted = inputs.complete(settings, inputs.request(options))
    if carry.on_terminal(options) and not options.yes and not options.check:
        _agreed(flow.plan(settings, drafted))
    wishes = flow.Wishes(pause_on_failure=options.pause_on_failure)
    manner = flow.Manner(Mode.CHECK if options.check else Mode.LIVE, wanted.answers, options.wait, wishes)

    def work(person: Person, on_start: flow.OnStart) -> flow.Finished:
        return flow.run(settings, wanted, drafted, manner, person, on_start)

    return carry.carry(options, settings, work)


def _agreed(planned: Plan) -> None:
    plan.show(planned)
    say("Run it? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("Not started.", "Nothing ran.")
