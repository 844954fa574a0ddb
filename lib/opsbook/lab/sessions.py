"""Serve a notebook outside a run: a page that is open in JupyterLab."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from opsbook.core.catalog import catalog
from opsbook.core.engine import runner
from opsbook.core.engine.cancel import undisturbed
from opsbook.core.engine.gate import Scope
from opsbook.core.engine.process import spare
from opsbook.core.engine.sinks import NullSink
from opsbook.core.model.effect import Mode
from opsbook.core.model.recording import Tape
from opsbook.core.model.runbook import Runbook
from opsbook.core.planning.context import seen, vault
from opsbook.core.planning.drafts import environment
from opsbook.core.record import store
from opsbook.core.source import notebook as pages
from opsbook.lab.session_run import SessionRun
from opsbook.replay import recordings, replaying
from opsbook.settings import Settings

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
    chosen = environment(settings, name)
    held = vault(settings, chosen, secrets, {})
    page = page or pages.parse(_UNKNOWN, "notebook.md")[0]
    run = spare.new_run(page.name)
    kept = SessionRun(settings, page, chosen, held, secrets, run)
    scope = Scope(Mode.SESSION, seen(settings, chosen, run, Mode.SESSION), admit=kept.admit)
    names = [parameter.name for parameter in page.parameters]
    book = runner.Notebook(kept, names, store.place(settings.records, run) / "inbox")
    with undisturbed():
        asyncio.run(runner.session(descriptor, scope, held, book))
        kept.end()


def page_of(settings: Settings, notebook: str) -> Runbook | None:
    """The page that is open as this notebook, by its path; None if it is none of the project's."""
    found = (entry for entry in catalog.entries(settings) if settings.root / entry.path == Path(notebook).resolve())
    return next((catalog.load(settings, entry.name) for entry in found), None)


def replay_session(settings: Settings, descriptor: int, wanted: str, *, asks: bool) -> None:
    """Serve the gate of a notebook whose effects are all answered from a run or a recording. It leaves no record.

    With `asks`, the user answers questions, and is then told the recorded answer.
    """
    recording = recordings.load(settings, wanted).recording
    held = replaying.vault(recording)
    tape = Tape(replaying.restored(recording, held), strict=False, asks=asks)
    scope = Scope(Mode.SESSION, replaying.seen(settings, recording), replaying.past(recording), tape=tape)
    asyncio.run(runner.session(descriptor, scope, held, runner.Notebook(NullSink())))
