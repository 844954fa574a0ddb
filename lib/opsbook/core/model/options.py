"""Options of a run, besides its runbook and environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opsbook.core.model.effect import Mode

DEFAULT_LIMIT = 600.0
"""Seconds a cell may take, unless its fence says timeout=…"""

STOP_AFTER = 30.0
"""Seconds after which a signal to a run without a terminal counts as sent again."""


@dataclass(frozen=True)
class RunOptions:
    """What the operator asks of a run.

    `answers` are given ahead, by the name of the question. `wait`: wait for locks and approvals. `emergency`: why the
    run cannot wait for approvals or a window. `undo`: roll back what the run did. `start`: the step from which a run
    resumes; unfinished steps before it are skipped. `by_hand`: a person does every step. `limit`: seconds that a cell
    without a timeout of its own may take. `cwd`: where cells run; None is the project's folder.
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
    limit: float = DEFAULT_LIMIT
    cwd: Path | None = None
