"""Messages about incidents, to the channels of their environment that want them.

What was reminded of is in the journal, so that a restart neither forgets nor repeats it.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from opsbook.core.model.events import Fact, read
from opsbook.core.model.text import seconds_between, span_seconds
from opsbook.core.planning import context, environment
from opsbook.errors import InputError, OpsbookError
from opsbook.incidents import facts, rotas, store
from opsbook.incidents.incident import Incident, State
from opsbook.settings import Settings

OPENED, UPDATE, RESOLVED = facts.IncidentOpened.type, "incident-update", facts.IncidentResolved.type
PUBLISHED = facts.IncidentPublished.type
ESCALATED, UPDATE_DUE = facts.IncidentEscalated.type, "incident-update-due"

PAGING = (OPENED, ESCALATED)
"""Events that page whoever is on call."""


@dataclass(frozen=True)
class Call:
    """Who is to be paged: the rota after the last one, the last one again, or the one that is named.

    `asked`: a person wants it, whatever the severity pages.
    """

    onward: bool = True
    rota: str = ""
    asked: bool = False


def escalate(settings: Settings, found: Incident, now: datetime, *, onward: bool = True) -> facts.IncidentEscalated:
    """Tell that nobody works on it, and page the next one; without `onward`, the last one again."""
    return _escalated(found, now, tell(settings, found, ESCALATED, call=Call(onward)))


def ask_for_help(settings: Settings, found: Incident, by: str, why: str, rota: str) -> facts.IncidentEscalated:
    """Page whoever is on call in a rota, or in the next one, because somebody asks."""
    sent = tell(settings, found, ESCALATED, text=f"{by} asks for help: {why}", call=Call(rota=rota, asked=True))
    return replace(_escalated(found, datetime.now(UTC), sent), by=by, why=why)


def _escalated(found: Incident, now: datetime, sent: facts.MessageSent) -> facts.IncidentEscalated:
    waited = seconds_between(found.reached[State.OPEN], now.astimezone(UTC).isoformat())
    return facts.IncidentEscalated(
        waited=waited, said=sent.said, on_call=sent.on_call, rota=sent.rota, reached=sent.reached
    )


def tell(
    settings: Settings, found: Incident, event: str, audience: str = "", text: str = "", *, call: Call = Call()
) -> facts.MessageSent:
    """Send an event of an incident, and say what became of it. It never raises: the incident goes on without it.

    `text` may be what somebody typed: secrets are taken out of it.
    """
    if not found.environment:
        return facts.MessageSent(event=event, said="went to nobody: it names no environment, which has the channels")
    # What sends is loaded by whoever sends.
    from opsbook.core.trust import telling

    try:
        place = environment.load(settings, found.environment)
        paged = _paged(settings, found, event, place.policy.on_call, call)
        on_call = f"{paged.person} ({paged.rota})" if paged.person else ""
        values = _values(settings, found, text) | {"on_call": on_call}
        sent = telling.tell(settings, place, event, values, audience, paged.person)
    except OpsbookError as error:
        return facts.MessageSent(event=event, said=f"went to nobody: {error.message}")
    whose = f" for {audience}" if audience else ""
    said = sent.headline() if sent else f"went to nobody: no channel of {found.environment} wants {event}{whose}"
    own = {name: each.person for name, each in place.policy.channels.items() if each.person}
    # Where people have channels of their own, one that all of them read wakes nobody.
    took = sent.sent if sent else ()
    reached = not paged.person or any(not own or own.get(name) == paged.person for name in took)
    said = "; ".join((said, *paged.why))
    return facts.MessageSent(event=event, said=said, on_call=paged.person, rota=paged.rota, reached=reached)


MOMENTS = {"opened": (OPENED, PUBLISHED), "update": (UPDATE,), "resolved": (RESOLVED,)}
"""The events of each moment. Players hear of an incident when somebody publishes it, others when it is opened."""


def written(settings: Settings, found: Incident, moment: str, audience: str, text: str = "") -> tuple[str, str]:
    """Title and body of a message, for whoever sends it by hand. Raises InputError if there is no such text."""
    # What fills in texts is loaded by whoever wants one.
    from opsbook.core.effects import messages

    said = _values(settings, found, text) | {"environment": found.environment, "operator": context.operator()}
    values, folder = {**said, "contacts": (), "on_call": ""}, settings.content / messages.FOLDER
    found_for = [messages.texts(each, {audience: {"audience": audience}}, values, folder) for each in MOMENTS[moment]]
    made = next((each for each in found_for if each.texts), found_for[0])
    if made.wrong:
        raise InputError(f"{made.wrong[audience].rstrip('.')}.", "Nothing was sent.")
    return made.texts[audience]


def _values(settings: Settings, found: Incident, text: str) -> dict[str, str]:
    """What the texts of an event may use."""
    return {
        "incident": found.id,
        "title": found.title,
        "public": found.public,
        "severity": found.severity,
        "state": str(found.state),
        "text": store.redactor(settings, found.environment).text(text) if text else "",
        "command": found.run_line,
    }


def _paged(settings: Settings, found: Incident, event: str, wanted: tuple[str, ...], call: Call) -> rotas.OnCall:
    """Who is on call now, if the event pages or somebody asked: looked up once, and kept in the incident."""
    if call.rota:
        wanted = (call.rota,)
    limits = next((each for each in settings.severities if each.name == found.severity), None)
    if event not in PAGING or not wanted or (limits and not limits.page and not call.asked):
        return rotas.OnCall()
    last = found.on_call[-1].rota if found.on_call else ""
    return rotas.paged(settings, wanted, last, datetime.now(UTC), onward=call.onward)


# -- what is late


def late(settings: Settings, found: Incident, now: datetime) -> Fact | None:
    """Tell people what is late, and say what became of that; None if nothing is."""
    limits = next((each for each in settings.severities if each.name == found.severity), None)
    if limits is None or not found.reached:
        return None
    opened, time = found.reached[State.OPEN], now.astimezone(UTC).isoformat()
    if found.state is State.OPEN and limits.acknowledge:
        last = _last(found, facts.IncidentEscalated, opened)
        if seconds_between(last, time) >= span_seconds(limits.acknowledge):
            return escalate(settings, found, now)
    if limits.page and not found.over and _was_for_nobody(settings, found):
        return escalate(settings, found, now)
    if found.state in (State.OPEN, State.ACKNOWLEDGED) and limits.update:
        heard = _last(found, facts.UpdateWritten, opened)
        if seconds_between(_last(found, facts.UpdateDue, heard), time) >= span_seconds(limits.update):
            waited = seconds_between(heard, time)
            return facts.UpdateDue(waited=waited, said=tell(settings, found, UPDATE_DUE).said)
    return None


def _was_for_nobody(settings: Settings, found: Incident) -> bool:
    """Whether it became as severe as it is after nobody was to be paged for it, and nobody was told since then."""
    quiet = {each.name for each in settings.severities if not each.page}
    told, was = False, set[str]()
    for fact in map(read, found.events):
        if isinstance(fact, facts.IncidentOpened | facts.SeverityChanged):
            was.add(fact.severity)
        # Whoever was asked for help was not paged for how bad it is.
        told = told or (isinstance(fact, facts.IncidentEscalated) and not fact.by)
    return not told and len(was) > 1 and was - {found.severity} <= quiet


def _last(found: Incident, kind: type[Fact], otherwise: str) -> str:
    """When the last event of this kind was written, if that is later than the other time."""
    return max([otherwise, *(event.time for event in found.events if event.type == kind.type)])
