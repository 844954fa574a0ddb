"""The context of runs and sessions: operator, tools, secrets as they are now, and what cells see of it."""

import getpass
import hashlib
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.engine import secrets
from opsbook.core.model.environment import Environment
from opsbook.core.model.redact import Redactor
from opsbook.core.planning import environment as environments
from opsbook.errors import InputError
from opsbook.settings import Settings

_WITH_VARIABLES = ("roles", "collections", "group_vars", "host_vars", "vars", "defaults", "tasks", "handlers")
"""Folders of a project with files of variables, besides those of playbooks and inventories."""


def vault(
    settings: Settings,
    environment: Environment,
    references: Mapping[str, str],
    typed: Mapping[str, str],
    redactor: Redactor | None = None,
    page: str | None = None,
) -> secrets.Vault:
    """The secrets of an environment and of parameters, by `references`; `typed` ones came from a hidden prompt.

    `page`: the name of the page that asks for them; without, all of them are for whoever asks.
    """
    inventory, policy = vaulted(settings, environment), environment.policy
    found = secrets.load(policy, references, typed, settings.root, inventory, redactor or Redactor())
    if page is not None:
        # They are known all the same: what is printed of them is replaced.
        found.closed = frozenset(name for name, pages in policy.secret_pages.items() if page not in pages) - {
            *references
        }
    return found


def vaulted(settings: Settings, environment: Environment) -> list[tuple[str, str]]:
    """Names and values of the vaulted variables that Ansible may read: with the inventory, with playbooks and in roles.

    Raises InputError if those of the inventory cannot be read. What else no password opens, Ansible cannot open either.
    """
    named = environment.inventory
    sources = [settings.content / each for each in ([named] if isinstance(named, str) else named)]
    beside = {path.parent for path in sources} if not isinstance(named, str) else ()
    inventory = [*sources, *(folder / each for folder in beside for each in ("group_vars", "host_vars"))]
    top = settings.content.glob("*.y*ml") if settings.ansible.playbooks == "." else [settings.playbooks]
    others = [*(settings.content / each for each in _WITH_VARIABLES), *top]
    needed, more = ([path for place in places for path in files.below(place)] for places in (inventory, others))
    return secrets.vaulted(needed, more, settings.vaults)


def seen(settings: Settings, environment: Environment, run_id: str, mode: str) -> dict[str, Any]:
    """What cells see as `here`."""
    policy = environment.policy
    return {
        "run": run_id,
        "mode": mode,
        "operator": operator(),
        "environment": environment.name,
        "sandbox": policy.sandbox,
        "protected": policy.protected,
        "settings": policy.settings,
        "urls": policy.urls,
        "ports": policy.ports,
        "clone": clone_id(settings.root),
        "contacts": list(policy.contacts),
        "channels": {name: each.model_dump(mode="json") for name, each in policy.channels.items()},
        "hosts": list(environment.hosts),
        "groups": {name: list(hosts) for name, hosts in environment.groups.items()},
        "root": str(settings.content),
        "content": str(settings.content),
        "state": str(settings.state),
        "inventory": environment.inventory,
        "playbooks": settings.ansible.playbooks,
        "dynamic": bool(environment.resolved),
        "keeps": not isinstance(environment.inventory, str),
        "ansible_bin": str(ansible_bin()),
        "check_reads": list(settings.check_reads),
        "vaults": list(settings.vaults),
    }


def clone_id(root: Path) -> str:
    """Identifies this copy of the project on this machine; a service can report it to show which copy it belongs to."""
    return hashlib.sha256(str(root).encode()).hexdigest()[:12]


def operator() -> str:
    """Who runs this: user@host of the operating system."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def ansible_bin() -> Path:
    """The folder of ansible-playbook: beside this Python, or on the PATH."""
    beside = Path(sys.executable).parent
    if (beside / "ansible-playbook").is_file():
        return beside
    found = shutil.which("ansible-playbook")
    return Path(found).parent if found else beside


def knowing(settings: Settings, wanted: Mapping[str, Mapping[str, str]], typed: Mapping[str, str]) -> Redactor:
    """A redactor with the secrets of environments, and of these references in each; `typed` are values by name.

    Raises InputError with all that are unavailable.
    """
    found = Redactor()
    problems: list[str] = []
    for name, references in wanted.items():
        try:
            vault(settings, environments.load(settings, name), references, typed, found)
        except InputError as error:
            problems += error.problems
    if problems:
        hint = "What is not known is not found. Name the environments whose secrets you can read: -e ENV."
        raise InputError(problems, hint)
    return found
