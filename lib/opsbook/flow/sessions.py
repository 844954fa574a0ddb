"""Serve a notebook outside a run: JupyterLab has the page open."""

import asyncio

from opsbook.flow.context import context, vault
from opsbook.flow.drafts import environment
from opsbook.model.redact import Redactor
from opsbook.run import runner
from opsbook.settings import Settings


def session(settings: Settings, descriptor: int, name: str | None) -> None:
    """Serve the gate of a notebook that was opened outside a run, until its kernel goes away."""
    chosen = environment(settings, name)
    redactor = Redactor()
    held = vault(settings, chosen, {}, {}, redactor)
    seen = context(settings, chosen, "session", "session")
    asyncio.run(runner.session(descriptor, chosen, seen, held))
