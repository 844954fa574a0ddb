"""Watch a run that goes on elsewhere, and answer what it asks. Ctrl-C leaves it alone: it goes on."""

import argparse
import asyncio
import contextlib
import sys

from pydantic import TypeAdapter, ValidationError

from opsbook import flow
from opsbook.cli import carry, common, view
from opsbook.cli.person import TerminalPerson
from opsbook.cli.text import say
from opsbook.errors import InputError
from opsbook.model.person import Gone
from opsbook.model.plan import Plan
from opsbook.record import usual
from opsbook.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    parser.add_argument("--json", action="store_true", help="one event a line, as JSON")


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    watched = flow.watch(settings, options.run)
    planned = _plan(watched)
    shown = view.choose(terminal=sys.stdout.isatty(), as_json=options.json)
    shown.start(watched.record.id, planned, usual.seconds(settings.records, planned.runbook, planned.environment))
    person = TerminalPerson(shown, flow.operator()) if carry.on_terminal(options) else None
    try:
        asyncio.run(_follow(settings, watched, shown, person))
    except KeyboardInterrupt:
        shown.close()
        say(f"\n{watched.record.id} goes on without you; opsbook cancel {watched.record.id} stops it.", to=sys.stderr)
        return 0
    finally:
        shown.close()
    finished = watched.finished()
    shown.finish(finished, settings)
    return int(finished.ending.exit_code)


def _plan(watched: flow.Watched) -> Plan:
    try:
        return TypeAdapter(Plan).validate_json(watched.record.text("plan.json"))
    except ValidationError as error:
        raise watched.record.damaged("plan.json") from error


async def _follow(settings: Settings, watched: flow.Watched, shown: view.View, person: TerminalPerson | None) -> None:
    """Show what comes, and put each question to the person who watches, until the run is over."""
    asking: tuple[int, asyncio.Task[None]] | None = None
    try:
        while True:
            state = watched.state()
            for event in watched.events():
                shown.event(event)
            if state != "running":
                return
            stands = watched.question[0] if watched.question else None
            if asking and (asking[0] != stands or asking[1].done()):
                await _withdrawn(asking[1])
                asking = None if asking[0] != stands else asking
            if person and watched.question and asking is None:
                asking = watched.question[0], asyncio.create_task(_ask(settings, watched, person))
            await asyncio.sleep(flow.EVERY)
    finally:
        if asking:
            await _withdrawn(asking[1])


async def _withdrawn(task: "asyncio.Task[None]") -> None:
    """Take a question back that was answered elsewhere."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _ask(settings: Settings, watched: flow.Watched, person: TerminalPerson) -> None:
    assert watched.question is not None
    number, question = watched.question
    try:
        answer = await person.ask(question)
    except Gone:
        return
    given: dict[str, str | int] = {"name": question.name, "value": answer.value, "note": answer.note}
    request: dict[str, str | int] = {"kind": "answer", **given, "asked": number}
    with contextlib.suppress(InputError):
        flow.send(settings, watched.record.id, request)
