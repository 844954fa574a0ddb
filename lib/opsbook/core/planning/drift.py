"""What has changed since a run was planned: its parameters, hosts and tools."""

from opsbook.core.model.differ import changes_of, told
from opsbook.core.model.plan import Plan


def changes_since(then: Plan, now: Plan) -> tuple[list[str], list[str]]:
    """Differences between two plans of one request: those that stop a run from resuming, and those only reported."""
    refusing = [
        f"{name} {line}".replace(" :", ":")
        for name in ("parameters", "secrets", "locks", "hosts")
        for line in told(changes_of(_plain(getattr(then, name)), _plain(getattr(now, name))))
    ]
    if then.trees.get("policy") != now.trees["policy"]:
        refusing.append("policy: the environment's settings")
    if then.trees.get("inventory") != now.trees.get("inventory"):
        refusing.append("inventory: groups, or variables of hosts")
    versions = [f"{c.what} {c.before} -> {c.after}" for c in changes_of(dict(then.versions), dict(now.versions))]
    return refusing, versions


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
