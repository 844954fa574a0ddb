"""Serve a notebook outside a run: JupyterLab has the page open."""

import asyncio

from opsbook.errors import InputError
from opsbook.flow.context import context, vault
from opsbook.model.redact import Redactor
from opsbook.policy import environment as environments
from opsbook.run import runner
from opsbook.settings import Settings


def session(settings: Settings, descriptor: int, name: str | None) -> None:
    """Serve the gate of a notebook that was opened outside a run, until its kernel goes away."""
    known = [environments.load(settings, each) for each in environments.names(settings)]
    known.sort(key=lambda e: (not e.policy.sandbox, e.policy.order, e.name))
    if name is None and not known:
        raise InputError("There is no environment.", "One is a folder playbooks/inventories/NAME with a hosts.yml.")
    environment = environments.load(settings, name) if name else known[0]
    redactor = Redactor()
    held = vault(settings, environment, {}, {}, redactor)
    seen = context(settings, environment, "session", "session")
    asyncio.run(runner.session(descriptor, environment, seen, redactor, held))
