"""What has changed since a run was planned: its page, its parameters, and the files it relies on."""

from collections.abc import Iterator, Mapping

from opsbook.core.catalog import catalog
from opsbook.core.model.differ import changes_of, lines_of, narrowed, told
from opsbook.core.model.plan import Plan
from opsbook.core.model.planned import Planned
from opsbook.core.planning.drafts import RELIED_ON
from opsbook.core.planning.edits import original
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.settings import Settings
from opsbook.shapes import from_json

_MOST = 60
"""Lines of a diff that are shown."""

_LONGEST = 200
"""Characters of such a line."""

_ELSEWHERE = frozenset({"runbook", "policy"})
"""Trees compared by content elsewhere: the page by its text, the policy as a file of the inventory."""


def page_changes(settings: Settings, record: store.Record, planned: Plan) -> list[str]:
    """How the page differs from the one that ran."""
    try:
        now = catalog.load(settings, planned.runbook).source
    except InputError as error:
        return [error.message]
    lines = lines_of(original(record), now)
    if not lines or now == record.text("runbook.md"):
        # An edit during the run (--edit) may be in runbooks/ by now.
        return []
    more = [f"… {len(lines) - _MOST} more lines"] if len(lines) > _MOST else []
    return [f"{planned.path}:", *(f"  {line}" for line in narrowed(lines[:_MOST], _LONGEST)), *more]


def relied_on_then(record: store.Record) -> Mapping[str, Mapping[str, str]]:
    """Every file that the plan of a record relied on, with its SHA-256; empty if that cannot be read."""
    try:
        return from_json(dict[str, dict[str, str]], record.text(RELIED_ON))
    except (InputError, ValueError, RecursionError):
        return {}


def changes_since(then: Plan, planned: Planned, relied: Mapping[str, Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """Differences between two plans of one request: those that stop a run from resuming, and those only reported.

    `relied`: every file that the earlier plan relied on, by its tree.
    """
    now = planned.plan
    refusing = [
        f"{name} {line}".replace(" :", ":")
        for name in ("parameters", "secrets", "locks", "hosts")
        for line in told(changes_of(_plain(getattr(then, name)), _plain(getattr(now, name))))
    ]
    trees = [name for name in now.trees if name not in _ELSEWHERE and then.trees.get(name) != now.trees[name]]
    refusing += [line for name in trees for line in _files(name, relied.get(name), planned.files.get(name, {}))]
    if then.trees.get("policy") != now.trees["policy"] and "inventory" not in trees:
        refusing.append("policy: the environment's settings")
    versions = [f"{c.what} {c.before} -> {c.after}" for c in changes_of(dict(then.versions), dict(now.versions))]
    return refusing, versions


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _files(tree: str, then: Mapping[str, str] | None, now: Mapping[str, str]) -> Iterator[str]:
    """Which files of a tree have changed."""
    if then is None:
        yield f"{tree}: some file was changed"
        return
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            what = "was removed" if name not in now else "is new" if name not in then else "was changed"
            yield f"{tree}: {name} {what}"
