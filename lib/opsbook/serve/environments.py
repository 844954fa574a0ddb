"""The page of the environments: how each is now, with what runs in it, its incidents and its dashboards."""

import time
from collections import defaultdict
from typing import Any

from opsbook import html
from opsbook.core.planning import environment
from opsbook.environments import state
from opsbook.incidents import store
from opsbook.serve import dashboards
from opsbook.settings import Settings

_EVERY = 15.0
"""Seconds after which everything is asked anew."""


class EnvironmentsPage:
    """The page that somebody watches."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def mark(self) -> tuple[int, ...]:
        """Changes when everything is to be asked anew."""
        return (int(time.monotonic() / _EVERY),)

    def text(self) -> str:
        return html.render("serve/environments.html", **self._values())

    def body(self) -> str:
        """What changes."""
        return html.render("serve/environments-body.html", **self._values())

    def _values(self) -> dict[str, Any]:
        known, broken = environment.every(self._settings)
        plotted = defaultdict(list)
        for place, name in dashboards.listed(self._settings):
            plotted[place].append(name)
        return {
            "states": state.states(self._settings, known),
            "broken": [problem for error in broken for problem in error.problems],
            "dashboards": plotted,
            "incidents": list(store.open_(self._settings)),
            "in_words": state.in_words,
        }
