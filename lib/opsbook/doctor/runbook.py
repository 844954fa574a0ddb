"""Checks of one runbook in one environment: what its run needs, and what would stop it."""

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from opsbook.core.catalog import catalog
from opsbook.core.engine import secrets
from opsbook.core.locks import lock
from opsbook.core.locks.locking import way_out
from opsbook.core.locks.queue import conflict
from opsbook.core.model.environment import Environment
from opsbook.core.model.redact import Redactor
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.planning import bind, context
from opsbook.core.planning import environment as policies
from opsbook.core.planning.drafts import Draft, RunRequest, plan
from opsbook.core.source import names
from opsbook.doctor.finding import Finding, fine, refused, warning, wrong
from opsbook.doctor.project import guarded_file, referenced
from opsbook.environments import ports
from opsbook.errors import InputError
from opsbook.settings import Settings

_PATIENCE = 3.0
"""Seconds for a service to accept a connection."""

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Subject:
    """The runbook and environment to check, as far as they load, and why they do not.

    `redactor` knows the resolved secrets, and removes them from Ansible's output.
    """

    settings: Settings
    request: RunRequest
    runbook: Runbook | None
    environment: Environment | None
    broken: tuple[InputError, ...]
    redactor: Redactor = field(default_factory=Redactor)

    @property
    def drafted(self) -> Draft | None:
        """The draft of the run; None if the runbook or the environment does not load."""
        if self.runbook is None or self.environment is None:
            return None
        bound = bind.bind(self.runbook.parameters, self.request.given, self.environment)
        return Draft(self.runbook, self.environment, bound)


def subject(settings: Settings, request: RunRequest) -> Subject:
    """The runbook and the environment, as far as they load. Raises InputError if one does not exist."""
    catalog.find(settings, request.runbook)
    known = policies.names(settings)
    if request.environment not in known:
        raise InputError(f"There is no environment {request.environment}.", nearest(request.environment, known))
    broken: list[InputError] = []
    runbook = environment = None
    try:
        runbook = catalog.load(settings, request.runbook)
    except InputError as error:
        broken.append(error)
    try:
        environment = policies.load(settings, request.environment)
    except InputError as error:
        broken.append(error)
    return Subject(settings, request, runbook, environment, tuple(broken))


def loads(about: Subject) -> Iterator[Finding]:
    """The runbook and the environment load, and the runbook may run there."""
    for error in about.broken:
        yield from refused(error)
    drafted = about.drafted
    if drafted is None:
        return
    allowed = drafted.runbook.front.environments
    if allowed and drafted.environment.name not in allowed:
        text = f"{drafted.runbook.name} may not run in {drafted.environment.name}"
        yield wrong(text, f"Its page allows {', '.join(allowed)}.")
    else:
        yield fine(f"{drafted.runbook.title}, in {drafted.environment.policy.title or drafted.environment.name}")


def parameters(about: Subject) -> Iterator[Finding]:
    """The given values are valid; missing ones will be asked."""
    drafted = about.drafted
    if drafted is None:
        return
    bound = drafted.bound
    for problem in bound.problems:
        yield wrong(problem.rstrip("."), f"opsbook show {drafted.runbook.name} lists its parameters.")
    if not bound.problems:
        asked = [f"{parameter.name} ({parameter.kind})" for parameter in bound.missing]
        given = f"parameters: {len(bound.values) + len(bound.secrets)} have a value"
        yield fine(f"{given}; will be asked: {', '.join(asked)}" if asked else given)


