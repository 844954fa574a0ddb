"""Build the plan, everything that decides what a run will do in one digest; and compare it with another. No IO."""

from collections.abc import Mapping

from opsbook.core.model.differ import changes_of, told
from opsbook.core.model.effect import digest
from opsbook.core.model.environment import Environment
from opsbook.core.model.plan import Plan
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import slug
from opsbook.core.planning.bind import Bound


def build(
    runbook: Runbook, environment: Environment, bound: Bound, trees: Mapping[str, str], versions: Mapping[str, str]
) -> Plan:
    """The frozen plan. `trees`: the SHA-256 of what the run reads; `versions`: those of the tools."""
    names = {name: str(value) for name, value in bound.values.items()} | {"environment": environment.name}
    policy = environment.policy.told()
    return Plan(
        runbook=runbook.name,
        path=str(runbook.path),
        title=runbook.title,
        environment=environment.name,
        parameters=bound.values,
        secrets=bound.secrets,
        locks=tuple(sorted({_target(lock, names) for lock in runbook.front.lock})),
        hosts=environment.hosts,
        trees={"runbook": digest(runbook.source), "policy": digest(policy), **trees},
        versions=versions,
    )


def _target(template: str, names: Mapping[str, str]) -> str:
    """`{environment}/{service}` -> `dev/arcade`; each part is a slug, so targets compare part by part."""
    parts = (part.format_map(names) for part in template.split("/"))
    return "/".join(slug(part) for part in parts if part)


def changes_since(then: Plan, now: Plan) -> tuple[list[str], list[str]]:
    """Differences between two plans of one request: those that stop a run from resuming, and those only reported."""
    refusing = [
        f"{name} {line}".replace(" :", ":")
        for name in ("parameters", "secrets", "locks", "hosts")
        for line in told(changes_of(_plain(getattr(then, name)), _plain(getattr(now, name))))
    ]
    refusing += [f"{c.what} {c.before} -> {c.after}" for c in changes_of(then.artefacts, now.artefacts)]
    if then.trees.get("policy") != now.trees["policy"]:
        refusing.append("policy: the environment's settings")
    resolved = [plan.trees.get("inventory", "") for plan in (then, now)]
    telling = ["inventory: groups, or variables of hosts"] if resolved[0] != resolved[1] else []
    telling += [f"{c.what} {c.before} -> {c.after}" for c in changes_of(dict(then.versions), dict(now.versions))]
    return refusing, telling


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
