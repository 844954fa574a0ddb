"""A run about to begin, to resume or to be rolled back: what decides whether it may."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opsbook.core.model.environment import Policy
from opsbook.core.model.event import Event
from opsbook.core.model.plan import Plan
from opsbook.core.model.planned import Planned
from opsbook.settings import Settings


@dataclass(frozen=True)
class RunStart:
    """A run about to begin, to resume or to be rolled back. `events` are those of its earlier processes, and `outcome`
    how they ended.
    """

    settings: Settings
    planned: Planned
    run: str
    emergency: str = ""
    events: Sequence[Event] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    outcome: str = ""

    @property
    def plan(self) -> Plan:
        return self.planned.plan

    @property
    def policy(self) -> Policy:
        """What guards the environment."""
        return self.planned.environment.policy
