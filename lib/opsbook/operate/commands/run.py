"""Run a runbook in an environment. Every run leaves a record, whatever its outcome."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from opsbook import files
from opsbook.console import common, inputs
from opsbook.core.model.effect import Mode
from opsbook.core.model.event import Event
from opsbook.core.model.person import Person
from opsbook.core.model.plan import Plan
from opsbook.core.model.runbook import Runbook
from opsbook.core.planning import bind, drafts
from opsbook.core.trust import approving, authorization
from opsbook.errors import InputError
from opsbook.operate import run_command
from opsbook.operate.commands import plan
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.operate import running


def configure(parser: argparse.ArgumentParser) -> None:
    inputs.configure(parser)
    run_command.configure(parser)
    run_command.add_emergency(parser)
    parser.add_argument("--plan", default="", help="run what was planned and approved, by its id")
    inputs.configure_labels(parser)
    parser.add_argument("--id-file", type=Path, metavar="FILE", help="write the run's id there as soon as it has one")
    parser.add_argument("--check", action="store_true", help="say what it would do, and change nothing")


def execute(options: argparse.Namespace) -> int:
    # Asked for its arguments alone, the command starts without what runs.
    from opsbook.core.engine import engine
    from opsbook.operate import running

    settings = common.project(options)
    _check_writable(options.id_file)
    wanted, drafted = _drafted(settings, options)
    wishes = engine.Wishes(pause_on_failure=options.pause_on_failure)
    mode, labels = Mode.CHECK if options.check else Mode.LIVE, inputs.labels(options)
    # Before anybody is asked.
    authorization.check_start(drafted, mode, labels, options.emergency)
    if run_command.on_terminal(options) and not options.yes and not options.check:
        _agreed(drafts.plan(settings, drafted))
    manner = running.Manner(mode, wanted.answers, options.wait, wishes, options.emergency, labels)

    def work(person: Person, on_start: running.OnStart) -> running.Finished:
        return running.run(settings, wanted, drafted, manner, person, _naming(options.id_file, on_start))

    return run_command.carry(options, settings, work)


def _check_writable(target: Path | None) -> None:
    if target is not None and (target.is_dir() or not os.access(target.parent, os.W_OK)):
        raise InputError(f"{target} cannot be written.", "Name a file in a folder that is there. Nothing ran.")


def _naming(target: Path | None, on_start: "running.OnStart") -> "running.OnStart":
    """Also write the id of the run, for whoever started it: the newest record may be somebody else's."""

    def named(run: str, planned: Plan, runbook: Runbook) -> Callable[[Event], None]:
        if target is not None:
            files.write_atomic(target, f"{run}\n".encode())
        return on_start(run, planned, runbook)

    return named


def _drafted(settings: Settings, options: argparse.Namespace) -> tuple[drafts.RunRequest, drafts.Draft]:
    """What is to run: as it is named, or as it was planned. Raises InputError for both, or neither."""
    named = (options.runbook, options.environment, options.parameter, options.params_file)
    if options.plan and any(named):
        raise InputError("A plan has its runbook, environment and parameters.", "Give --plan, or the others.")
    if not options.plan:
        return inputs.complete(settings, inputs.named(settings, options, "Or --plan ID, of what was planned."))
    drafted = approving.planned_again(settings, options.plan)
    prompted = [name for name, reference in drafted.bound.secrets.items() if reference == bind.PROMPT]
    wanted = drafts.RunRequest(
        drafted.runbook.name,
        drafted.environment.name,
        answers=inputs.answers(options),
        typed_secrets=inputs.unseen(prompted),
    )
    return wanted, drafted


def _agreed(planned: Plan) -> None:
    plan.show(planned)
    run_command.agreed("Run it?")
