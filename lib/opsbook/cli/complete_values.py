"""Values that shell completion offers, by the name of the argument."""

import os
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, get_args

from opsbook.core.catalog import catalog
from opsbook.core.locks import lock
from opsbook.core.model.environment import SCHEMES, Environment
from opsbook.core.model.events import QuestionAnswered, QuestionAsked, read
from opsbook.core.model.front import Kind
from opsbook.core.model.outcome import RESUMABLE
from opsbook.core.model.parameter import Parameter
from opsbook.core.planning import environment
from opsbook.core.record import store
from opsbook.core.source import names
from opsbook.core.source.page_name import name_of
from opsbook.core.trust import requests
from opsbook.errors import InputError
from opsbook.incidents import acting, rotas
from opsbook.incidents import store as incidents
from opsbook.incidents.incident import ROLES
from opsbook.records import retention
from opsbook.releases import releases
from opsbook.settings import Settings
from opsbook.training import plan_file, trained

_MOST = 100
"""How many runs are offered, newest first."""


@dataclass(frozen=True)
class Typed:
    """The text before the cursor: the beginning of this word, and the arguments before it."""

    settings: Settings
    prefix: str
    arguments: dict[str, Any]

    def get(self, name: str) -> Any:
        return self.arguments.get(name)

    @property
    def record(self) -> store.Record:
        """The record of the run that is named. Raises InputError."""
        return store.find(self.settings.records, str(self.get("run")))

    @property
    def name(self) -> str | None:
        """The name in NAME=VALUE, once the = is typed."""
        name, equals, _ = self.prefix.partition("=")
        return name if equals else None


Offered = Iterable[tuple[str, str]]
"""Values, each with its description, which may be empty."""


def _plain(values: Iterable[object]) -> Offered:
    return ((str(value), "") for value in values)


def _environments(typed: Typed) -> Offered:
    return _plain(environment.names(typed.settings))


def _outcomes(typed: Typed) -> Offered:
    from opsbook.records.commands.list import OUTCOMES

    return _plain(OUTCOMES)


def _runs(typed: Typed) -> Offered:
    found = (folder.name for folder in store.newest(typed.settings.records))
    return _plain(["last", *islice((run for run in found if run.startswith(typed.prefix)), _MOST)])


def _incidents(typed: Typed) -> Offered:
    """The newest incidents, each with its title and state."""
    yield "last", ""
    for path in islice(incidents.every(typed.settings.records), _MOST):
        with suppress(InputError):
            found = incidents.load(path)
            yield found.id, f"{found.state}: {found.title}"


def _open_runs(typed: Typed) -> Offered:
    """Runs without a seal among the newest: only these can receive requests."""
    newest = islice(store.newest(typed.settings.records), _MOST)
    return _plain(folder.name for folder in newest if not os.path.lexists(folder / store.SEAL))


def _stopped_runs(typed: Typed) -> Offered:
    """Runs among the newest that can be resumed, with their outcome."""
    for record in islice(store.recent(typed.settings.records), _MOST):
        if record.state != "running" and record.id.startswith(typed.prefix):
            told = record.glance()
            if told["outcome"] in RESUMABLE and told.get("mode") == "live":
                yield record.id, f"{told['outcome']}: {told['reason']}"


def _drills(typed: Typed) -> Offered:
    """Finished drills, newest first, with who did them."""
    found = reversed(list(trained.every(typed.settings.records)))
    mine = ((each.run, f"{each.drill}, {each.person}") for each in found if each.run.startswith(typed.prefix))
    return [("last", ""), *islice(mine, _MOST)]


def _people(typed: Typed) -> Offered:
    plan = plan_file.load(typed.settings, catalog.entries(typed.settings))
    return ((name, ", ".join(member.roles)) for name, member in plan.people.items()) if plan else ()


# -- NAME=VALUE


def _parameters(typed: Typed) -> Offered:
    page = catalog.load(typed.settings, str(typed.get("runbook")))
    known = {parameter.name: parameter for parameter in page.parameters}
    if typed.name is None:
        given = {text.partition("=")[0] for text in typed.get("parameter") or ()}
        return [(f"{p.name}=", p.description or p.kind) for p in known.values() if p.many or p.name not in given]
    return _plain(f"{typed.name}={value}" for value in _values(typed, known[typed.name]))


