"""An incident as its journal tells it."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from opsbook.core.model.event import Event
from opsbook.core.model.events import Fact, read
from opsbook.errors import InputError
from opsbook.incidents import facts


class State(StrEnum):
    """How far an incident is. Its order is that of a life."""

    OPEN = "open"
    """Nobody works on it yet."""

    ACKNOWLEDGED = "acknowledged"
    """Somebody works on it."""

    MITIGATED = "mitigated"
    """Nobody suffers any more."""

    RESOLVED = "resolved"
    """It is over."""

    REVIEWED = "reviewed"
    """Its review is closed."""


_AFTER = {
    State.OPEN: "opsbook incident ack {incident}",
    State.ACKNOWLEDGED: 'opsbook incident mitigate {incident} "HOW"',
    State.MITIGATED: 'opsbook incident resolve {incident} "HOW"',
    State.RESOLVED: "opsbook incident review {incident}",
}
"""The command of what comes after each state."""

ROLES = ("commander", "communications", "scribe")


@dataclass
class Alert:
    """An alert of an incident. `ended` is empty while it fires; times are those of Alertmanager.

    `noted` is when its end was written here.
    """

    fingerprint: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    started: str
    ended: str = ""
    noted: str = ""


@dataclass
class Action:
    """Something to be done so that it does not happen again. `closed` is how; empty while it is open."""

    number: int
    text: str
    owner: str
    due: str
    closed: str = ""


@dataclass
class Paged:
    """Who was on call when the incident paged (UTC, ISO 8601), and in which rota, as it was then."""

    time: str
    person: str
    rota: str
    reached: bool = True

    @property
    def who(self) -> str:
        """The person, and whether no channel took it that would reach him."""
        return self.person if self.reached else f"{self.person} (not reached)"


@dataclass
class Command:
    """A command of `opsbook exec`. `exit` is None while it runs, and if nobody knows how it ended."""

    number: int
    argv: Sequence[str]
    by: str
    exit: int | None = None
    output: str = ""


@dataclass
class Incident:
    """An incident so far. `reached` has the time at which each state began (UTC, ISO 8601).

    `alerts` are by fingerprint and start. `public`: its title on the public status page; empty if it is not there.
    """

    id: str
    title: str = ""
    severity: str = ""
    environment: str = ""
    by: str = ""
    key: str = ""
    runbook: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    state: State = State.OPEN
    reached: dict[State, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    alerts: dict[tuple[str, str], Alert] = field(default_factory=dict)
    runs: dict[str, facts.RunAttached] = field(default_factory=dict)
    public: str = ""
    on_call: list[Paged] = field(default_factory=list)
    updates: list[tuple[str, facts.UpdateWritten]] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def firing(self) -> list[Alert]:
        return [each for each in self.alerts.values() if not each.ended]

    @property
    def over(self) -> bool:
        return self.state in (State.RESOLVED, State.REVIEWED)

    @property
    def opened(self) -> str:
        """When it was opened; empty for one that is damaged."""
        return next(iter(self.reached.values()), "")

    @property
    def run_line(self) -> str:
        """The command that runs its page; empty without one."""
        if not self.runbook:
            return ""
        values = [word for name, value in self.parameters.items() for word in ("-p", f"{name}={value}")]
        place = ["-e", self.environment] if self.environment else []
        return shlex.join(["opsbook", "run", self.runbook, *place, *values, "--incident", self.id])

    @property
    def after(self) -> str:
        """The command of the next state; empty after the last one."""
        return _AFTER.get(self.state, "").format(incident=self.id)

    def outlook(self) -> list[str]:
        """What is usually done next, as commands: its page, while it lasts, and the next state."""
        return [line for line in ("" if self.over else self.run_line, self.after) if line]

    def brief(self) -> dict[str, str]:
        """An incident in a list of several things, as JSON."""
        told = {"incident": self.id, "title": self.title, "severity": self.severity, "state": str(self.state)}
        return told | {"environment": self.environment, "opened": self.opened}

    def has(self, kind: type[Fact]) -> bool:
        """Whether an event of this kind was written."""
        return any(event.type == kind.type for event in self.events)

    def updates_for(self, audience: str) -> list[str]:
        """The texts that were written for an audience, the oldest first."""
        return [update.text for _, update in self.updates if update.audience == audience]

    def action(self, number: int) -> Action:
        """Raises InputError."""
        for each in self.actions:
            if each.number == number:
                return each
        raise InputError(f"{self.id} has no action {number}.", f"opsbook incident show {self.id} lists them.")

    def take(self, event: Event) -> None:
        """Add an event. Raises InputError for one whose data cannot be used."""
        self.events.append(event)
        fact = read(event)
        if fact is not None:
            self._of_work(fact, event.time)
            self._of_people(fact, event.time)
            if state := _REACHED.get(type(fact)):
                self.state, self.reached[state] = state, event.time

    def _of_work(self, fact: Fact, time: str) -> None:
        """Its alerts, who was paged, and what was run."""
        match fact:
            case facts.AlertFired():
                alert = Alert(fact.fingerprint, fact.name, fact.labels, fact.annotations, fact.starts)
                self.alerts[fact.fingerprint, fact.starts] = alert
            case facts.AlertCleared() if cleared := self.alerts.get((fact.fingerprint, fact.starts)):
                cleared.ended, cleared.noted = fact.ends, time
            case facts.MessageSent() | facts.IncidentEscalated() if fact.on_call:
                self.on_call.append(Paged(time, fact.on_call, fact.rota, fact.reached))
            case facts.RunAttached():
                self.runs[fact.run] = fact
            case facts.CommandStarted():
                self.commands.append(Command(fact.number, fact.argv, fact.by))
            case facts.CommandEnded():
                for each in self.commands:
                    if each.number == fact.number:
                        each.exit, each.output = fact.exit, fact.output

    def _of_people(self, fact: Fact, time: str) -> None:
        """What people say of it."""
        match fact:
            case facts.IncidentOpened():
                self.title, self.severity, self.environment = fact.title, fact.severity, fact.environment
                self.by, self.key, self.runbook = fact.by, fact.key, fact.runbook
                self.parameters = {str(name): str(value) for name, value in fact.parameters.items()}
            case facts.SeverityChanged():
                self.severity = fact.severity
            case facts.RoleTaken():
                self.roles[fact.role] = fact.who
            case facts.IncidentPublished():
                self.public = fact.title
            case facts.UpdateWritten():
                self.updates.append((time, fact))
            case facts.ActionAdded():
                self.actions.append(Action(fact.number, fact.text, fact.owner, fact.due))
            case facts.ActionClosed():
                self.action(fact.number).closed = fact.how


def of(incident: str, events: Iterable[Event]) -> Incident:
    """The incident that these events tell. Raises InputError for an event whose data cannot be used."""
    found = Incident(incident)
    for event in events:
        found.take(event)
    return found


_REACHED: dict[type, State] = {
    facts.IncidentOpened: State.OPEN,
    facts.IncidentAcknowledged: State.ACKNOWLEDGED,
    facts.IncidentMitigated: State.MITIGATED,
    facts.IncidentResolved: State.RESOLVED,
    facts.IncidentReviewed: State.REVIEWED,
}
