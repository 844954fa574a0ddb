"""What is committed decides who may run what: a work tree that says less does not count (ADR 16)."""

import os

from opsbook.core.catalog import catalog
from opsbook.core.model.environment import Environment, Policy
from opsbook.core.model.planned import Planned
from opsbook.core.planning import environment as environments
from opsbook.core.trust import signers
from opsbook.errors import InputError, Refused
from opsbook.settings import CONFIG, Settings

COMMITTED = ("runbooks", "procedures", "playbooks", "lib", "ansible.cfg", CONFIG)
"""What has to be as it is committed before it may run in a protected environment."""

_GUARDS = (
    "sandbox",
    "protected",
    "approvals",
    "approvers",
    "approval_valid",
    "windows",
    "time_zone",
    "labels",
    "review_within",
)
"""Keys of environment.yml that say who may run something, and when."""


def check_policy(settings: Settings, environment: Environment) -> None:
    """Raises Refused if the protected branch guards an environment otherwise than the work tree does."""
    there = _there(settings, environment)
    if there is None or not is_guarded(there):
        return
    policy = environment.policy
    differs = [key for key in _GUARDS if getattr(policy, key) != getattr(there, key)]
    if differs:
        said = f"{environment.name} is guarded, and its environment.yml is not as the protected branch has it: "
        raise Refused(f"{said}{', '.join(differs)}.", "Put it back, or have the change committed there.")


def is_guarded(policy: Policy) -> bool:
    """Whether anybody or anything has to allow a run."""
    return bool(policy.protected or policy.approvals or policy.windows)


def _there(settings: Settings, environment: Environment) -> Policy | None:
    try:
        text = signers.text(settings.root, f"{environment.inventory}/environment.yml", settings.protected_branch)
        return environments.policy_of(text) if text is not None else None
    except (Refused, InputError):
        # Without git, or with a file that says nothing, there is only what the work tree says.
        return None


def check_tree(settings: Settings, planned: Planned) -> None:
    """Raises Refused if a protected environment would run something else than what is committed."""
    name = planned.environment.name
    if changed := signers.uncommitted(settings.root, COMMITTED):
        shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        said = f"{name} is protected, and not everything is committed: {shown}."
        raise Refused(said, "Commit it, or put it back.")
    if planned.runbook.source != catalog.load(settings, planned.runbook.name).source:
        said = f"{name} is protected, and this page is not the one that is committed."
        raise Refused(said, "Commit it and start a new run, or roll this one back.")
    if own := sorted(each for each in os.environ if each.startswith("ANSIBLE_")):
        said = f"{name} is protected, and your environment would change what Ansible does: {', '.join(own)}."
        raise Refused(said, f"Unset it, and say it in ansible.cfg: unset {' '.join(own)}")
