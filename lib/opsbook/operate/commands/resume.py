"""Resume a run that was lost, stopped or failed: same record, nothing that succeeded is done twice.

Every user who may write the record can do it. First it checks the prerequisites again, and shows what has
changed since the run stopped, which needs a yes.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from opsbook.console import arguments, common, inputs
from opsbook.console.text import say
from opsbook.core.engine import engine
from opsbook.core.model.options import RunOptions
from opsbook.core.model.text import quoted
from opsbook.errors import InputError
from opsbook.operate import resuming, run_record, running
from opsbook.operate.commands import run_command


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    parser.add_argument(
        "--from", dest="start", default="", metavar="STEP", help="resume from this step; skip those before it"
    )
    parser.add_argument("--edit", action="store_true", help="first change the record's copy of the page in $EDITOR")
    parser.add_argument("--manual", action="store_true", help="do the rest by hand, as a checklist that is recorded")
    parser.add_argument(
        "--retry-unknown", action="store_true", help="run effects of unknown outcome again, if safe to repeat"
    )
    add_accept(parser)
    arguments.add_emergency(parser)
    arguments.add_manner(parser)


def say_which(found: resuming.Stopped, options: argparse.Namespace) -> None:
    """Print which run is affected: `last` may not be the one the user has in mind."""
    if options.json:
        return
    told = found.record.glance()
    say(f"{found.record.id}: {quoted(found.plan.title)} in {found.plan.environment}")
    say(f"  by {quoted(told['operator'])}, began {common.local(told['started'])}; it is {found.outcome}")


def add_accept(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--accept-changes", action="store_true", help="go on although something has changed since")


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    found = resuming.stopped(settings, options.run)
    say_which(found, options)
    typed = inputs.unseen(found.plan.prompted)
    wanted = RunOptions(
        answers=answers(options),
        wait=options.wait,
        emergency=options.emergency,
        start=options.start,
        by_hand=options.manual,
        pause_on_failure=options.pause_on_failure,
        retry_unknown=options.retry_unknown,
    )

    def work(audience: running.Audience) -> run_record.Finished:
        edit = _in_editor if options.edit else None
        return resuming.resume(settings, found, wanted, typed, audience, edit)

    return run_command.carry(options, settings, work)


def answers(options: argparse.Namespace) -> dict[str, str]:
    """Answers given ahead."""
    return inputs.answers(options) | ({engine.ACCEPT: "yes"} if options.accept_changes else {})


def _in_editor(text: str) -> str:
    """The text as the person leaves it in $VISUAL or $EDITOR."""
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="opsbook-") as folder:
        path = Path(folder) / "runbook.md"
        path.write_text(text, encoding="utf-8")
        try:
            code = subprocess.run([*editor, str(path)], check=False).returncode
        except OSError as error:
            raise InputError(f"{editor[0]} cannot be started: {error.strerror}.", "Set EDITOR.") from error
        if code != 0:
            raise InputError(f"{editor[0]} ended with exit code {code}.", "Nothing was changed, and nothing ran.")
        sys.stdout.flush()
        return path.read_text(encoding="utf-8", errors="replace")
