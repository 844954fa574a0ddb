"""Undo what a run did, with the Rollback section of the page that ran. Also works later, and after success."""

import argparse

from opsbook.console import arguments, common, inputs, story
from opsbook.console.text import say
from opsbook.core.model.options import RunOptions
from opsbook.operate import resuming, run_record, running
from opsbook.operate.commands import resume, run_command


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    resume.add_accept(parser)
    arguments.add_labels(parser)
    arguments.add_manner(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    found = resuming.stopped(settings, options.run)
    resume.say_which(found, options)
    resuming.check_rollback(found)
    if run_command.on_terminal(options) and not options.yes:
        _agreed(found)
    typed = inputs.unseen(found.plan.prompted)
    wanted = RunOptions(answers=resume.answers(options), wait=options.wait, labels=inputs.labels(options))

    def work(audience: running.Audience) -> run_record.Finished:
        return resuming.rollback(settings, found, wanted, typed, audience)

    return run_command.carry(options, settings, work)


def _agreed(found: resuming.Stopped) -> None:
    """Show what will be undone, and by what; then ask."""
    changed, _, unknown = story.did(found.record.summary())
    steps = [step.title for step in found.runbook.undo()]
    for label, lines in (("It changed", changed), ("Unknown", unknown), ("Undone by", steps)):
        for line in story.listed(label, lines):
            say(line)
    run_command.agreed("Roll it back?")
