"""A plan with its sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opsbook.core.model.environment import Environment
from opsbook.core.model.plan import Plan
from opsbook.core.model.runbook import Runbook


@dataclass(frozen=True)
class Planned:
    """What is going to run. `files` are the SHA-256 of the files that the plan relies on, by tree and path in it.

    `typed` are secrets that somebody typed unseen.
    """

    plan: Plan
    runbook: Runbook
    environment: Environment
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
