"""What an environment asks for: its policy on the protected branch, which a work tree cannot weaken (ADR 16).

The one answer for every door. Where it cannot be given, the environment is closed.
"""

from opsbook.core.model.environment import Policy
from opsbook.core.model.text import some
from opsbook.core.planning import environment as environments
from opsbook.core.planning import git
from opsbook.core.planning.tree import READ
from opsbook.errors import InputError, Refused
from opsbook.settings import CONFIG, Settings, inventories

_COMMITTED = (
    *("runbooks", "procedures", "playbooks", "environments", "lib", "roles", "collections", "ansible.cfg", CONFIG),
    *("group_vars", "host_vars"),
)
"""Paths that must have no uncommitted changes when a run in a protected environment is planned."""

_GUARDS = (
    "sandbox",
    "protected",
    "approvals",
    "approvers",
    "approval_valid",
    "windows",
    "freezes",
    "time_zone",
    "labels",
    "review_within",
    "promotion",
)
"""Keys of environment.yml that say who may run something, and when."""


def is_guarded(policy: Policy) -> bool:
    """Whether a run needs a signature, an approval, a window, no freeze, or a release that was promoted."""
    return bool(policy.protected or policy.approvals or policy.windows or policy.freezes or policy.promotion)


def committed(settings: Settings, name: str) -> Policy | None:
    """The policy of an environment on the protected branch; None if it, or git, does not know the environment.

    Raises Refused if nobody can say which branch that is, or if this version cannot read the policy.
    """
    if not git.is_repository(settings.root):
        return None
    branch = git.protected(settings.root, settings.protected_branch)
    if branch is None:
        return None
    # Where that branch has it, wherever the work tree says that it is.
    known = inventories(git.show(settings.root, branch.commit, CONFIG) or "")
    if known is None:
        said = f"Nobody can say what {name} asks for: {CONFIG} on {branch.name} cannot be read."
        raise Refused(said, "Install the opsbook that can, or mend it.")
    place = (environments.TABLE if name in known else environments.FOLDER).format(name=name)
    text = git.show(settings.root, branch.commit, place)
    if text is None and name in known:
        return environments.CLOSED
    try:
        return environments.policy_of(text) if text is not None else None
    except InputError as error:
        said = f"Nobody can say what {name} asks for: its environment.yml on {branch.name} "
        raise Refused(f"{said}cannot be read: {error.message}", "Install the opsbook that can, or mend it.") from error


def check(settings: Settings, name: str, ours: Policy) -> Policy:
    """The policy that holds in an environment: the protected branch's, or else `ours`.

    Raises Refused if `ours` guards it differently. A sandbox, which nobody guards, may be changed at will.
    """
    theirs = committed(settings, name)
    if theirs is None or (theirs.sandbox and not is_guarded(theirs)):
        return ours
    differs = [key for key in _GUARDS if getattr(ours, key) != getattr(theirs, key)]
    if differs:
        said = f"{name} is guarded, and its environment.yml is not as the protected branch has it: "
        raise Refused(f"{said}{', '.join(differs)}.", "Put it back, or have the change committed there.")
    return theirs


def guarded_by_anybody(settings: Settings, name: str) -> bool:
    """Whether the work tree or the protected branch guards an environment; True in doubt."""
    try:
        ours, theirs = environments.load_as_written(settings, name), committed(settings, name)
    except (InputError, Refused):
        return True
    return is_guarded(ours) or (theirs is not None and is_guarded(theirs))


def check_commit(settings: Settings, name: str, used: str) -> None:
    """Raises Refused unless the protected branch contains the commit that a protected environment executes."""
    branch = git.protected(settings.root, settings.protected_branch)
    if branch is None or not used or not git.contains(settings.root, branch, used):
        said = f"{name} is protected, and the files of this plan are not of a commit of the protected branch."
        raise Refused(said, "Plan it anew, with what is merged.")


def commit(settings: Settings, name: str) -> str:
    """The commit whose tree a protected environment executes: the one checked out. Raises Refused.

    Also raises it for files that are not committed: they would not be used, and somebody may mean them to be.
    """
    branch = git.protected(settings.root, settings.protected_branch)
    if branch is None:
        where = git.branch_name(settings.root, settings.protected_branch)
        said = f"{name} is protected, and nothing is committed to {where}."
        raise Refused(said, "Commit it, or name the branch in opsbook.toml: protected_branch.")
    head = git.head_on(settings.root, branch)
    if head is None:
        said = f"{name} is protected, and what is checked out here is not on {branch.name}."
        raise Refused(said, f"Have it merged, or check out a commit of {branch.name}.")
    named = settings.ansible
    beside = (":(glob)*.y*ml", *READ) if named.playbooks == "." else (named.playbooks,)
    if changed := git.uncommitted(settings.root, (*_COMMITTED, *beside, *named.inventories.get(name, ()))):
        said = f"{name} is protected, and not everything is committed: {some(changed)}."
        raise Refused(said, "Commit it, or put it back.")
    return head
