"""What people do to an incident. Each raises InputError or Refused, and writes nothing, where it makes no sense."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Concatenate, ParamSpec

from opsbook import files
from opsbook.core.catalog import catalog
from opsbook.core.model.events import Fact, RunStarted, read
from opsbook.core.model.text import flat, nearest
from opsbook.core.planning import context, environment
from opsbook.core.record import store as records
from opsbook.errors import InputError, Refused
from opsbook.incidents import facts, reviewing, rotas, status_page, store, telling
from opsbook.incidents.incident import ROLES, Incident, State
from opsbook.settings import Settings

SEVERITIES = ("critical", "high", "medium", "low")
"""Where opsbook.toml names none."""

NOBODY = "Nobody was reached: call somebody. Contacts are in environment.yml and on the home page of the docs."
"""What somebody reads who asked for help in vain."""


def severities(settings: Settings) -> tuple[str, ...]:
    """Names of severities, the worst first."""
    return tuple(each.name for each in settings.severities) or SEVERITIES


def check_severity(settings: Settings, severity: str) -> str:
    """The name of a severity as opsbook.toml writes it. Raises InputError."""
    known = severities(settings)
    found = next((each for each in known if each.lower() == severity.lower()), None)
    if found is None:
        raise InputError(f"There is no severity {severity}. {nearest(severity, known)}", f"One of {', '.join(known)}.")
    return found


def severity_by(settings: Settings, impact: str, urgency: str) -> str:
    """The severity that opsbook.toml gives this impact and this urgency. Raises InputError."""
    if not settings.impact:
        raise InputError("opsbook.toml has no [impact].", "Give --severity instead.")
    named: Mapping[str, object] = settings.impact
    for what, wanted in (("impact", impact), ("urgency", urgency)):
        if wanted not in named:
            problem = f"There is no {what} {wanted}. {nearest(wanted, named)}" if wanted else f"The {what} is missing."
            raise InputError(problem, f"Give --{what}: one of {', '.join(named)}.")
        named = settings.impact[impact]
    return settings.impact[impact][urgency]


@dataclass(frozen=True)
class Opening:
    """What a person says of a new incident. `parameters` are those of the page that helps, as they would be typed."""

    title: str
    severity: str = ""
    environment: str = ""
    runbook: str = ""
    parameters: Mapping[str, str] | None = None


def open_(settings: Settings, said: Opening, by: str = "") -> Incident:
    """Open an incident, as the operator of this process or as somebody else.

    Without a severity it has the worst: whoever is unsure takes the higher one.
    """
    severity = check_severity(settings, said.severity) if said.severity else severities(settings)[0]
    if not said.title.strip():
        raise InputError("An incident needs a title.", "Say in a few words what is wrong.")
    if said.environment:
        environment.load_as_written(settings, said.environment)
    if said.runbook:
        known = [each.name for each in catalog.load(settings, said.runbook).parameters]
        if strange := [name for name in said.parameters or {} if name not in known]:
            told = [f"{said.runbook} has no parameter {name}. {nearest(name, known)}" for name in strange]
            raise InputError(told, "Nothing was opened.")
    opened = facts.IncidentOpened(
        incident=store.new_id(),
        title=said.title.strip(),
        severity=severity,
        environment=said.environment,
        by=by or context.operator(),
        runbook=said.runbook,
        parameters=dict(said.parameters or {}),
    )
    made = store.create(settings, [opened])
    sent = telling.tell(settings, made, telling.OPENED)
    return store.change(settings, store.exact(settings, made.id), lambda _: [sent])


P = ParamSpec("P")


def _changing(
    work: Callable[Concatenate["Acting", Incident, P], Iterable[Fact]],
) -> Callable[Concatenate["Acting", P], Incident]:
    """A method of those below: it looks at the incident as it is then, and gives what is to be written."""

    def changed(self: "Acting", /, *args: P.args, **given: P.kwargs) -> Incident:
        return self._change(lambda now: work(self, now, *args, **given))

    return changed


class Acting:
    """Changes one incident, as the operator of this process or as somebody else."""

    def __init__(self, settings: Settings, wanted: str, by: str = "") -> None:
        """Raises InputError if there is no such incident."""
        self._settings = settings
        self.path = store.find(settings, wanted)
        self._by = by or context.operator()

    @_changing
    def acknowledge(self, now: Incident) -> Iterable[Fact]:
        if now.state is not State.OPEN:
            who = next((each.by for each in map(read, now.events) if isinstance(each, facts.IncidentAcknowledged)), "")
            raise Refused(f"{now.id} is {now.state} already{f', by {who}' if who else ''}.", _look(now))
        yield facts.IncidentAcknowledged(by=self._by)

    def escalate(self, why: str, rota: str) -> Incident:
        """Page whoever is on call in this rota, or in the next one of the environment: somebody needs help."""
        if rota:
            rotas.check_name(self._settings, rota)
        now = store.load(self.path)
        if now.over:
            raise Refused(f"{now.id} is {now.state} already.", _look(now))
        if not now.environment:
            raise InputError(f"{now.id} names no environment, which has the channels.", "Call somebody.")
        if not rota and not environment.load(self._settings, now.environment).policy.on_call:
            there = " or ".join(rotas.names(self._settings))
            hint = (
                f"Name a rota: --to {there}." if there else "There is no rota, either (oncall/NAME.ics). Call somebody."
            )
            raise InputError(f"{now.environment} has no on_call.", hint)
        return self._add(telling.ask_for_help(self._settings, now, self._by, _said(why), rota))

    def note(self, text: str, at: str = "") -> Incident:
        return self._add(facts.NoteAdded(text=_said(text), at=_time(at), by=self._by))

    @_changing
    def severity(self, now: Incident, severity: str, why: str) -> Iterable[Fact]:
        named = check_severity(self._settings, severity)
        if now.severity == named:
            raise InputError(f"{now.id} is {named} already.", _look(now))
        yield facts.SeverityChanged(severity=named, why=why, by=self._by)

    def role(self, role: str, who: str) -> Incident:
        if role not in ROLES:
            raise InputError(f"There is no role {role}. {nearest(role, ROLES)}", f"One of {', '.join(ROLES)}.")
        return self._add(facts.RoleTaken(role=role, who=_name(who) if who else self._by, by=self._by))

    def update(self, audience: str, text: str) -> Incident:
        """Write it down, and send it to the channels of the audience."""
        audience = _name(audience)
        now = self._add(facts.UpdateWritten(audience=audience, text=_said(text), by=self._by))
        return self._add(telling.tell(self._settings, now, telling.UPDATE, audience, _said(text)))

    def publish(self, title: str) -> Incident:
        """Put it on the public status page under this title, and tell players; without one, take it off."""
        if title and not self._settings.status_page:
            raise InputError("There is no public status page.", 'Name its file: status_page = "…" in opsbook.toml.')
        now = self._add(facts.IncidentPublished(title=title.strip(), by=self._by))
        return self._add(telling.tell(self._settings, now, telling.PUBLISHED)) if now.public else now

    def attach(self, run: str) -> Incident:
        """Attach a run that began already."""
        record = records.find(self._settings.records, run)
        began = next((fact for fact in map(read, record.events()) if isinstance(fact, RunStarted)), None)
        if began is None:
            raise InputError(f"{record.id} never began.", "opsbook records list shows those that did.")
        return self.began(record.id, began.runbook, began.mode)

    @_changing
    def began(self, now: Incident, run: str, runbook: str, mode: str) -> Iterable[Fact]:
        """Attach a run; once."""
        if run not in now.runs:
            yield facts.RunAttached(run=run, runbook=runbook, mode=mode, by=self._by)

    @_changing
    def mitigate(self, now: Incident, how: str) -> Iterable[Fact]:
        if now.state not in (State.OPEN, State.ACKNOWLEDGED):
            raise Refused(f"{now.id} is {now.state} already.", _look(now))
        yield facts.IncidentMitigated(how=_said(how), by=self._by)

    def resolve(self, how: str, *, anyway: bool) -> Incident:
        now = self._resolved(how, anyway)
        return self._add(telling.tell(self._settings, now, telling.RESOLVED, text=_said(how)))

    @_changing
    def _resolved(self, now: Incident, how: str, anyway: bool) -> Iterable[Fact]:
        if now.over:
            raise Refused(f"{now.id} is {now.state} already.", _look(now))
        firing = sorted({each.name for each in now.firing})
        if firing and not anyway:
            hint = "Wait until it clears, or say why it does not count: --anyway."
            raise Refused(f"{', '.join(firing)} still fires.", hint)
        yield facts.IncidentResolved(how=_said(how), firing=firing, by=self._by)

    @_changing
    def add_action(self, now: Incident, text: str, owner: str, due: str) -> Iterable[Fact]:
        number = len(now.actions) + 1
        yield facts.ActionAdded(number=number, text=_said(text), owner=_name(owner), due=_day(due), by=self._by)

    @_changing
    def close_action(self, now: Incident, number: int, how: str) -> Iterable[Fact]:
        if now.action(number).closed:
            raise Refused(f"Action {number} is closed already: {now.action(number).closed}", _look(now))
        yield facts.ActionClosed(number=number, how=_said(how), by=self._by)

    def begin_review(self) -> tuple[str, bool]:
        """Write the page of the review, unless it is there: its path in the project, and whether it is new."""
        now = store.load(self.path)
        if not now.over:
            raise InputError(f"{now.id} is {now.state}.", f"First: opsbook incident resolve {now.id} HOW")
        page, new = reviewing.write(self._settings, now)
        return page.relative_to(self._settings.root).as_posix(), new

    @_changing
    def close_review(self, now: Incident) -> Iterable[Fact]:
        """Close the review with the page as it is now."""
        if now.state is not State.RESOLVED:
            raise Refused(f"{now.id} is {now.state}.", "A review is closed once, after the incident is resolved.")
        page = reviewing.page_of(self._settings, now)
        with files.saying(f"There is no review {page}", f"Write it first: opsbook incident review {now.id}"):
            text = files.read(page)
        if left := reviewing.left(text.decode(errors="replace")):
            raise Refused(f"{page} still has {left} places to fill in.", "They begin with TODO.")
        shown = page.relative_to(self._settings.root).as_posix()
        yield facts.IncidentReviewed(path=shown, sha256=hashlib.sha256(text).hexdigest(), by=self._by)

    def _add(self, fact: Fact) -> Incident:
        return self._change(lambda _: [fact])

    def _change(self, work: Callable[[Incident], Iterable[Fact]]) -> Incident:
        shown = False

        def seen(now: Incident) -> Iterable[Fact]:
            nonlocal shown
            shown = bool(now.public)
            return work(now)

        now = store.change(self._settings, self.path, seen)
        if shown or now.public:
            status_page.write(self._settings)
        return now


def _look(found: Incident) -> str:
    return f"Look: opsbook incident show {found.id}"


def _said(text: str) -> str:
    if not text.strip():
        raise InputError("The text is empty.", "Nothing was written.")
    return text.strip()


def _name(text: str) -> str:
    """A person or an audience. Raises InputError for what is none."""
    if not text.strip() or flat(text) != text:
        raise InputError(f"{text!r} is no name.", "Write it on one line. Nothing was written.")
    return text.strip()


def _time(text: str) -> str:
    """A time as a person types it, such as 14:05 today or 2026-11-30T14:05+01:00, in UTC. Raises InputError."""
    if not text:
        return ""
    today = f"{date.today():%Y-%m-%d}T" if "-" not in text[:10] else ""  # noqa: DTZ011  (the day of who types it)
    try:
        found = datetime.fromisoformat(f"{today}{text}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{text!r} is no time.", "Write 14:05, or 2026-11-30T14:05.") from error
    now = datetime.now(UTC) + timedelta(minutes=1)
    if found > now and today:
        # After midnight, 23:50 was yesterday.
        found -= timedelta(days=1)
    if found > now:
        raise InputError(f"{text} is in the future.", "Write when it happened.")
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise InputError(f"{text!r} is no day.", "Write it as 2026-12-24.") from error
