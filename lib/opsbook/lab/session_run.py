"""A session is a run whose steps a person chooses: it takes its locks, and leaves a record (ADR 29).

It serves a notebook outside a run: a page that is open in JupyterLab.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from opsbook.core.catalog import catalog
from opsbook.core.engine import runner
from opsbook.core.engine.cancel import undisturbed
from opsbook.core.engine.gate import Scope
from opsbook.core.engine.process import spare
from opsbook.core.engine.secrets import Vault
from opsbook.core.locks.locking import acquire
from opsbook.core.model.effect import Effect, Mode
from opsbook.core.model.environment import Environment
from opsbook.core.model.event import Data, Event
from opsbook.core.model.events import CancelRequested, Fact, Locked, ParametersInjected
from opsbook.core.model.outcome import Ending, Outcome
from opsbook.core.model.parameter import literal
from opsbook.core.model.past import Past
from opsbook.core.model.planned import Planned, RunOptions
from opsbook.core.model.recording import Tape
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.sink import NullSink, Stream
from opsbook.core.planning import bind, drafts, tree
from opsbook.core.planning.context import operator, seen, vault
from opsbook.core.record import store
from opsbook.core.record.journal import Journal
from opsbook.core.source import notebook as pages
from opsbook.core.trust.authorization import check_page, closed_to_sessions
from opsbook.errors import InputError, Refused
from opsbook.operate import run_record
from opsbook.replay import recordings, replaying
from opsbook.settings import Settings


class SessionRun:
    """The record and the locks of one session. Nothing is written before a cell asks for an effect.

    `secrets` are references of the page's own secret parameters. Implements model.sink.Sink.
    """

    def __init__(
        self,
        settings: Settings,
        page: Runbook,
        environment: Environment,
        held: Vault,
        secrets: Mapping[str, str],
        run: str,
    ) -> None:
        self._settings, self._page, self._environment = settings, page, environment
        self._held, self._secrets, self._run = held, dict(secrets), run
        self._open = {each.name: each for each in page.parameters if not each.secret}
        self._bound = self._bind({})
        self._told = ""
        self._locked: frozenset[str] = frozenset()
        self._past = Past(Mode.SESSION)
        self._cancelled = ""
        self._hold: int | None = None
        self._began = time.monotonic()

    # -- before an effect

    def admit(self, effect: Effect, values: Mapping[str, Any]) -> str:
        """Why the effect may not happen now; empty if it may. `values` are the parameters as they are now, as text.

        Before a change, it takes the locks that these values name. A session keeps them until it ends.
        """
        given = {name: value for name, value in values.items() if name in self._open}
        self._bound = self._bind(given)
        written = {name: literal(self._open[name], value) for name, value in self._bound.values.items()}
        shown = {name: repr(value) for name, value in given.items()} | written
        told = "\n".join(f"{name} = {value}" for name, value in shown.items())
        if told != self._told:
            self.write(ParametersInjected(source=told))
        self._told = told
        return self._closed() if effect.changes else ""

    def _bind(self, values: Mapping[str, Any]) -> bind.Bound:
        return replace(bind.bind(list(self._open.values()), values, self._environment), secrets=self._secrets)

    def _closed(self) -> str:
        try:
            # As it is now: a kernel may live for days.
            self._environment = drafts.environment(self._settings, self._environment.name)
            check_page(self._page, self._environment, "")
            self._bound.complete(self._page.name)
        except InputError as error:
            return " ".join(error.problems)
        if why := closed_to_sessions(self._settings, self._environment):
            return why
        plan = self._planned().plan
        try:
            acquire(self._settings, self._book.folder.name, plan, operator())()
        except Refused as error:
            return error.whole
        if not self._locked.issuperset(plan.locks):
            self._locked |= set(plan.locks)
            self.write(Locked(targets=sorted(self._locked)), durable=True)
        return ""

    # -- the record

    @cached_property
    def _tree(self) -> tree.Tree:
        return tree.of_folder(self._settings)

    def _planned(self) -> Planned:
        """What the session would be as a run with the values of now. Without all of them, its locks are not known."""
        page, bound = self._page, self._bound
        if bound.missing or bound.problems:
            page = replace(page, front=replace(page.front, lock=()))
        there = bind.Bound(bound.values, bound.secrets)
        return drafts.plan(self._settings, drafts.Draft(page, self._environment, there, self._tree))

    @cached_property
    def _book(self) -> Journal:
        """The journal, which begins when it is first asked for. Raises InputError."""
        options, redactor = RunOptions(Mode.SESSION), self._held.redactor
        context, book = run_record.begun(self._settings, self._planned(), options, redactor, self._run)
        self._hold = context.workspace.hold
        started = run_record.started(context, self._settings.root)
        self._past.take(book.write(replace(started, steps=()), durable=True))
        return book

    def end(self) -> None:
        """Seal the record. The locks stay only where the outcome of a change is unknown."""
        if self._hold is None:
            return
        left = [known.effect.summary for known in self._past.unsettled()]
        unknown = f"; the outcome of {', '.join(left)} is unknown" if left else ""
        reason = (f"cancelled by {self._cancelled}" if self._cancelled else "the notebook was closed") + unknown
        outcome = Outcome.CANCELLED if left else Outcome.ENDED
        ending = Ending(outcome, reason, self._past.changed, time.monotonic() - self._began)
        run_record.close(self._settings, self._book, self._page, ending, self._held.redactor)
        os.close(self._hold)

    # -- the sink

    def write(self, fact: Fact, *, durable: bool = False) -> Event:
        if isinstance(fact, CancelRequested):
            self._cancelled = self._cancelled or fact.by
        event = self._book.write(fact, durable=durable)
        self._past.take(event)
        return event

    def reserve(self, results: int) -> None:
        self._book.reserve(results)

    def blob(self, folder: str, name: str, data: bytes) -> Data:
        return self._book.blob(folder, name, data)

    def stream(self, folder: str, name: str) -> Stream:
        return self._book.stream(folder, name)


# -- serve a notebook outside a run


_UNKNOWN = """\
---
title: A notebook
lock: ["{environment}"]
---
# A notebook

