"""Alerts become incidents: what Alertmanager's webhook sends, group by group.

The same notification may come again, after a lost answer or a kill: an alert that is known is not written twice. Every
text of an alert is data from outside. It is never a command, a path or markup.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from opsbook.core.catalog import catalog
from opsbook.core.model.events import Fact
from opsbook.core.model.redact import Redactor
from opsbook.core.model.text import one_line
from opsbook.core.planning import environment
from opsbook.errors import InputError, OpsbookError
from opsbook.incidents import acting, facts, store
from opsbook.incidents.incident import Incident
from opsbook.settings import Settings

BY = "alertmanager"
"""Who opens an incident for an alert."""

HEARTBEAT = "none"
"""Severity of an alert that always fires, to show that alerts arrive. It opens no incident."""

_LONGEST, _NAME = 4096, 200
"""Characters of a label or an annotation, and of an alert's name, that are kept."""

HEARD_NOTHING = "opsbook"
"""Who opens an incident because alerts stopped coming."""


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
        return self.labels.get("alertname", "")[:_NAME]


class Notification(BaseModel):
    """What Alertmanager's webhook sends, format 4: one group of alerts."""

    groupKey: Annotated[str, StringConstraints(max_length=65536)]  # noqa: N815
    alerts: list[Notified]


class Heard(NamedTuple):
    """An alert, and when its notification was accepted (UTC, ISO 8601)."""

    time: str
    alert: Notified


Accepted = tuple[str, Notification]
"""When a notification was accepted (UTC, ISO 8601), and the notification."""

OnOpened = Callable[[Incident], None]


