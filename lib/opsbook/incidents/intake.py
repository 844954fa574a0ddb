"""Alerts become incidents: what Alertmanager's webhook sends, group by group.

The same notification may come again, after a lost answer or a kill: an alert that is known is not written twice. Every
text of an alert is data from outside. It is never a command, a path or markup.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from opsbook.core.catalog import catalog
from opsbook.core.model.events import Fact
from opsbook.core.model.redact import Redactor
from opsbook.core.model.text import one_line
from opsbook.core.planning import environment
from opsbook.errors import InputError, OpsbookError
from opsbook.incidents import acting, facts, overview, store
from opsbook.incidents.incident import Incident
from opsbook.settings import Settings

BY = "alertmanager"
"""Who opens an incident for an alert."""

HEARTBEAT = "none"
"""Severity of an alert that always fires, to show that alerts arrive. It opens no incident."""

_LONGEST = 4096
"""Characters of a label or an annotation that are kept."""


def _time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


_Short = Annotated[str, StringConstraints(max_length=1024)]
_Time = Annotated[str, StringConstraints(max_length=64), AfterValidator(_time)]
_Words = Annotated[dict[_Short, str], Field(max_length=128)]


class Notified(BaseModel):
    """An alert in a notification."""

    status: Literal["firing", "resolved"]
    labels: _Words
    annotations: _Words = {}
    startsAt: _Time  # noqa: N815  (Alertmanager's name)
    endsAt: _Time = "0001-01-01T00:00:00+00:00"  # noqa: N815
    fingerprint: _Short

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")


class Notification(BaseModel):
    """What Alertmanager's webhook sends, format 4: one group of alerts."""

    groupKey: _Short  # noqa: N815
    alerts: list[Notified]


@dataclass(frozen=True)
class Page:
    """The page that helps with an alert, and the labels that are its parameters. `name` is empty if none names it."""

    name: str = ""
    parameters: Mapping[str, str] | None = None