def secret_references(about: Subject) -> Iterator[Finding]:
    """Every reference resolves to a value. No value is ever part of a finding."""
    drafted = about.drafted
    if drafted is None:
        return
    settings, environment = about.settings, drafted.environment
    references = {**environment.policy.secrets, **drafted.bound.secrets}
    try:
        inventory = context.vaulted(settings, environment)
    except InputError as error:
        yield from refused(error)
        return
    vaulted = _unusable(about, environment, inventory, {})
    yield from vaulted
    good = []
    for name, reference in references.items():
        found = [each for each in _unusable(about, environment, inventory, {name: reference}) if each not in vaulted]
        yield from found
        good += [] if found else [name]
    for path, what in referenced(settings, references, environment.name).items():
        yield from guarded_file(path, what) if path.is_file() else ()
    if good or not references:
        yield fine(f"secrets: {', '.join(good) or 'none'}{f'; {len(inventory)} vaulted values' if inventory else ''}")


def _unusable(
    about: Subject, environment: Environment, inventory: list[tuple[str, str]], references: dict[str, str]
) -> list[Finding]:
    """The problems of these references, and of the inventory's vaulted values."""
    policy = environment.policy.model_copy(update={"secrets": references})
    try:
        secrets.load(policy, {}, {}, about.settings.root, inventory, about.redactor)
    except InputError as error:
        return refused(error)
    return []


def questions(about: Subject) -> Iterator[Finding]:
    """The questions that a person will be asked."""
    if about.runbook is None:
        return
    undo = about.runbook.undo() if about.runbook.front.rollback in ("automatic", "ask") else ()
    found = names.questions((*about.runbook.forward(), *undo))
    asked = [f"{one.name} ({'by hand' if one.kind == 'manual' else '/'.join(one.choices) or 'text'})" for one in found]
    yield fine(f"questions: {', '.join(asked) or 'none'}")


def urls(about: Subject) -> Iterator[Finding]:
    """Services accept connections. Only a warning: a service that is down may be the reason for the run."""
    known = about.environment.policy.urls if about.environment else {}
    good = []
    for name, url in known.items():
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS[parts.scheme]
            with socket.create_connection((parts.hostname or "", port), _PATIENCE):
                strangers = list(_strangers(about, name, url, parts.hostname or "", port))
            yield from strangers
            good += [] if strangers else [name]
        except (ValueError, KeyError):
            yield warning(f"service {name}: {url} names no host and port", "Correct urls in environment.yml.")
        except OSError as error:
            why = error.strerror or str(error)
            yield warning(f"service {name} does not answer at {url}: {why}", "Look whether it should be up.")
    if good or not known:
        yield fine(f"services that answer: {', '.join(good) or 'none is named'}")


def _strangers(about: Subject, name: str, url: str, host: str, port: int) -> Iterator[Finding]:
    """Services of another environment or clone on the same port of this machine."""
    if about.environment is None or not _is_here(host):
        return
    of = about.environment.name
    hint = f"opsbook env ports {of} --free gives this clone other ports." if about.environment.policy.ports else ""
    found = ports.on(port)
    for each in found or ():
        if each.folder and not each.is_of(about.settings.root, of):
            said = f"service {name}: at {url} answers process {each.pid} ({each.name}), which belongs to {each.folder}"
            yield warning(said, hint or "Correct urls in environment.yml.")
    if found == [] and about.environment.policy.ports:
        yield warning(f"service {name}: at {url} answers a process that another user started", hint)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def locks(about: Subject) -> Iterator[Finding]:
    """No other run holds a lock on the targets."""
    drafted = about.drafted
    if drafted is None or drafted.bound.problems:
        return
    if drafted.bound.missing:
        templates = ", ".join(drafted.runbook.front.lock)
        yield fine(f"locks: {templates}, once every parameter has a value" if templates else "locks: none")
        return
    targets = plan(about.settings, drafted).plan.locks
    held = [one for one in lock.holders(about.settings.state) if any(conflict(one.target, t) for t in targets)]
    for one in held:
        yield wrong(f"{one.target} is locked by {one.run} ({one.operator}): {one.reason}", way_out(about.settings, one))
    if not held:
        yield fine(f"locks: {', '.join(targets) + ' free' if targets else 'none'}")