class Intake:
    """Writes notifications into incidents. It knows the last incident of each group, so use one for a project."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: dict[str, str] = {}
        self._redactors: dict[str, Redactor] = {}
        self.failing = ""
        for path in reversed(list(store.every(settings.records))):
            if key := store.key_of(path):
                self._last[key] = path.name

    def take(self, accepted: Iterable[Accepted], on_opened: OnOpened) -> set[str]:
        """Write these down, and tell of each incident that was opened, at once.

        Returns the groups that could not be written now: they have to come again. `failing` says why. One that fails
        keeps no other from being written.
        """
        failed: dict[str, str] = {}
        # A secret may have been changed since the last time.
        self._redactors.clear()
        for key, alerts in _by_group(accepted).items():
            try:
                made = self._group(key, alerts)
            except (OSError, OpsbookError) as error:
                failed[key] = str(error)
            else:
                if made is not None:
                    on_opened(made)
        self.failing = "; ".join(sorted(set(failed.values())))
        return set(failed)

    def _group(self, key: str, alerts: Sequence[Heard]) -> Incident | None:
        """Add the alerts of a group to its incident, or open one; returns it if it is new."""
        left: Sequence[Heard] = alerts
        if key in self._last:
            path = store.folder(self._settings) / self._last[key]
            try:
                left = self._added(path, alerts)
            except (InputError, FileNotFoundError, PermissionError):
                # Somebody damaged or removed it. The alerts must not be lost: they get an incident of their own.
                left = alerts
        last = {(each.alert.fingerprint, each.alert.startsAt): each.alert for each in left}
        firing = [each for each in last.values() if each.status == "firing"]
        return self._open(key, firing) if firing else None

    def _added(self, path: Path, alerts: Sequence[Heard]) -> Sequence[Heard]:
        """Add to an incident; returns the alerts for which it is too late, because it is over."""
        left: Sequence[Heard] = ()

        def work(now: Incident) -> list[Fact]:
            nonlocal left
            if now.over:
                # Alertmanager repeats itself: only what began since then is new.
                left = [each for each in alerts if _is_new(now, each)]
                return []
            return [*self._worse(now, alerts), *_news(now, alerts, self._redactor(now.environment))]

        store.change(self._settings, path, work, self._redactor)
        return left

    def _worse(self, now: Incident, alerts: Sequence[Heard]) -> Iterator[Fact]:
        """That the incident is worse than it was, if an alert that it does not know says so."""
        new = [each.alert for each in alerts if each.alert.status == "firing" and _is_new(now, each)]
        worst = min(new, key=self._rank_of, default=None)
        if worst is not None and self._rank_of(worst) < self._rank(now.severity):
            why = f"{worst.name} fires"
            yield facts.SeverityChanged(severity=self._severity(worst.labels.get("severity", "")), why=why, by=BY)

    def _open(self, key: str, firing: Sequence[Notified]) -> Incident:
        first = min(firing, key=self._rank_of)
        known = self._redactor(place_of(self._settings, first))
        # Hidden first: of a secret that was cut off, nobody would know the rest.
        title = known.text(first.annotations.get("summary") or first.name or "an alert without a name")
        severity = self._severity(first.labels.get("severity", ""))
        opened = opening(self._settings, first, title, severity, by=BY, key=key)
        made = store.create(self._settings, [opened, *(_fired(each, known) for each in firing)], known)
        self._last[key] = made.id
        return made

    def _rank_of(self, alert: Notified) -> int:
        return self._rank(alert.labels.get("severity", ""))

    def _rank(self, severity: str) -> int:
        names = [each.lower() for each in acting.severities(self._settings)]
        return names.index(severity.lower()) if severity.lower() in names else 0

    def _severity(self, severity: str) -> str:
        """A severity that is not known is the worst: whoever is unsure takes the higher one."""
        return acting.severities(self._settings)[self._rank(severity)]

    def _redactor(self, place: str) -> Redactor:
        if place not in self._redactors:
            self._redactors[place] = store.redactor(self._settings, place)
        return self._redactors[place]


def unfinished(settings: Settings) -> Iterator[Incident]:
    """Open incidents that no person opened: if the process was killed, nobody was told, or nothing was checked."""
    return (found for found in store.open_(settings) if found.by in (BY, HEARD_NOTHING))


def place_of(settings: Settings, alert: Notified) -> str:
    """The environment that an alert names; empty if there is none of this name."""
    named = alert.labels.get("environment", "")
    return named if named in environment.names(settings) else ""


def opening(
    settings: Settings, alert: Notified, title: str, severity: str, *, by: str, key: str = ""
) -> facts.IncidentOpened:
    """An incident for an alert, with the page that helps."""
    runbook, parameters = page_for(settings, alert)
    return facts.IncidentOpened(
        incident=store.new_id(),
        title=one_line(title),
        severity=severity,
        environment=place_of(settings, alert),
        by=by,
        key=key,
        runbook=runbook,
        parameters=parameters,
    )


def page_for(settings: Settings, alert: Notified) -> tuple[str, dict[str, str]]:
    """The page whose front matter names the alert, empty if none does, with values for its parameters.

    Of several pages the one that the alert's runbook_url leads to. A drill helps nobody. Values are what stands in the
    query of that address, and labels with the names of parameters.
    """
    known = (each for each in catalog.entries(settings) if each.front.kind != "training")
    named = [each.name for each in known if alert.name in each.front.alerts]
    meant, query = _address(alert.annotations.get("runbook_url", ""))
    found = next((name for name in named if name == meant), named[0] if named else "")
    if not found:
        return "", {}
    try:
        names = {each.name for each in catalog.load(settings, found).parameters}
    except OpsbookError:
        return found, {}
    said = {**alert.labels, **query} if found == meant else alert.labels
    # What no program can get as an argument is left out.
    usable = {name: value for name, value in said.items() if "\0" not in value and len(value) <= _LONGEST}
    return found, {name: value for name, value in usable.items() if name in names}


def _address(url: str) -> tuple[str, dict[str, str]]:
    """The page that an address leads to, and its query; empty for what is no address."""
    try:
        parts = urlsplit(url)
        return PurePosixPath(parts.path).stem, dict(parse_qsl(parts.query))
    except ValueError:
        return "", {}


def _by_group(accepted: Iterable[Accepted]) -> dict[str, list[Heard]]:
    """Alerts by their group, in the order in which they came; heartbeats are left out."""
    found: dict[str, list[Heard]] = {}
    for time, each in accepted:
        alerts = [Heard(time, alert) for alert in each.alerts if alert.labels.get("severity") != HEARTBEAT]
        if alerts:
            found.setdefault(each.groupKey, []).extend(alerts)
    return found


def _is_new(now: Incident, heard: Heard) -> bool:
    """Whether the incident does not know this: another alert, or one that fires again.

    Prometheus may report an alert with the same start again, after Alertmanager took it for over. What was accepted
    before the end was written is only repeated.
    """
    known = now.alerts.get((heard.alert.fingerprint, heard.alert.startsAt))
    return known is None or bool(known.ended and heard.time > known.noted)


def _news(now: Incident, alerts: Iterable[Heard], known: Redactor) -> Iterator[Fact]:
    """What the incident does not know yet."""
    fires = {key: not each.ended for key, each in now.alerts.items()}
    for each in alerts:
        alert, key = each.alert, (each.alert.fingerprint, each.alert.startsAt)
        if alert.status == "firing" and not fires.get(key) and _is_new(now, each):
            fires[key] = True
            yield _fired(alert, known)
        elif alert.status == "resolved" and fires.get(key):
            fires[key] = False
            yield facts.AlertCleared(
                fingerprint=alert.fingerprint, name=alert.name, starts=alert.startsAt, ends=alert.endsAt
            )


def _fired(alert: Notified, known: Redactor) -> facts.AlertFired:
    return facts.AlertFired(
        fingerprint=alert.fingerprint,
        name=alert.name,
        labels=_cut(alert.labels, known),
        annotations=_cut(alert.annotations, known),
        starts=alert.startsAt,
    )


def _cut(words: Mapping[str, str], known: Redactor) -> dict[str, str]:
    return {name: known.text(value)[:_LONGEST] for name, value in words.items()}


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
