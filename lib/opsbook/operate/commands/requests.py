"""Requests to a running run, from another terminal, and for a lock that a run left."""

import argparse

from opsbook.console import common
from opsbook.core.model.text import quoted
from opsbook.core.planning import bind
from opsbook.core.record import store
from opsbook.operate import resuming, run_requests


def answer(options: argparse.Namespace) -> int:
    """Answer a question of a running run, from another terminal."""
    ((name, values),) = bind.pairs([options.answer]).items()
    request = {"kind": "answer", "name": name, "value": values[-1], "note": options.note}
    run = run_requests.send(common.project(options), options.run, request)
    told = {"run": run, "request": "answer", "name": name}
    return common.tell(options, told, f"{run} was sent {name}={quoted(values[-1])}.")


def cancel(options: argparse.Namespace) -> int:
    """Ask a running run to stop before its next effect. Asked again, it interrupts the current one.

    A notebook that somebody works in ends. A check or a notebook that was lost is closed: nobody resumes one.
    """
    settings = common.project(options)
    record = store.find(settings.records, options.run)
    if record.state == "lost":
        resuming.close_lost(settings, resuming.stopped(settings, record.id))
        return common.tell(options, {"run": record.id, "request": "close"}, f"{record.id} is closed.")
    run_requests.send(settings, record.id, {"kind": "cancel"})
    return common.tell(options, {"run": record.id, "request": "cancel"}, f"{record.id} was asked to stop.")


def unlock(options: argparse.Namespace) -> int:
    """Take a lock from a run that was lost or stopped half-way. Inspect its target first."""
    taken = run_requests.unlock(common.project(options), options.target, options.reason)
    said = f"{taken.target} is free again; it was held by {taken.run}."
    return common.tell(options, {"target": taken.target, "run": taken.run}, said)
