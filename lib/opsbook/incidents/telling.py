"""Messages about incidents, to the channels of their environment that want them."""

from opsbook.core.planning import environment
from opsbook.errors import OpsbookError
from opsbook.incidents import outlook
from opsbook.incidents.facts import IncidentEscalated, IncidentOpened, IncidentResolved, MessageSent
from opsbook.incidents.incident import Incident
from opsbook.settings import Settings

OPENED, UPDATE, RESOLVED = IncidentOpened.type, "incident-update", IncidentResolved.type
ESCALATED, UPDATE_DUE = IncidentEscalated.type, "incident-update-due"


def tell(settings: Settings, found: Incident, event: str, audience: str = "", text: str = "") -> MessageSent:
    """Send an event of an incident, and say what became of it. It never raises: the incident goes on without it."""
    if not found.environment:
        return MessageSent(event=event, said="went to nobody: it names no environment, which has the channels")
    # What sends is loaded by whoever sends.
    from opsbook.core.trust import telling

    values = {
        "incident": found.id,
        "title": found.title,
        "public": found.public,
        "severity": found.severity,
        "state": str(found.state),
        "text": text,
        "command": outlook.run_line(found) if found.runbook else "",
    }
    try:
        sent = telling.tell(settings, environment.load(settings, found.environment), event, values, audience)
    except OpsbookError as error:
        return MessageSent(event=event, said=f"went to nobody: {error.message}")
    whose = f" for {audience}" if audience else ""
    said = sent.headline() if sent else f"went to nobody: no channel of {found.environment} wants {event}{whose}"
    return MessageSent(event=event, said=said)
