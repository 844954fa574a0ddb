"""Shared by run, resume and rollback: who is asked, what is shown, and detached runs."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from opsbook.console import common, view
from opsbook.console.person import Elsewhere, Nobody, TerminalPerson
from opsbook.console.text import hanging
from opsbook.core.model import events as kinds
from opsbook.core.model.event import Event
from opsbook.core.model.person import Person
from opsbook.core.model.plan import Plan
from opsbook.core.model.runbook import Runbook
from opsbook.core.planning import context
from opsbook.core.record import step_timings
from opsbook.errors import Fault, InputError, OpsbookError
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.operate import run_record, running

Work = Callable[["running.Audience"], "run_record.Finished"]
Tell = Callable[[dict[str, Any]], None]

_BEGUN = (kinds.Locked, kinds.WaitingForLock, kinds.WaitingForApproval, kinds.KernelStarted)
"""Events at which it is known that a run goes on, or waits. A check takes no locks."""

_WAITING = (kinds.WaitingForLock, kinds.WaitingForApproval)


def on_terminal(options: argparse.Namespace) -> bool:
    """Whether a person at this terminal can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not options.json


def carry(options: argparse.Namespace, settings: Settings, work: Work) -> int:
    """Do the work and show it; with --detach, in a separate process. Returns the exit code."""
    if options.detach:
        if getattr(options, "edit", False):
            raise InputError("--edit needs this terminal, and --detach leaves it.", "Leave one of them out.")
        told = detached(settings, work)
        waits = hanging(f"waiting: {told['waits']}") if "waits" in told else []
        below = (f"  {each}" for each in (*waits, f"opsbook attach {told['run']}"))
        said = f"{told['run']} goes on without this terminal."
        return common.tell(options, {"run": told["run"], "detached": True}, said, *below)
    shown = view.choose(terminal=sys.stdout.isatty(), as_json=options.json, quiet=options.quiet)
    person = TerminalPerson(shown, context.operator()) if on_terminal(options) else Nobody()
    return _carried(settings, work, shown, person, lambda _: None)


def _carried(settings: Settings, work: Work, shown: view.View, person: Person, tell: Tell) -> int:
    from opsbook.operate import running

    def on_start(run: str, planned: Plan, _: Runbook) -> "view.Listener":
        shown.start(run, planned, step_timings.seconds(settings.records, planned.runbook, planned.environment))

        def listen(event: Event) -> None:
            fact = kinds.read(event, lenient=True)
            if isinstance(fact, _BEGUN):
                tell({"run": run, "waits": fact.why} if isinstance(fact, _WAITING) else {"run": run})
            shown.event(event)
            if isinstance(person, TerminalPerson):
                person.hear(fact)

        return listen

    try:
        finished = work(running.Audience(person, on_start))
    finally:
        shown.close()
    # Told only now if the run ended before it began: its record is complete, and it does not count as running.
    ending, code = finished.ending, int(finished.ending.exit_code)
    tell({"run": finished.run, **({"message": f"{ending.outcome}: {ending.reason}", "code": code} if code else {})})
    shown.finish(finished, settings)
    return code


def detached(settings: Settings, work: Work) -> dict[str, Any]:
    """Start the work in a process without a terminal; returns when it has its locks, or waits for them.

    The result has the `run`, and why it `waits` if it does. Raises OpsbookError if the run did not begin.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as told:
            return _started(told)
    os.close(reading)
    os.setsid()
    for number in (0, 1, 2):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, number)
        os.close(null)
    tell = _Told(writing)
    try:
        code = _carried(settings, work, view.PlainView(), Elsewhere(), tell)
    except OpsbookError as error:
        tell({"message": error.message, "hint": error.hint, "code": error.exit_code})
        raise
    raise SystemExit(code)


class _Told:
    """Sends the first process one message, then closes the pipe: its descriptor may be reused by a file of the run."""

    def __init__(self, writing: int) -> None:
        self._writing: int | None = writing

    def __call__(self, message: dict[str, Any]) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            with suppress(OSError):
                os.write(writing, (json.dumps(message) + "\n").encode())
            os.close(writing)


def _started(telling: TextIO) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(telling.readline() or "{}")
    except KeyboardInterrupt:
        # Ctrl-C in this terminal does not reach the other process.
        raise Fault(
            "Interrupted before the run said that it goes on.", "opsbook status shows whether it does."
        ) from None
    if "message" in told:
        error = OpsbookError(told["message"], told.get("hint") or f"opsbook records show {told['run']} says more.")
        error.exit_code = told["code"]
        raise error
    if "run" not in told:
        raise Fault("The detached process ended before its run began.", "Run it without --detach to see why.")
    return told
