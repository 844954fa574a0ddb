"""Undo what a run did, by the Rollback section of the page that ran. Also of a run that succeeded, and later."""

import argparse

from opsbook.cli import carry, common, inputs, resume
from opsbook.flow import resuming, running
from opsbook.model.person import Person


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    resume.add_accept(parser)
    carry.configure(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    found = resuming.stopped(settings, options.run)
    typed = inputs.unseen(resuming.missing_secrets(found))
    manner = running.Manner(answers=resume.answers(options), wait=options.wait)

    def work(person: Person, on_start: running.OnStart) -> running.Finished:
        return resuming.rollback(settings, found, manner, typed, person, on_start)

    return carry.carry(options, settings, work)
