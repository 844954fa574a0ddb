"""What people do to an incident in a browser: a form for each command of `opsbook incident` that changes one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from opsbook.core.model.events import read
from opsbook.core.planning import environment
from opsbook.errors import InputError
from opsbook.incidents import acting, facts, rotas
from opsbook.incidents.acting import Acting, Opening
from opsbook.incidents.incident import ROLES, Incident, State
from opsbook.settings import Settings

LARGEST = 64 * 1024
"""Bytes of what a form sends."""

Said = Mapping[str, str]


@dataclass(frozen=True)
class Field:
    """A field of a form: a line of text, or one of `choices`. `kind` is text, long, date or tick."""

    name: str
    label: str
    kind: str = "text"
    choices: tuple[str, ...] = ()
    wanted: bool = True


@dataclass(frozen=True)
class Form:
    """A form. `states` are those of the incident in which it is shown."""

    name: str
    title: str
    fields: tuple[Field, ...] = ()
    states: Sequence[State] = tuple(State)


_WAITING = (State.OPEN, State.ACKNOWLEDGED)
_GOING_ON = (*_WAITING, State.MITIGATED)


def forms(settings: Settings, state: State) -> list[Form]:
    """The forms for an incident in this state, in the order in which they are needed."""
    next_rota = Field(
        "to", "From whom (without one: the next rota)", choices=tuple(rotas.names(settings)), wanted=False
    )
    severity = Field("severity", "How bad it is", choices=acting.severities(settings))
    anyway = Field("anyway", "Although alerts of it still fire", "tick", wanted=False)
    audience = Field("audience", "Whom: players, support, management, engineers")
    you = Field("who", "Who (without a name: you)", wanted=False)
    task = (Field("task", "What", "long"), Field("owner", "Who does it"), Field("due", "Until", "date"))
    every = (
        Form("ack", "Acknowledge", states=(State.OPEN,)),
        Form("note", "Note", (Field("note", "What you saw or did", "long"),)),
        Form("mitigate", "Mitigated", (Field("how", "What ended it", "long"),), _WAITING),
        Form("resolve", "Resolved", (Field("how", "Its cause, and what was done", "long"), anyway), _GOING_ON),
        Form("escalate", "Ask for help", (Field("why", "What you need", "long"), next_rota), _GOING_ON),
        Form("update", "Tell others", (audience, Field("message", "What", "long")), _GOING_ON),
        Form("severity", "Severity", (severity, Field("why", "Why", wanted=False)), _GOING_ON),
        Form("role", "Role", (Field("role", "Which", choices=ROLES), you), _GOING_ON),
        Form("attach", "Attach a run", (Field("run", "Its id, or last"),)),
        Form("review", "Begin the review", states=(State.RESOLVED,)),
        Form("close-review", "Close the review", states=(State.RESOLVED,)),
        Form("action", "Add an action", task),
        Form(
            "close-action", "Close an action", (Field("number", "Its number"), Field("how", "How it was done", "long"))
        ),
    )
    return [each for each in every if state in each.states]


def opening(settings: Settings) -> Form:
    """The form that opens an incident."""
    places = tuple(each.name for each in environment.every(settings)[0])
    severity = "How bad it is (without one: the worst)"
    return Form(
        "open",
        "Open an incident",
        (
            Field("title", "What is wrong, in a few words"),
            Field("severity", severity, choices=acting.severities(settings), wanted=False),
            Field("environment", "Where", choices=places, wanted=False),
            Field("runbook", "The page that helps", wanted=False),
        ),
    )


def open_(settings: Settings, said: Said, who: str) -> Incident:
    """Open an incident as this person. Raises InputError."""
    title, severity, place, runbook = (said.get(each.name, "") for each in opening(settings).fields)
    return acting.open_(settings, Opening(title, severity, place, runbook), who)


def act(settings: Settings, incident: str, name: str, said: Said, who: str) -> str:
    """Do what a form says, as this person: what they have to know of it at once, mostly nothing.

    Raises InputError and Refused as the command does.
    """
    if name not in _DOES:
        raise InputError(f"There is no form {name}.", "Go back to the incident.")
    return _DOES[name](Acting(settings, incident, who), lambda field: said.get(field, ""))


_Value = Callable[[str], str]
"""The value of a field, by its name; empty if it was not sent."""


def _quietly(work: Callable[[Acting, _Value], Incident]) -> Callable[[Acting, _Value], str]:
    """Work of which the incident says everything."""

    def done(doing: Acting, said: _Value) -> str:
        work(doing, said)
        return ""

    return done


def _escalate(doing: Acting, said: _Value) -> str:
    asked = read(doing.escalate(said("why"), said("to")).events[-1])
    return "" if isinstance(asked, facts.IncidentEscalated) and asked.on_call and asked.reached else acting.NOBODY


def _review(doing: Acting, _: _Value) -> str:
    page, new = doing.begin_review()
    return f"Written: {page}. Finish it where it says TODO, and close it then." if new else f"{page} is there already."


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no number of an action.", "It stands in front of the action.") from error


_DOES: dict[str, Callable[[Acting, _Value], str]] = {
    "ack": _quietly(lambda doing, _: doing.acknowledge()),
    "note": _quietly(lambda doing, said: doing.note(said("note"))),
    "mitigate": _quietly(lambda doing, said: doing.mitigate(said("how"))),
    "resolve": _quietly(lambda doing, said: doing.resolve(said("how"), anyway=bool(said("anyway")))),
    "escalate": _escalate,
    "update": _quietly(lambda doing, said: doing.update(said("audience"), said("message"))),
    "severity": _quietly(lambda doing, said: doing.severity(said("severity"), said("why"))),
    "role": _quietly(lambda doing, said: doing.role(said("role"), said("who"))),
    "attach": _quietly(lambda doing, said: doing.attach(said("run"))),
    "review": _review,
    "close-review": _quietly(lambda doing, _: doing.close_review()),
    "action": _quietly(lambda doing, said: doing.add_action(said("task"), said("owner"), said("due"))),
    "close-action": _quietly(lambda doing, said: doing.close_action(_number(said("number")), said("how"))),
}
