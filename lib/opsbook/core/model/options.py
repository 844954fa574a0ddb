"""How a run is to go, beyond what is to run and where."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opsbook.core.model.effect import Mode


@dataclass(frozen=True)
class RunOptions:
    """What the operator wants of a run.

    `answers` were given ahead, by the name of the question. `wait`: until the locks are free and somebody has approved;
    `emergency` says why that cannot be waited for. `undo`: roll back what the run did. `start`: the step from which a
    run goes on; what is not done with before it is left out. `by_hand`: a person does every step.
    """

    mode: Mode = Mode.LIVE
    answers: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    wait: bool = False
    emergency: str = ""
    undo: bool = False
    start: str = ""
    by_hand: bool = False
    pause_on_failure: bool = False
    retry_unknown: bool = False
