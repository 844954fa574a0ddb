"""One event a line, for programs; the last line names the record's folder."""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from opsbook.console.story import shown
from opsbook.console.text import json_text, say_text
from opsbook.core.model.event import Event
from opsbook.core.model.plan import Plan
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.operate.run_record import Finished


class JsonView:
    """Prints each event as JSON."""

    def start(self, run: str, plan: Plan, usual: Mapping[str, float]) -> None:
        """Nothing: the first event has it."""

    def event(self, event: Event) -> None:
        self._line(asdict(event))

    def _line(self, content: dict[str, Any]) -> None:
        say_text(json_text(content))

    def once(self, text: str) -> str:
        return text

    def paused(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def close(self) -> None:
        """Nothing is open."""

    def finish(self, finished: "Finished", settings: Settings) -> None:
        ending = finished.ending
        content = {
            "type": "record",
            "run": finished.run,
            "folder": shown(finished.folder, settings),
            "outcome": ending.outcome,
            "exit_code": int(ending.exit_code),
            "quarantined": list(finished.quarantined),
        } | ({"check": finished.told["check"]} if "check" in finished.told else {})
        self._line(content)