class Intake:
    """Writes notifications into incidents. It knows the last incident of each group, so use one for a project."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: dict[str, str] = {}
        self._redactors: dict[str, Redactor] = {}
        for path in reversed(list(store.every(settings))):
            if key := store.key_of(path):
                self._last[key] = path.name

    def unfinished(self) -> Iterator[Incident]:
        """Open incidents of alerts: if the process was killed, nobody was told, or nothing was checked."""
        return (found for found in overview.open_(self._settings) if found.by == BY)

    def take(self, notifications: Iterable[Notification]) -> list[Incident]:
        """Write these down; returns the incidents that were opened for them. Raises InputError if that fails."""
        opened = []
        for key, alerts in _by_group(notifications).items():
            if (made := self._group(key, alerts)) is not None:
                opened.append(made)
        return opened

    def _group(self, key: str, alerts: Sequence[Notified]) -> Incident | None:
        """Add the alerts of a group to its incident, or open one; returns it if it is new."""
        left: Sequence[Notified] = alerts
        if key in self._last:
            path = store.folder(self._settings) / self._last[key]
            try:
                left = self._added(path, alerts)
            except InputError:
                # Somebody damaged or removed it. The alerts must not be lost: they get an incident of their own.
                left = alerts
        firing = [each for each in _last_of_each(left) if each.status == "firing"]
        return self._open(key, firing) if firing else None

    def _added(self, path: Path, alerts: Sequence[Notified]) -> Sequence[Notified]:
        """Add to an incident; returns the alerts for which it is too late, because it is over."""
        left: Sequence[Notified] = ()

        def work(now: Incident) -> list[Fact]:
            nonlocal left
            if not now.over:
                return list(_news(now, alerts))
            # Alertmanager repeats itself: only what began since then is new.
            left = [each for each in alerts if (each.fingerprint, each.startsAt) not in now.alerts]
            return []

        store.change(self._settings, path, work, self._redactor)
        return left

    def _open(self, key: str, firing: Sequence[Notified]) -> Incident:
        first = min(firing, key=lambda each: self._rank(each.labels.get("severity", "")))
        place = first.labels.get("environment", "")
        known = place in environment.names(self._settings)
        page = page_for(self._settings, first)
        opened = facts.IncidentOpened(
            incident=store.new_id(),
            title=one_line(first.annotations.get("summary") or first.name or "an alert without a name"),
            severity=self._severity(first.labels.get("severity", "")),
            environment=place if known else "",
            by=BY,
            key=key,
            runbook=page.name,
            parameters=dict(page.parameters or {}),
        )
        made = store.create(self._settings, [opened, *map(_fired, firing)], self._redactor(place if known else ""))
        self._last[key] = made.id
        return made

    def _rank(self, severity: str) -> int:
        names = [each.lower() for each in acting.severities(self._settings)]
        return names.index(severity.lower()) if severity.lower() in names else 0

    def _severity(self, severity: str) -> str:
        """A severity that is not known is the worst: whoever is unsure takes the higher one."""
        return acting.severities(self._settings)[self._rank(severity)]

    def _redactor(self, place: str) -> Redactor:
        if place not in self._redactors:
            self._redactors[place] = acting.redactor(self._settings, place)
        return self._redactors[place]


def page_for(settings: Settings, alert: Notified) -> Page:
    """The page whose front matter names the alert, with values for its parameters.

    Of several pages the one that the alert's runbook_url leads to. Values are what stands in the query of that address,
    and labels with the names of parameters.
    """
    named = [each.name for each in catalog.entries(settings) if alert.name in each.front.alerts]
    meant, query = _address(alert.annotations.get("runbook_url", ""))
    found = next((name for name in named if name == meant), named[0] if named else "")
    if not found:
        return Page()
    try:
        names = {each.name for each in catalog.load(settings, found).parameters}
    except OpsbookError:
        return Page(found, {})
    said = {**alert.labels, **query} if found == meant else alert.labels
    return Page(found, {name: value for name, value in said.items() if name in names})


def _address(url: str) -> tuple[str, dict[str, str]]:
    """The page that an address leads to, and its query; empty for what is no address."""
    try:
        parts = urlsplit(url)
        return PurePosixPath(parts.path).stem, dict(parse_qsl(parts.query))
    except ValueError:
        return "", {}


def _by_group(notifications: Iterable[Notification]) -> dict[str, list[Notified]]:
    """Alerts by their group, in the order in which they came; heartbeats are left out."""
    found: dict[str, list[Notified]] = {}
    for each in notifications:
        alerts = [alert for alert in each.alerts if alert.labels.get("severity") != HEARTBEAT]
        if alerts:
            found.setdefault(each.groupKey, []).extend(alerts)
    return found


def _last_of_each(alerts: Iterable[Notified]) -> Iterable[Notified]:
    return {(each.fingerprint, each.startsAt): each for each in alerts}.values()


def _news(now: Incident, alerts: Iterable[Notified]) -> Iterator[Fact]:
    """What the incident does not know yet."""
    fires = {key: not each.ended for key, each in now.alerts.items()}
    for each in alerts:
        key = (each.fingerprint, each.startsAt)
        if each.status == "firing" and key not in fires:
            fires[key] = True
            yield _fired(each)
        elif each.status == "resolved" and fires.get(key):
            fires[key] = False
            yield facts.AlertCleared(
                fingerprint=each.fingerprint, name=each.name, starts=each.startsAt, ends=each.endsAt
            )


def _fired(alert: Notified) -> facts.AlertFired:
    return facts.AlertFired(
        fingerprint=alert.fingerprint,
        name=alert.name,
        labels=_cut(alert.labels),
        annotations=_cut(alert.annotations),
        starts=alert.startsAt,
    )


def _cut(words: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:_LONGEST] for name, value in words.items()}


def no_page(found: Incident) -> facts.NotDiagnosed | None:
    """Why a new incident cannot be diagnosed by a page; None if it can be tried."""
    if not found.runbook:
        names = sorted({each.name for each in found.alerts.values()})
        return facts.NotDiagnosed(why=f"no page names {', '.join(names)} under alerts")
    if not found.environment:
        return facts.NotDiagnosed(runbook=found.runbook, why="its labels name no environment of this project")
    return None


def parsed(data: bytes) -> Notification:
    """A notification from its JSON. Raises InputError for anything else."""
    try:
        return Notification.model_validate_json(data)
    except (ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else "it is nested too deeply"
        raise InputError(f"This is no notification of Alertmanager: {first}.", "Nothing was kept.") from error