def _values(typed: Typed, parameter: Parameter) -> list[str]:
    """The values of a parameter; of a list, the items that may follow those typed."""
    if parameter.secret:
        return [f"{scheme}:" for scheme in SCHEMES]
    found = [str(choice) for choice in parameter.choices]
    if parameter.choice_of:
        found = list(dict.fromkeys(value for e in _chosen(typed) for value in e.choices.get(parameter.choice_of, ())))
    elif parameter.base == "bool" and not found:
        found = ["true", "false"]
    elif not found and parameter.default is not None and not parameter.many:
        found = [str(parameter.default)]
    done = typed.prefix.partition("=")[2].rpartition(",")[0]
    return [f"{done},{value}" for value in found if value not in done.split(",")] if parameter.many and done else found


def _chosen(typed: Typed) -> Iterator[Environment]:
    """The named environment; all environments if none is named yet."""
    named = typed.get("environment")
    for name in [named] if named else environment.names(typed.settings):
        yield environment.load(typed.settings, name)


def _answers(typed: Typed) -> Offered:
    runbook = typed.get("runbook") or store.runbook_of(typed.record.id)
    given = {text.partition("=")[0] for text in typed.get("answer") or ()}
    return _named(typed, names.questions(catalog.load(typed.settings, runbook).steps()), given)


def _open_answers(typed: Typed) -> Offered:
    facts = list(map(read, typed.record.events()))
    answered = {fact.name for fact in facts if isinstance(fact, QuestionAnswered)}
    return _named(typed, [fact for fact in facts if isinstance(fact, QuestionAsked)], answered)


def _named(typed: Typed, questions: Iterable[QuestionAsked | names.PageQuestion], without: Container[str]) -> Offered:
    """The questions but for some; once one is typed, its answers."""
    found = {each.name: each for each in questions}
    if typed.name is None:
        return [(f"{name}=", question.text) for name, question in found.items() if name not in without]
    return _plain(f"{typed.name}={value}" for value in found[typed.name].choices)


SOURCES: dict[str, Callable[[Typed], Offered]] = {
    "runbook": lambda typed: _plain(map(name_of, catalog.paths(typed.settings))),
    "alert": lambda typed: _plain(a for entry in catalog.entries(typed.settings) for a in entry.front.alerts),
    "kind": lambda _: _plain(get_args(Kind)),
    "environment": _environments,
    "env name": _environments,
    "env second": _environments,
    "parameter": _parameters,
    "answer": _answers,
    "answer answer": _open_answers,
    "run": _runs,
    "other": _runs,
    "runs": _runs,
    "without": _runs,
    "cancel run": _open_runs,
    "answer run": _open_runs,
    "attach run": _open_runs,
    "resume run": _stopped_runs,
    "training sign-off run": _drills,
    "training certificate run": _drills,
    "training status person": _people,
    "start": lambda typed: (
        (step.id, step.title) for step in catalog.load(typed.settings, store.runbook_of(typed.record.id)).executed()
    ),
    "records show step": lambda typed: (
        (step["step"], f"{step['title']}: {step['status']}") for step in typed.record.glance()["steps"]
    ),
    "records release run": lambda typed: ((h.run, h.reason) for h in retention.holds(typed.settings.records).values()),
    "outcome": _outcomes,
    "releases show release": lambda typed: (
        (releases.version_of(file), releases.component_of(file)) for file in releases.offered(typed.settings)
    ),
    "target": lambda typed: ((held.target, held.reason) for held in lock.holders(typed.settings.state)),
    "plan": lambda typed: (
        (each.plan.id, f"{each.plan.title}, {each.plan.environment}, {each.asked.by}")
        for each in requests.waiting(typed.settings.state)
    ),
    "incident": _incidents,
    "severity": lambda typed: _plain(acting.severities(typed.settings)),
    "impact": lambda typed: _plain(typed.settings.impact),
    "urgency": lambda typed: _plain(dict.fromkeys(each for row in typed.settings.impact.values() for each in row)),
    "rota": lambda typed: _plain(rotas.names(typed.settings)),
    "oncall override person": _people,
    "role": lambda _: _plain(ROLES),
}
"""By the argument's name; by its command and name, or the first word of that and the name, which take precedence."""
