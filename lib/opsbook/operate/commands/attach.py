"""Watch a run that was started elsewhere, and answer its questions. Ctrl-C detaches; the run continues."""

import argparse
import asyncio
import contextlib
import os
import sys

from opsbook.console import common, view
from opsbook.console.person import TerminalPerson, answered
from opsbook.console.text import say
from opsbook.core.model.event import Event
from opsbook.core.model.events import QuestionAnswered, RequestRefused, RequestTaken, read
from opsbook.core.model.person import Gone
from opsbook.core.planning import context
from opsbook.core.record import step_timings, store
from opsbook.errors import InputError
from opsbook.operate import run_requests, watching
from opsbook.operate.commands import run_command
from opsbook.operate.following import StandingQuestion
from opsbook.settings import Settings


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    watched = watching.Watched(settings, store.find(settings.records, options.run))
    run, planned = watched.record.id, watched.record.plan()
    shown = view.choose(terminal=sys.stdout.isatty(), as_json=options.json)
    person = TerminalPerson(shown, context.operator()) if run_command.on_terminal(options) else None
    try:
        shown.start(run, planned, step_timings.seconds(settings.records, planned.runbook, planned.environment))
        asyncio.run(_Follower(settings, watched, shown, person).follow())
    except KeyboardInterrupt:
        shown.close()
        say("", f"{run} goes on without you; opsbook cancel {run} stops it.", to=sys.stderr)
        return 0
    finally:
        shown.close()
    finished = watched.finished()
    shown.finish(finished, settings)
    return int(finished.ending.exit_code)


class _Follower:
    """Shows events, and asks the watching person each question, until the run is over."""

    def __init__(
        self, settings: Settings, watched: watching.Watched, shown: view.View, person: TerminalPerson | None
    ) -> None:
        self._settings = settings
        self._watched = watched
        self._shown = shown
        self._person = person
        self._asked = 0
        self._asking: asyncio.Task[None] | None = None
        self._pending = False
        self._taken = 0

    async def follow(self) -> None:
        try:
            while True:
                # State before events: once the run is over, its journal is complete.
                state = self._watched.state()
                events = self._watched.events()
                standing = self._watched.following.first
                if standing is None or standing.number != self._asked:
                    # It was answered: withdrawn before anything else is shown.
                    await self._withdraw()
                for event in events:
                    self._settle(event)
                    self._shown.event(event)
                if state != "running":
                    return
                self._put()
                await asyncio.sleep(watching.EVERY)
        finally:
            await self._withdraw()

    def _put(self) -> None:
        """Ask the run's open question once, and only after the last answer was accepted or refused."""
        standing = self._watched.following.first
        if self._person is None or self._pending or standing is None or standing.number == self._asked:
            return
        self._asked = standing.number
        self._asking = asyncio.create_task(self._ask(self._person, standing))

    async def _ask(self, person: TerminalPerson, standing: StandingQuestion) -> None:
        question, run = standing.question, self._watched.record.id
        try:
            answer = await person.ask(question)
        except Gone:
            # The person ended the input but may keep watching; the question stays open.
            say("", f"  not answered here; opsbook answer {run} {question.name}=… does it from any terminal")
            return
        given: dict[str, str | int] = {"name": question.name, "value": answer.value, "note": answer.note}
        request = {"kind": "answer", **given, "asked": standing.number, "sender": os.getpid()}
        try:
            run_requests.send(self._settings, run, request)
            self._pending = True
        except InputError as error:
            say(f"  {error.message}")
        except OSError as error:
            say(f"  Your answer cannot be sent: {error.strerror}.")

    def _settle(self, event: Event) -> None:
        """Print what became of the question, unless this terminal answered it."""
        match read(event):
            case RequestTaken(request=request) if self._pending and request.get("sender") == os.getpid():
                self._taken, self._pending = self._asked, False
            case RequestRefused(file=file, why=why) if self._pending and file.endswith(f"-{os.getpid()}.json"):
                say(f"  Your answer came too late: {why}.")
                self._pending, self._asked = False, 0
            case QuestionAnswered() as answer if self._asked and answer.asked == self._asked != self._taken:
                say(answered(answer))

    async def _withdraw(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
            self._asking = None
