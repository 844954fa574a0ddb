"""Run a runbook in an environment. Every run leaves a record, whatever its outcome."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from opsbook import files
from opsbook.cli import carry, common, inputs, plan
from opsbook.cli.text import say
from opsbook.errors import InputError
from opsbook.flow import approving, drafts, running
from opsbook.model.effect import Mode
from opsbook.model.event import Event
from opsbook.model.person import Person
from opsbook.model.plan import Plan
from opsbook.model.runbook import Runbook
from opsbook.plan import bind
from opsbook.run import engine
from opsbook.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    inputs.configure(parser, required=False)
    carry.configure(parser)
    carry.add_emergency(parser)
    parser.add_argument("--plan", default="", help="run what was planned and approved, by its id")
    parser.add_argument(
        "--label", action="append", default=[], metavar="NAME=VALUE", help="say what it is for, such as ticket=OPS-1"
    )
    parser.add_argument("--id-file", type=Path, metavar="FILE", help="write the run's id there as soon as it has one")
    parser.add_argument("--check", action="store_true", help="say what it would do, and change nothing")


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    _check_writable(options.id_file)
    wanted, drafted = _drafted(settings, options)
    labels = _labels(options, drafted)
    if carry.on_terminal(options) and not options.yes and not options.check:
        _agreed(drafts.plan(settings, drafted))
    wishes = engine.Wishes(pause_on_failure=options.pause_on_failure)
    mode = Mode.CHECK if options.check else Mode.LIVE
    manner = running.Manner(mode, wanted.answers, options.wait, wishes, carry.emergency(options), labels)

    def work(person: Person, on_start: running.OnStart) -> running.Finished:
        return running.run(settings, wanted, drafted, manner, person, _naming(options.id_file, on_start))

    return carry.carry(options, settings, work)


def _check_writable(target: Path | None) -> None:
    if target is not None and (target.is_dir() or not os.access(target.parent, os.W_OK)):
        raise InputError(f"{target} cannot be written.", "Name a file in a folder that is there. Nothing ran.")


def _naming(target: Path | None, on_start: running.OnStart) -> running.OnStart:
    """Also write the id of the run, for whoever started it: the newest record may be somebody else's."""

    def named(run: str, planned: Plan, runbook: Runbook) -> Callable[[Event], None]:
        if target is not None:
            files.write_atomic(target, f"{run}\n".encode())
        return on_start(run, planned, runbook)

    return named


def _drafted(settings: Settings, options: argparse.Namespace) -> tuple[drafts.Request, drafts.Draft]:
    """What is to run: as it is named, or as it was planned. Raises InputError for both, or neither."""
    named = (options.runbook, options.environment, options.parameter, options.params_file)
    if options.plan and any(named):
        raise InputError("A plan has its runbook, environment and parameters.", "Give --plan, or the others.")
    if not options.plan:
        missing = [name for name, value in (("a RUNBOOK", named[0]), ("-e ENV", named[1])) if not value]
        if missing:
            raise InputError(f"What to run? {' and '.join(missing)} is missing.", "Or --plan ID, of what was planned.")
        return inputs.complete(settings, inputs.request(options))
    drafted = approving.planned_again(settings, options.plan)
    prompted = [name for name, reference in drafted.bound.secrets.items() if reference == bind.PROMPT]
    wanted = drafts.Request(
        drafted.runbook.name,
        drafted.environment.name,
        answers=inputs.answers(options),
        typed_secrets=inputs.unseen(prompted),
    )
    return wanted, drafted


def _labels(options: argparse.Namespace, drafted: drafts.Draft) -> dict[str, str]:
    """Labels of the run. Raises InputError if one is missing that the environment wants."""
    given = {name: values[-1] for name, values in bind.pairs(options.label).items()}
    missing = [name for name in drafted.environment.policy.labels if not given.get(name, "").strip()]
    if missing and not options.check:
        said = [f"A run in {drafted.environment.name} needs the label {name}." for name in missing]
        raise InputError(said, f"Give --label {missing[0]}=…")
    return given


def _agreed(planned: Plan) -> None:
    plan.show(planned)
    say("Run it? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("Not started.", "Nothing ran.")
