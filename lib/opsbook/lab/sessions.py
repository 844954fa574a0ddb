"""Serve a notebook outside a run: a page that is open in JupyterLab."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from opsbook.core.catalog import catalog
from opsbook.core.engine import runner
from opsbook.core.engine.gate import Scope
from opsbook.core.model.effect import Mode
from opsbook.core.model.environment import Environment
from opsbook.core.model.parameter import Parameter
from opsbook.core.model.recording import Tape
from opsbook.core.planning.bind import bind
from opsbook.core.planning.context import seen, vault
from opsbook.core.planning.drafts import environment
from opsbook.core.trust.authorization import closed_to_sessions
from opsbook.replay import recordings, replaying
from opsbook.settings import Settings


def session(
    settings: Settings, descriptor: int, name: str | None, secrets: Mapping[str, str], page: str | None = None
) -> None:
    """Serve the gate of a notebook that was opened outside a run, until its kernel ends.

    `secrets` are the references of the page's own secret parameters. The values of the parameters of `page`, which
    somebody may edit there, are checked before anything is changed with them.
    """
    chosen = environment(settings, name)
    held = vault(settings, chosen, secrets, {})
    here = seen(settings, chosen, "session", "session")
    parameters = catalog.load(settings, page).parameters if page else ()
    scope = Scope(
        Mode.SESSION,
        here,
        closed=partial(closed_to_sessions, settings, chosen),
        unusable=partial(_unusable, parameters, chosen),
    )
    asyncio.run(runner.session(descriptor, scope, held))


def _unusable(parameters: Sequence[Parameter], chosen: Environment, values: Mapping[str, Any]) -> str:
    """Why these values cannot be used: the sentences of a run that is refused for them."""
    open_ = [parameter for parameter in parameters if not parameter.secret]
    return " ".join(bind(open_, values, chosen).problems)


def replay_session(settings: Settings, descriptor: int, wanted: str, *, asks: bool) -> None:
    """Serve the gate of a notebook whose effects are all answered from a run or a recording.

    With `asks`, the user answers questions, and is then told the recorded answer.
    """
    recording = recordings.load(settings, wanted).recording
    held = replaying.vault(recording)
    tape = Tape(replaying.restored(recording, held), strict=False, asks=asks)
    scope = Scope(Mode.SESSION, replaying.seen(settings, recording), replaying.past(recording), tape=tape)
    asyncio.run(runner.session(descriptor, scope, held))
