"""Undo what a run did, by the Rollback section of the page that ran. Also of a run that succeeded, and later."""

import argparse

from opsbook import flow
from opsbook.cli import carry, common, inputs, resume
from opsbook.model.person import Person


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    resume.add_accept(parser)
    carry.configure(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    found = flow.stopped(settings, options.run)
    typed = inputs.unseen(flow.missing_secrets(found))
    manner = flow.Manner(answers=resume.answers(options), wait=options.wait)

    def work(person: Person, on_start: flow.OnStart) -> flow.Finished:
        return flow.rollback(settings, found, manner, typed, person, on_start)

    return carry.carry(options, settings, work)
