"""Every event of an incident's journal. `docs/reference/journal.md` is generated from this file too.

`by` is who did it, as user@host. `at` is when it happened, if that was before it was noted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated

from opsbook.core.model.events import Fact


class IncidentOpened(Fact, type="incident-opened"):
    """The first event of an incident."""

    incident: Annotated[str, "Id of the incident."]
    title: Annotated[str, "What is wrong, in a few words."]
    severity: Annotated[str, "Name of a severity."]
    environment: Annotated[str, "Name of the environment; empty if it is not known."] = ""
    by: Annotated[str, "Who opened it; `alertmanager` for an alert."]
    key: Annotated[str, "Group of alerts that belong to it; empty for one that a person opened."] = ""
    runbook: Annotated[str, "The page that helps."] = ""
    parameters: Annotated[Mapping[str, str], "Values for its parameters, as they would be typed."] = field(
        default_factory=dict
    )


class AlertFired(Fact, type="alert-fired"):
    """An alert of the incident fires."""

    fingerprint: Annotated[str, "Identity of the alert: its labels."]
    name: Annotated[str, "Its alertname."]
    labels: Annotated[Mapping[str, str], "Its labels."]
    annotations: Annotated[Mapping[str, str], "Its annotations."] = field(default_factory=dict)
    starts: Annotated[str, "Since when it fires, as Alertmanager says."]


class AlertCleared(Fact, type="alert-cleared"):
    """An alert of the incident does not fire any more."""

    fingerprint: Annotated[str, "Identity of the alert."]
    name: Annotated[str, "Its alertname."]
    starts: Annotated[str, "Since when it fired."]
    ends: Annotated[str, "Until when, as Alertmanager says."]


class IncidentAcknowledged(Fact, type="incident-acknowledged"):
    """Somebody works on it."""

    by: Annotated[str, "Who."]


class IncidentEscalated(Fact, type="incident-escalated"):
    """Nobody said in time that they work on it, or somebody asked for help: the next one was paged."""

    waited: Annotated[float, "Seconds since it was opened."]
    by: Annotated[str, "Who asked for help; empty if nobody did."] = ""
    why: Annotated[str, "What they said."] = ""
    said: Annotated[str, "Which channels took the message, and why others did not."]
    on_call: Annotated[str, "Who was on call then, and was paged; empty if nobody was."] = ""
    rota: Annotated[str, "The rota that said so."] = ""
    reached: Annotated[bool, "A channel took it that gets what pages this person."] = True


class UpdateDue(Fact, type="update-due"):
    """Others did not hear of it in time: engineers were reminded."""

    waited: Annotated[float, "Seconds since the last update, or since it was opened."]
    said: Annotated[str, "Which channels took the message, and why others did not."]


class SeverityChanged(Fact, type="severity-changed"):
    """It is worse, or less bad, than it looked."""

    severity: Annotated[str, "Name of a severity."]
    why: Annotated[str, "The reason."] = ""
    by: Annotated[str, "Who said so."]


class RoleTaken(Fact, type="role-taken"):
    """Somebody leads, writes to others, or takes notes."""

    role: Annotated[str, "commander, communications or scribe."]
    who: Annotated[str, "Who has it from now on."]
    by: Annotated[str, "Who said so."]


class NoteAdded(Fact, type="note-added"):
    """What somebody saw or did."""

    text: Annotated[str, "The note."]
    at: Annotated[str, "When it was seen or done, if not now."] = ""
    by: Annotated[str, "Who wrote it."]


class CommandStarted(Fact, type="command-started"):
    """Somebody runs a command that is no part of a page (`opsbook exec`)."""

    number: Annotated[int, "Its number in the incident."]
    argv: Annotated[Sequence[str], "The command and its arguments."]
    cwd: Annotated[str, "Where it runs: a path below the project, or an absolute one."]
    by: Annotated[str, "Who runs it."]


class CommandEnded(Fact, type="command-ended"):
    """The command has ended. One without this event is unknown: opsbook exec was killed."""

    number: Annotated[int, "Its number in the incident."]
    exit: Annotated[int, "Its exit code; 128 and the number of the signal that ended it; 127 if it is not there."]
    seconds: Annotated[float, "How long it took."]
    output: Annotated[str, "The file of the incident with what it printed."]
    sha256: Annotated[str, "SHA-256 of that file."]


class RunAttached(Fact, type="run-attached"):
    """A run belongs to the incident."""

    run: Annotated[str, "Id of the run."]
    runbook: Annotated[str, "Its page."]
    mode: Annotated[str, "live or check."] = "live"
    by: Annotated[str, "Who attached it."]


class NotDiagnosed(Fact, type="not-diagnosed"):
    """The page that helps was not checked by itself."""

    runbook: Annotated[str, "The page; empty if no page names the alert."] = ""
    why: Annotated[str, "The reason."]


class MessageSent(Fact, type="message-sent"):
    """People were told of the incident, or nobody was."""

    event: Annotated[
        str, "What the message was about: incident-opened, incident-published, incident-update or incident-resolved."
    ]
    said: Annotated[str, "Which channels took it, and why others did not."]
    on_call: Annotated[str, "Who was on call then, and was paged; empty if nobody was, or it pages nobody."] = ""
    rota: Annotated[str, "The rota that said so."] = ""
    reached: Annotated[bool, "A channel took it that gets what pages this person."] = True


class IncidentPublished(Fact, type="incident-published"):
    """It is on the public status page, with what was told to players."""

    title: Annotated[str, "What everybody reads; empty to take it off the page."]
    by: Annotated[str, "Who decided that."]


class NotMitigated(Fact, type="not-mitigated"):
    """The page that helps was not run by itself, although the environment names it."""

    runbook: Annotated[str, "The page."]
    why: Annotated[str, "The reason."]


class UpdateWritten(Fact, type="update-written"):
    """What was told to others."""

    audience: Annotated[str, "To whom, such as players or support."]
    text: Annotated[str, "What they were told."]
    by: Annotated[str, "Who."]


class IncidentMitigated(Fact, type="incident-mitigated"):
    """Nobody suffers from it any more, though its cause may be there."""

    how: Annotated[str, "What ended it."]
    by: Annotated[str, "Who said so."]


class IncidentResolved(Fact, type="incident-resolved"):
    """It is over."""

    how: Annotated[str, "What was its cause, and what was done."]
    firing: Annotated[Sequence[str], "Alerts that still fired."] = ()
    by: Annotated[str, "Who said so."]


class ActionAdded(Fact, type="action-added"):
    """Something is to be done so that it does not happen again."""

    number: Annotated[int, "Its number in the incident."]
    text: Annotated[str, "What is to be done."]
    owner: Annotated[str, "Who does it."]
    due: Annotated[str, "Until which day."]
    by: Annotated[str, "Who said so."]


class ActionClosed(Fact, type="action-closed"):
    """An action is done, or not needed."""

    number: Annotated[int, "Its number in the incident."]
    how: Annotated[str, "How it was done, or why it is not needed."]
    by: Annotated[str, "Who closed it."]


class IncidentReviewed(Fact, type="incident-reviewed"):
    """Its review was written and read."""

    path: Annotated[str, "The page of the review, below the project."]
    sha256: Annotated[str, "SHA-256 of the page."]
    by: Annotated[str, "Who closed the review."]
