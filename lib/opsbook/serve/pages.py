"""The pages of `opsbook serve`. Every text is from outside, and escaped by the templates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from opsbook import html
from opsbook.core.record import journal, seal
from opsbook.core.record import store as records
from opsbook.core.source.page_name import FOLDERS
from opsbook.errors import InputError
from opsbook.incidents import reviewing, store, timeline
from opsbook.incidents.incident import Incident
from opsbook.operate import under_way
from opsbook.serve import forms
from opsbook.serve.worker import Counted
from opsbook.settings import Settings

_MOST = 50
"""Incidents that are over, and are listed."""


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page: `who` acts in it, or nobody if that is empty.

    `form` is the form that they sent and that was not done, `said` what they filled in, and `problem` why not.
    """

    who: str = ""
    form: str = ""
    said: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def listing(settings: Settings, counted: Counted, site: Path | None, visitor: Visitor) -> str:
    """The incidents: those that are open, and the latest of the others. `site` is the folder of the docs site."""
    open_: list[Incident] = []
    over: list[Incident] = []
    for path in store.every(settings.records):
        if store.sealed(path) and len(over) >= _MOST:
            continue
        found = store.shown(path)
        (over if found.over else open_).append(found)
    told = {"counted": counted, "now": datetime.now(UTC), "site": site}
    shown = {"visitor": visitor, "forms": [forms.opening(settings)] if visitor.who else []}
    return html.render("serve/incidents.html", open=open_, over=over[:_MOST], **told, **shown)


class IncidentPage:
    """The page of an incident; its script keeps it current."""

    def __init__(self, settings: Settings, path: Path, site: Path | None) -> None:
        self._settings, self._path, self._site = settings, path, site
        self._found = store.load(path)

    def text(self, visitor: Visitor) -> str:
        """The whole page."""
        offered = forms.forms(self._settings, self._found.state) if visitor.who else []
        return html.render("serve/incident.html", **self._values(), visitor=visitor, forms=offered)

    def mark(self) -> tuple[int, ...]:
        """Changes when the page does: the length of the journal, and which of its runs have ended."""
        places = (records.place(self._settings.records, run) for run in self._found.runs)
        return ((self._path / journal.NAME).stat().st_size, *(int((each / records.SEAL).exists()) for each in places))

    def body(self) -> str:
        """What changes. Raises InputError for a journal that cannot be read."""
        self._found = store.load(self._path)
        return html.render("serve/incident-body.html", **self._values())

    def _values(self) -> dict[str, object]:
        found = self._found
        return {
            "found": found,
            "entries": list(timeline.entries(found))[::-1],
            "phases": timeline.phases(found),
            "runs": [(fact, reviewing.outcome(self._settings, run)) for run, fact in found.runs.items()],
            "page": _page(found, self._site) if self._site else "",
            "command": found.run_line if not found.over else "",
            "after": found.after,
        }


def run(settings: Settings, wanted: str) -> tuple[str, bool]:
    """The page of a run, and whether it is that of its record. Raises InputError if there is no such run."""
    found = RunPage(settings, wanted)
    record = found.record
    if record.state == "sealed" and (record.folder / records.PAGE).exists():
        if seal.verify(record.folder):
            raise InputError(f"{record.id} was changed after it was sealed: opsbook records verify {record.id}")
        return record.text(records.PAGE), True
    return html.render("serve/run.html", **found.values()), False


class RunPage:
    """The page of a run that somebody watches."""

    def __init__(self, settings: Settings, wanted: str) -> None:
        self._settings, self._run = settings, wanted
        self.record = self._found()

    def _found(self) -> records.Record:
        found = records.exact(self._settings.records, self._run)
        # In quarantine, a secret is in it.
        if found is None or found.folder.parent.name == records.QUARANTINE:
            raise InputError(f"There is no run {self._run}.")
        return found

    def mark(self) -> tuple[int, ...]:
        """Changes when the page does."""
        folder = self.record.folder
        return ((folder / journal.NAME).stat().st_size, int((folder / records.SEAL).exists()))

    def body(self) -> str:
        """What changes."""
        return html.render("serve/run-body.html", **self.values())

    def values(self) -> dict[str, object]:
        record = self._found()
        return {"run": record.id, "told": record.glance(), "now": under_way.now(record), "state": record.state}


def problem(message: str) -> str:
    return html.render("serve/problem.html", message=message)


def _page(found: Incident, site: Path) -> str:
    """The address of the incident's page on the docs site, with its values; empty if the site has none."""
    values = {**({"environment": found.environment} if found.environment else {}), **found.parameters}
    query = f"?{urlencode(values, quote_via=quote)}" if values else ""
    places = (f"{folder}/{found.runbook}.html" for folder in FOLDERS)
    return next((f"/site/{quote(each)}{query}" for each in places if (site / each).is_file()), "")
