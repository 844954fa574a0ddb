"""What is late in an incident, by its severity: somebody who works on it, or an update for others.

What was reminded of is in the journal, so that a restart neither forgets nor repeats it.
"""

from datetime import UTC, datetime

from opsbook.core.model.events import Fact, read
from opsbook.core.model.text import seconds_between, span_seconds
from opsbook.incidents import facts, telling
from opsbook.incidents.incident import Incident, State
from opsbook.settings import Settings


def late(settings: Settings, found: Incident, now: datetime) -> Fact | None:
    """Tell people what is late, and say what became of that; None if nothing is."""
    limits = next((each for each in settings.severities if each.name == found.severity), None)
    if limits is None or not found.reached:
        return None
    opened, time = found.reached[State.OPEN], now.astimezone(UTC).isoformat()
    if found.state is State.OPEN and limits.acknowledge:
        last = _last(found, facts.IncidentEscalated, opened)
        if seconds_between(last, time) >= span_seconds(limits.acknowledge):
            return telling.escalate(settings, found, now)
    if limits.page and not found.over and _was_for_nobody(settings, found):
        return telling.escalate(settings, found, now)
    if found.state in (State.OPEN, State.ACKNOWLEDGED) and limits.update:
        heard = _last(found, facts.UpdateWritten, opened)
        if seconds_between(_last(found, facts.UpdateDue, heard), time) >= span_seconds(limits.update):
            waited = seconds_between(heard, time)
            return facts.UpdateDue(waited=waited, said=telling.tell(settings, found, telling.UPDATE_DUE).said)
    return None


def _was_for_nobody(settings: Settings, found: Incident) -> bool:
    """Whether it became as severe as it is after nobody was to be paged for it, and nobody was told since then."""
    quiet = {each.name for each in settings.severities if not each.page}
    told, was = False, set[str]()
    for fact in map(read, found.events):
        if isinstance(fact, facts.IncidentOpened | facts.SeverityChanged):
            was.add(fact.severity)
        told = told or isinstance(fact, facts.IncidentEscalated)
    return not told and len(was) > 1 and was - {found.severity} <= quiet


def _last(found: Incident, kind: type[Fact], otherwise: str) -> str:
    """When the last event of this kind was written, if that is later than the other time."""
    return max([otherwise, *(event.time for event in found.events if event.type == kind.type)])