It was opened outside a run, and is no page of this project. So it has locked the whole environment.
"""


def session(
    settings: Settings, descriptor: int, name: str | None, secrets: Mapping[str, str], page: Runbook | None = None
) -> None:
    """Serve the gate of a notebook that was opened outside a run, until its kernel ends; leaves a record.

    `secrets` are the references of the page's own secret parameters.
    """
    chosen = drafts.environment(settings, name)
    page = page or pages.parse(_UNKNOWN, "notebook.md")[0]
    held = vault(settings, chosen, secrets, {}, page=page.name)
    run = spare.new_run(page.name)
    kept = SessionRun(settings, page, chosen, held, secrets, run)
    scope = Scope(Mode.SESSION, seen(settings, chosen, run, Mode.SESSION), admit=kept.admit)
    names = [parameter.name for parameter in page.parameters]
    inbox = store.place(settings.records, run) / "inbox"
    with undisturbed():
        asyncio.run(runner.session(descriptor, scope, held, kept, names, inbox))
        kept.end()


def page_of(settings: Settings, notebook: str) -> Runbook | None:
    """The page that is open as this notebook, by its path; None if it is none of the project's."""
    found = (entry for entry in catalog.entries(settings) if settings.root / entry.path == Path(notebook).resolve())
    return next((catalog.load(settings, entry.name) for entry in found), None)


def replay_session(settings: Settings, descriptor: int, wanted: str, *, asks: bool) -> None:
    """Serve the gate of a notebook whose effects are all answered from a run or a recording. It leaves no record.

    With `asks`, the user answers questions, and is then told the recorded answer.
    """
    recording, _ = recordings.load(settings, wanted)
    held = replaying.vault(recording)
    tape = Tape(replaying.restored(recording, held), strict=False, asks=asks)
    scope = Scope(Mode.SESSION, replaying.seen(settings, recording), replaying.past(recording), tape=tape)
    asyncio.run(runner.session(descriptor, scope, held, NullSink()))
