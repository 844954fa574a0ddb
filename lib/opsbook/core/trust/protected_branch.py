"""The protected branch decides who may run what; a work tree cannot weaken it (ADR 16)."""

import os

from opsbook.core.catalog import catalog
from opsbook.core.model.environment import Environment, Policy
from opsbook.core.model.planned import Planned
from opsbook.core.planning import environment as environments
from opsbook.core.trust import signers
from opsbook.errors import InputError, Refused
from opsbook.settings import CONFIG, Settings

COMMITTED = ("runbooks", "procedures", "playbooks", "lib", "ansible.cfg", CONFIG)
"""Paths that must have no uncommitted changes before a run in a protected environment."""

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
    """Raises Refused if the work tree guards an environment differently from the protected branch."""
    committed = _committed_policy(settings, environment)
    if committed is None or not is_guarded(committed):
        return
    policy = environment.policy
    differs = [key for key in _GUARDS if getattr(policy, key) != getattr(committed, key)]
    if differs:
        said = f"{environment.name} is guarded, and its environment.yml is not as the protected branch has it: "
        raise Refused(f"{said}{', '.join(differs)}.", "Put it back, or have the change committed there.")


def is_guarded(policy: Policy) -> bool:
    """Whether a run needs a signature, an approval or a window."""
    return bool(policy.protected or policy.approvals or policy.windows)


def _committed_policy(settings: Settings, environment: Environment) -> Policy | None:
    try:
        text = signers.text(settings.root, f"{environment.inventory}/environment.yml", settings.protected_branch)
        return environments.policy_of(text) if text is not None else None
    except (Refused, InputError):
        # Without git, or with an unusable file, only the work tree's policy is left.
        return None


def check_tree(settings: Settings, planned: Planned) -> None:
    """Raises Refused if a run in a protected environment would use anything that is not committed."""
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
