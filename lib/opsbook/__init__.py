"""opsbook: runbooks that run. Cells import the effects from here."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsbook.core.effects.ansible import PlaybookResult
    from opsbook.core.effects.basic import ask, attach, confirm, done, here, note, secret, value, wait_until
    from opsbook.core.effects.http import Response, http
    from opsbook.core.effects.kubectl import KubectlResult, kubectl
    from opsbook.core.effects.messages import Sent
    from opsbook.core.effects.notify import notify
    from opsbook.core.effects.playbook import playbook
    from opsbook.core.effects.promql import Series, promql
    from opsbook.core.effects.shell import command
    from opsbook.core.effects.sql import Rows, sql
    from opsbook.core.effects.team import effect
    from opsbook.core.effects.terraform import TerraformResult, terraform
    from opsbook.errors import EffectFailed

__version__ = "0.1.0"

# Effects are imported on first use, so that the command line starts without them.
_HOMES = {
    "ansible": ("PlaybookResult",),
    "playbook": ("playbook",),
    "kubectl": ("kubectl", "KubectlResult"),
    "promql": ("promql", "Series"),
    "sql": ("sql", "Rows"),
    "terraform": ("terraform", "TerraformResult"),
    "basic": ("ask", "attach", "confirm", "done", "here", "note", "secret", "value", "wait_until"),
    "http": ("http", "Response"),
    "notify": ("notify", "Sent"),
    "session": ("replay",),  # not an effect: exported notebooks call it first
    "shell": ("command", "fence"),  # fence() runs a bash or sh cell
    "team": ("effect",),
}
_HOME = {name: f"opsbook.core.effects.{home}" for home, names in _HOMES.items() for name in names}
_HOME["EffectFailed"] = "opsbook.errors"

__all__ = [
    "EffectFailed",
    "KubectlResult",
    "PlaybookResult",
    "Response",
    "Rows",
    "Sent",
    "Series",
    "TerraformResult",
    "ask",
    "attach",
    "command",
    "confirm",
    "done",
    "effect",
    "here",
    "http",
    "kubectl",
    "note",
    "notify",
    "playbook",
    "promql",
    "secret",
    "sql",
    "terraform",
    "value",
    "wait_until",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'opsbook' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)
