"""The start of a run from the command line: what was asked for, and a yes of who sits here."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from opsbook import files
from opsbook.console import common, inputs
from opsbook.console.text import say
from opsbook.core.model.effect import Mode
from opsbook.core.model.event import Event
from opsbook.core.model.plan import Plan
from opsbook.core.model.planned import Planned, RunOptions
from opsbook.core.model.runbook import Runbook
from opsbook.core.planning import drafts
from opsbook.core.trust import approving, authorization, requests
from opsbook.errors import InputError, OpsbookError
from opsbook.operate import run_record, running
from opsbook.operate.commands import plan, run_command
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.incidents.acting import Acting


def execute(options: argparse.Namespace) -> int:
    """Run what the arguments say; returns the exit code."""
    settings = common.project(options)
    if options.id_file and (options.id_file.is_dir() or not os.access(options.id_file.parent, os.W_OK)):
        raise InputError(f"{options.id_file} cannot be written.", "Name a file in a folder that is there. Nothing ran.")
    # Before anything runs: a wrong id must not be found out after the change.
    incident = _incident(settings, options.incident) if options.incident else None
    asked = requests.find(settings.state, options.plan).asked.labels if options.plan else {}
    wanted = RunOptions(
        mode=Mode.CHECK if options.check else Mode.LIVE,
        answers=inputs.answers(options),
        labels=inputs.labels(options) or asked,
        wait=options.wait,
        emergency=options.emergency,
        pause_on_failure=options.pause_on_failure,
        warm=options.warm,
    )
    planned = _planned(settings, options, wanted)
    if run_command.on_terminal(options) and not options.yes and not options.check:
        plan.show_all(settings, planned)
        inputs.agreed("Run it?")

    def work(audience: running.Audience) -> run_record.Finished:
        named = audience._replace(on_start=_naming(options.id_file, incident, str(wanted.mode), audience.on_start))
        return running.run(settings, planned, wanted, named)

    return run_command.carry(options, settings, work)


def _incident(settings: Settings, wanted: str) -> "Acting":
    from opsbook.incidents.acting import Acting

    return Acting(settings, wanted)


def _naming(target: Path | None, incident: "Acting | None", mode: str, on_start: running.OnStart) -> running.OnStart:
    """Also write the id of the run, for whoever started it: the newest record may be somebody else's.

    And attach the run to an incident.
    """

    def named(run: str, planned: Plan, runbook: Runbook) -> Callable[[Event], None]:
        if target is not None:
            files.write_atomic(target, f"{run}\n".encode())
        if incident is not None:
            try:
                incident.began(run, planned.runbook, mode)
            except (OSError, OpsbookError) as error:
                # An incident that cannot be written must not keep it from running.
                say(f"Not attached: {error} Later: opsbook incident attach {incident.path.name} {run}", to=sys.stderr)
        return on_start(run, planned, runbook)

    return named


def _planned(settings: Settings, options: argparse.Namespace, wanted: RunOptions) -> Planned:
    """What is to run: as it is named, or as it was planned. Raises InputError for both, or neither."""
    named = (options.runbook, options.environment, options.parameter, options.params_file)
    if options.plan and any(named):
        raise InputError("A plan has its runbook, environment and parameters.", "Give --plan, or the others.")
    if options.plan:
        planned = approving.planned_again(settings, options.plan)
        authorization.check_start(planned, wanted)
        return replace(planned, typed=inputs.unseen(planned.plan.prompted))
    drafted = inputs.complete(settings, inputs.named(settings, options, "Or --plan ID, of what was planned."))
    authorization.check_start(drafted, wanted)
    return drafts.plan(settings, drafted)
