"""From a user's request to a frozen plan."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import opsbook
from opsbook.core.catalog import catalog
from opsbook.core.model.environment import Environment
from opsbook.core.model.plan import Plan
from opsbook.core.model.planned import Place, Planned
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import some
from opsbook.core.planning import artefacts, authority, bind, build, service_settings, tree, tree_store
from opsbook.core.planning import environment as environments
from opsbook.core.planning.tree import Tree
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings

_COMMIT_IT = "Commit what it leads to, and name it by a path in the project."

TREE, COMMIT, INVENTORY = "tree", "commit", "inventory"
"""Names in a plan's `trees`: the digest of the files it executes, the commit they are from, and the digest of groups
and variables of an inventory that may change by itself.
"""


_NOT_KEPT = frozenset({"check", "environment", "incident", "procedure", "recovery", "security"})
"""Kinds of runbook that run although a setting of a service is wrong: they are needed then, and bring no settings."""


@dataclass(frozen=True)
class RunRequest:
    """A user's request: `given` are parameter values as typed, `typed_secrets` come from a hidden prompt."""

    runbook: str
    environment: str
    given: Mapping[str, str | list[str]] = field(default_factory=dict)
    typed_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Draft:
    """A request whose runbook and environment exist; parameters may still be missing. It is planned from `tree`, the
    folder as it is if there is none.
    """

    runbook: Runbook
    environment: Environment
    bound: bind.Bound
    tree: Tree | None = None
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)


def draft(settings: Settings, request: RunRequest) -> Draft:
    """Runbook, environment and the parameters bound so far. Raises InputError for anything that does not exist."""
    problems: list[str] = []
    found: list[Any] = []
    files = None
    # What is wrong with the environment is told below, with what else is wrong.
    with contextlib.suppress(InputError):
        settings, files = ground(settings, request.environment)
    for load, name in (
        (catalog.load, request.runbook),
        (partial(environments.load, anew=True), request.environment),
    ):
        try:
            found.append(load(settings, name))
        except InputError as error:
            problems += [*error.problems[:-1], f"{error.problems[-1]} {error.hint}".strip()]
    if problems:
        raise InputError(problems, "Nothing ran.")
    runbook, environment = found
    check_place(runbook, environment)
    typed = request.typed_secrets
    return Draft(runbook, environment, bind.bind(runbook.parameters, request.given, environment, typed), files, typed)


def planned_draft(
    settings: Settings, runbook: Runbook, then: Plan, typed: Mapping[str, str] = MappingProxyType({})
) -> Draft:
    """A draft with the values and the files of an earlier plan. Raises InputError, and Refused without its files."""
    settings, files = ground_then(settings, then, runbook.source)
    found = environments.load(settings, then.environment, anew=True)
    check_place(runbook, found)
    return Draft(runbook, found, bind.Bound(dict(then.parameters), dict(then.secrets)), files, typed)


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
        raise InputError("There is no environment.", "opsbook init makes one, or finds inventories that are there.")
    return min(known, key=lambda each: (not each.policy.sandbox, each.policy.order, each.name))


def plan(settings: Settings, drafted: Draft) -> Planned:
    """The frozen plan. Raises InputError with every wrong parameter."""
    runbook, environment, found = drafted.runbook, drafted.environment, drafted.tree or tree.of_folder(settings)
    bound = drafted.bound.complete(runbook.name)
    if runbook.front.kind not in _NOT_KEPT:
        service_settings.check(replace(settings, tree=found.root), environment)
    trees = {TREE: found.digest, **({COMMIT: found.commit} if found.commit else {})}
    if environment.resolved:
        trees[INVENTORY] = environment.resolved
    trees |= artefacts.digests(settings.root, environment.policy, runbook.parameters, bound.values)
    versions = {"opsbook": opsbook.__version__, "ansible-core": version("ansible-core")}
    frozen = build.build(runbook, environment, bound, trees, versions)
    return Planned(frozen, runbook, environment, found.root, found.files, drafted.typed, found.outside)


# -- the tree


