"""Open a page in JupyterLab for a trainee: a private copy, the rules of a session, and no traces afterwards."""

import contextlib
import importlib.util
import sys
from dataclasses import dataclass

from opsbook.core.planning import bind
from opsbook.core.planning.drafts import Draft, RunRequest, draft, environment
from opsbook.errors import InputError
from opsbook.lab import jupyter, page
from opsbook.replay import recordings, replaying
from opsbook.scaffold.origin import requirement
from opsbook.settings import Settings


@dataclass(frozen=True)
class Lesson:
    """A page to open. The trainee writes the `missing` parameters. `replay` names the run or the recording file that
    answers every effect, `outcome` its outcome.
    """

    settings: Settings
    drafted: Draft
    replay: str = ""
    outcome: str = ""


def lesson(settings: Settings, wanted: RunRequest, replay: str = "") -> Lesson:
    """The page with its parameters; without an environment, in the first sandbox.

    With `replay`, page, environment and parameters are those of the replay. Raises InputError with all problems; a
    missing parameter is none.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        hint = f"Install it: pip install '{requirement('training')}', or make install in a clone of opsbook."
        raise InputError("A lab needs JupyterLab.", hint)
    if replay:
        return _replayed(settings, wanted, replay)
    name = wanted.environment or environment(settings, None).name
    drafted = draft(settings, RunRequest(wanted.runbook, name, wanted.given))
    if drafted.bound.problems:
        hint = f"opsbook show {drafted.runbook.name} lists its parameters. Nothing was started."
        raise InputError(drafted.bound.problems, hint)
    return Lesson(settings, drafted)


def _replayed(settings: Settings, wanted: RunRequest, replay: str) -> Lesson:
    if wanted.environment or wanted.given:
        raise InputError("A replay has its environment and its values.", "Leave out -e and -p.")
    recording, page = recordings.load(settings, replay)
    plan = recording.plan
    if plan.runbook != wanted.runbook:
        raise InputError(f"{replay} is of {plan.runbook}, not of {wanted.runbook}.", "Name its runbook.")
    bound = bind.Bound(dict(plan.parameters), dict(plan.secrets))
    drafted = Draft(page, replaying.environment(recording), bound)
    return Lesson(settings, drafted, replay, recording.outcome)


def opened_lab(found: Lesson, port: int) -> contextlib.AbstractContextManager[jupyter.Lab]:
    """The lab, not started yet. Nothing of it remains afterwards, also after an error."""
    drafted, settings = found.drafted, found.settings
    runbook, bound = drafted.runbook, drafted.bound
    gate = [sys.executable, "-m", "opsbook.cli.main", "--project", str(settings.root), "session"]
    if found.replay:
        gate += ["--replay", found.replay, "--asks"]
    else:
        gate += ["--environment", drafted.environment.name, "--page", runbook.name]
        gate += [f"--secret={name}={reference}" for name, reference in bound.secrets.items()]
    wanted = jupyter.LabRequest(
        root=settings.root,
        page=(runbook.path.name, page.written(runbook, _note(found), bound.values, list(bound.secrets))),
        kernel={
            "cells": page.places(runbook),
            "attribute": page.ATTRIBUTE,
            "switch": page.SWITCH,
            "parameters": [parameter.name for parameter in runbook.parameters],
        },
        environment=drafted.environment.name,
        gate=gate,
        about=f"opsbook · {drafted.environment.name}",
        port=port,
        keep_environment=settings.keep_environment,
    )
    return jupyter.opened(wanted)


def _note(found: Lesson) -> str:
    """The note at the top of the copy."""
    place = found.drafted.environment
    rule = (
        f"**{place.name}** is a sandbox: what changes something really changes it there."
        if place.policy.sandbox
        else f"**{place.name}** is no sandbox: cells may look, and whatever would change something is refused."
    )
    if found.replay:
        rule = f"It replays `{found.replay}`, which ended **{found.outcome}**: nothing is reached, nothing is changed."
    lines = [f"> A copy of `{found.drafted.runbook.path.as_posix()}` to practise with. {rule}"]
    kept = "" if found.replay else " What cells do is in a record: opsbook records list."
    lines += [f"> Saving reaches only this copy, which is gone when the lab ends.{kept}"]
    if found.drafted.bound.missing:
        names = ", ".join(f"`{parameter.name}`" for parameter in found.drafted.bound.missing)
        lines += [f"> Before you run it, write {names} in the cell `# Parameters`."]
    return "  \n".join(lines)
