"""Views of a running run: live on a terminal, plain lines on a pipe, JSON for programs.

Everything shown comes from the journal's events, so it is redacted. Each view has one function that prints; it
removes control sequences and shortens long output.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from opsbook.console.json_view import JsonView
from opsbook.console.live_view import LiveView
from opsbook.console.plain_view import PlainView
from opsbook.core.model.event import Event
from opsbook.core.model.plan import Plan
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.operate.run_record import Finished

Listener = Callable[[Event], None]


class View(Protocol):
    """Shows one run."""

    def start(self, run: str, plan: Plan, usual: Mapping[str, float]) -> None: ...
    def event(self, event: Event) -> None: ...
    def paused(self) -> contextlib.AbstractContextManager[None]: ...
    def once(self, text: str) -> str: ...
    def close(self) -> None: ...
    def finish(self, finished: "Finished", settings: Settings) -> None: ...


def choose(*, terminal: bool, as_json: bool, quiet: bool = False) -> View:
    """The view for the output's destination; `quiet` leaves out what steps print, except for errors."""
    if as_json:
        return JsonView()
    live = terminal and os.environ.get("TERM") != "dumb"
    return LiveView(quiet=quiet) if live else PlainView(quiet=quiet)