def ground(settings: Settings, environment: str) -> tuple[Settings, Tree]:
    """The tree that a run in this environment executes now, and the settings with which it is planned.

    In a protected environment that of the commit that is checked out, written out; in one that wants approvals or
    has windows the folder's, written out; elsewhere the folder itself. Raises InputError and Refused.
    """
    policy = authority.check(settings, environment, environments.load_as_written(settings, environment))
    if policy.protected:
        found = tree.of_commit(settings.root, authority.commit(settings, environment))
    else:
        found = tree.of_folder(settings)
    if authority.is_guarded(policy):
        found = tree_store.written_out(settings, found)
        if policy.protected and (ways := tree_store.ways_out(found)):
            raise Refused(f"{environment} is protected, and this leads out of the project: {some(ways)}.", _COMMIT_IT)
    return settings.within(found.root), found


def ground_then(settings: Settings, then: Plan, page: str) -> tuple[Settings, Tree]:
    """The tree of an earlier plan: written out, or the folder where nothing that matters has changed since.

    `page`: the text of the page, which may name files outside of the usual folders. Raises Refused.
    """
    found = tree_then(settings, then)
    if found.commit or authority.guarded_by_anybody(settings, then.environment) or changed_since(settings, found, page):
        found = tree_store.written_out(settings, found)
    return settings.within(found.root), found


def tree_then(settings: Settings, then: Plan) -> Tree:
    """The tree of an earlier plan. Raises Refused if it is neither stored nor in git."""
    found, commit = tree_store.stored(settings, then.trees.get(TREE, "")), then.trees.get(COMMIT, "")
    if found is None and commit:
        found = tree.of_commit(settings.root, commit)
    if found is None or found.digest != then.trees.get(TREE):
        said = f"The files with which {then.id} was planned are not there any more."
        raise Refused(said, "Plan it anew. To undo by hand what was done: opsbook show RUNBOOK --manual.")
    return replace(found, commit=commit)


def changed_files(settings: Settings, then: Plan, page: str) -> list[str]:
    """As `changed_since`, for the plan of a record; says so if its files are not known."""
    found = tree_store.stored(settings, then.trees.get(TREE, ""))
    return changed_since(settings, found, page) if found else ["a file that is not known any more"]


def changed_since(settings: Settings, then: Tree, page: str) -> list[str]:
    """Files of a tree that are not so in the project's folder: those that opsbook, Ansible or this page read.

    New files do not count: a run may write some itself.
    """
    saved = tree_store.differing(settings, then.files)
    return [path for path in saved if path in then.files and tree.matters(path, page, _roots(settings))]


def saved_since(settings: Settings, planned: Planned) -> list[str]:
    """What a run that executes its own tree does not use of the folder: new and changed files, and the page itself."""
    page, source = planned.plan.path, planned.runbook.source
    saved = tree_store.differing(settings, planned.files)
    own = planned.root != settings.root
    return [path for path in saved if path == page or (own and tree.matters(path, source, _roots(settings)))]


def _roots(settings: Settings) -> set[str]:
    """Folders at the top of the project with what Ansible reads, besides the usual ones."""
    named = [settings.ansible.playbooks, *(each for found in settings.ansible.inventories.values() for each in found)]
    return {PurePosixPath(each).parts[0] if each != "." else "." for each in named}


def keep(settings: Settings, planned: Planned) -> None:
    """Store the files of a plan, with which it can be resumed, rolled back or approved. Raises Refused."""
    tree_store.keep(settings, _tree(planned))


def place(settings: Settings, planned: Planned, run: str) -> Place:
    """Where a run starts or goes on: with what it was planned with, whatever was saved since.

    Raises Refused if that is not there any more.
    """
    found, policy = _tree(planned), planned.environment.policy
    if planned.root == settings.root and not changed_since(settings, found, planned.runbook.source):
        return Place(planned.root, planned.root)
    content = tree_store.written_out(settings, found).root
    beside = not (found.commit or authority.is_guarded(policy))
    return Place(tree_store.work_folder(settings, run, content, beside=beside), content)


def _tree(planned: Planned) -> Tree:
    return Tree(planned.files, planned.root, planned.plan.trees.get(COMMIT, ""))
