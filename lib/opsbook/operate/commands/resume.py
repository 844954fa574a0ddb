"""Go on with a stopped run, or undo it."""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from opsbook import files
from opsbook.console import common, inputs, story
from opsbook.console.text import say
from opsbook.core.engine import engine
from opsbook.core.model.planned import RunOptions
from opsbook.core.model.text import quoted
from opsbook.errors import InputError
from opsbook.operate import resuming
from opsbook.operate.commands import run_command


def _say_which(found: resuming.Stopped, options: argparse.Namespace) -> None:
    """Print which run is affected: `last` may not be the one the user has in mind."""
    if options.json:
        return
    told = found.record.glance()
    say(f"{found.record.id}: {quoted(found.plan.title)} in {found.plan.environment}")
    say(f"  by {quoted(told['operator'])}, began {common.local(told['started'])}; it is {found.outcome}")


def resume(options: argparse.Namespace) -> int:
    """Resume a run that was lost, stopped or failed: same record, nothing that succeeded is done twice.

    Every user who may write the record can do it. First it checks the prerequisites again, and shows what has
    changed since the run stopped, which needs a yes.
    """
    settings = common.project(options)
    found = resuming.stopped(settings, options.run)
    _say_which(found, options)
    typed = inputs.unseen(found.plan.prompted)
    wanted = RunOptions(
        answers=_answers(options),
        wait=options.wait,
        emergency=options.emergency,
        start=options.start,
        by_hand=options.manual,
        pause_on_failure=options.pause_on_failure,
        warm=options.warm,
        retry_unknown=options.retry_unknown,
    )
    edit = _in_editor if options.edit else None
    return run_command.carry(options, settings, partial(resuming.resume, settings, found, wanted, typed, edit=edit))


def _answers(options: argparse.Namespace) -> dict[str, str]:
    return inputs.answers(options) | ({engine.ACCEPT: "yes"} if options.accept_changes else {})


def rollback(options: argparse.Namespace) -> int:
    """Undo what a run did, with the Rollback section of the page that ran. Also works later, and after success."""
    settings = common.project(options)
    found = resuming.stopped(settings, options.run)
    _say_which(found, options)
    resuming.check_rollback(found)
    if run_command.on_terminal(options) and not options.yes:
        _agreed(found)
    typed = inputs.unseen(found.plan.prompted)
    wanted = RunOptions(answers=_answers(options), wait=options.wait, labels=inputs.labels(options), warm=options.warm)
    return run_command.carry(options, settings, partial(resuming.rollback, settings, found, wanted, typed))


def _agreed(found: resuming.Stopped) -> None:
    """Show what will be undone, and by what; then ask."""
    changed, _, unknown = story.did(found.record.summary())
    steps = [step.title for step in found.runbook.undo()]
    for label, lines in (("It changed", changed), ("Unknown", unknown), ("Undone by", steps)):
        for line in story.listed(label, lines):
            say(line)
    inputs.agreed("Roll it back?")


def _in_editor(text: str) -> str:
    """The text as the person leaves it in $VISUAL or $EDITOR."""
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="opsbook-") as folder:
        path = Path(folder) / "runbook.md"
        path.write_text(text, encoding="utf-8")
        with files.saying(f"{editor[0]} cannot be started", "Set EDITOR."):
            code = subprocess.run([*editor, str(path)], check=False).returncode
        if code != 0:
            raise InputError(f"{editor[0]} ended with exit code {code}.", "Nothing was changed, and nothing ran.")
        sys.stdout.flush()
        return path.read_text(encoding="utf-8", errors="replace")
