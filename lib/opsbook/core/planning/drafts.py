"""From a user's request to a frozen plan. Nothing here writes to disk."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import opsbook
from opsbook import files
from opsbook.core.catalog import catalog
from opsbook.core.model.environment import Environment
from opsbook.core.model.plan import Plan
from opsbook.core.model.planned import Planned
from opsbook.core.model.runbook import Runbook
from opsbook.core.planning import bind, build
from opsbook.core.planning import environment as environments
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings

RELIED_ON = "relied-on.json"
"""File of a record: every file its plan relied on, with its SHA-256."""

_CFG = "ansible.cfg"


@dataclass(frozen=True)
class RunRequest:
    """A user's request: `given` are parameter values as typed, `typed_secrets` come from a hidden prompt."""

    runbook: str
    environment: str
    given: Mapping[str, str | list[str]] = field(default_factory=dict)
    typed_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Draft:
    """A request whose runbook and environment exist; parameters may still be missing."""

    runbook: Runbook
    environment: Environment
    bound: bind.Bound
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)


def draft(settings: Settings, request: RunRequest) -> Draft:
    """Runbook, environment and the parameters bound so far. Raises InputError for anything that does not exist."""
    problems: list[str] = []
    found: list[Any] = []
    for load, name in ((catalog.load, request.runbook), (environments.load, request.environment)):
        try:
            found.append(load(settings, name))
        except InputError as error:
            problems += [*error.problems[:-1], f"{error.problems[-1]} {error.hint}".strip()]
    if problems:
        raise InputError(problems, "Nothing ran.")
    runbook, environment = found
    check_place(runbook, environment)
    typed = request.typed_secrets
    return Draft(runbook, environment, bind.bind(runbook.parameters, request.given, environment, typed), typed)


def planned_draft(
    settings: Settings, runbook: Runbook, then: Plan, typed: Mapping[str, str] = MappingProxyType({})
) -> Draft:
    """A draft with the values of an earlier plan. Raises InputError if the page may no longer run there."""
    found = environments.load(settings, then.environment)
    check_place(runbook, found)
    return Draft(runbook, found, bind.Bound(dict(then.parameters), dict(then.secrets)), typed)


def check_place(runbook: Runbook, environment: Environment) -> None:
    """Raises InputError if the page lists its environments, and this is not one of them."""
    allowed = runbook.front.environments
    if allowed and environment.name not in allowed:
        raise InputError(f"{runbook.name} may not run in {environment.name}, only in {', '.join(allowed)}.")


def places(settings: Settings, runbook: str) -> list[str]:
    """The environments in order; with a runbook, those it may run in. Raises InputError if the runbook is missing."""
    allowed = catalog.load(settings, runbook).front.environments if runbook else ()
    known = [environments.load(settings, name) for name in environments.names(settings)]
    found = [each for each in known if not allowed or each.name in allowed]
    return [each.name for each in sorted(found, key=lambda each: (each.policy.order, each.name))]


def environment(settings: Settings, name: str | None) -> Environment:
    """The environment of this name; without a name, the first sandbox, else the first environment."""
    if name is not None:
        return environments.load(settings, name)
    known = [environments.load(settings, each) for each in environments.names(settings)]
    if not known:
        raise InputError("There is no environment.", "One is a folder playbooks/inventories/NAME with a hosts.yml.")
    return min(known, key=lambda each: (not each.policy.sandbox, each.policy.order, each.name))


def plan(settings: Settings, drafted: Draft) -> Planned:
    """The frozen plan, with the files it relies on. Raises InputError with every wrong parameter."""
    runbook, environment = drafted.runbook, drafted.environment
    bound = drafted.bound.complete(runbook.name)
    found = relied_on(settings, environment)
    trees = {name: _tree(content) for name, content in found.items()}
    versions = {"opsbook": opsbook.__version__, "ansible-core": version("ansible-core")}
    frozen = build.build(runbook, environment, bound, build.Ground(trees, versions))
    return Planned(frozen, runbook, environment, found, drafted.typed)


def check_unchanged(settings: Settings, planned: Planned) -> None:
    """Files may have changed while somebody read the plan, or waited for a lock or a signature. Raises Refused."""
    if relied_on(settings, planned.environment) != planned.files:
        raise Refused("What this run was planned with has changed since.", "Look at what it is now: opsbook plan.")


def relied_on(settings: Settings, environment: Environment) -> dict[str, dict[str, str]]:
    """SHA-256 of every file that a run relies on besides its page: by tree, then by path in it."""
    helpers = settings.helpers
    return {
        "playbooks": playbook_files(settings),
        "inventory": _files(settings.root / environment.inventory),
        "helpers": _files(helpers, skip=helpers / "opsbook"),
        "ansible": {_CFG: files.sha256(settings.root / _CFG)} if (settings.root / _CFG).is_file() else {},
    }


def playbook_files(settings: Settings) -> dict[str, str]:
    """Everything below playbooks/ but the inventories, with its SHA-256."""
    return _files(settings.playbooks, skip=settings.inventories)


def _tree(found: Mapping[str, str]) -> str:
    """SHA-256 over names and contents."""
    return hashlib.sha256("".join(f"{name}\0{sha256}\n" for name, sha256 in found.items()).encode()).hexdigest()


def _files(folder: Path, skip: Path | None = None) -> dict[str, str]:
    """The files below a folder, also behind links, by their path in it; hidden ones and bytecode do not count."""
    found: dict[str, str] = {}
    above: dict[str, frozenset[str]] = {str(folder): frozenset()}
    for place, folders, names in os.walk(folder, followlinks=True):
        here, seen = Path(place), above.pop(place, frozenset()) | {os.path.realpath(place)}
        # A link to a parent folder would be followed forever.
        folders[:] = [
            name
            for name in folders
            if _counts(name) and here / name != skip and os.path.realpath(here / name) not in seen
        ]
        above |= {str(here / name): seen for name in folders}
        for path in (here / name for name in names if _counts(name)):
            if path.is_file():
                found[str(path.relative_to(folder))] = _digest(path)
    return dict(sorted(found.items()))


def _digest(path: Path) -> str:
    """SHA-256 of a file, which is read once: any write to it since gives it another time of change."""
    now = path.stat()
    return _read_once(path, now.st_ctime_ns, now.st_ino, now.st_size)


@cache
def _read_once(path: Path, *_: int) -> str:
    return files.sha256(path)


def _counts(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__"
