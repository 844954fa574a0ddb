"""A plan with its sources, the options of its run, and why that may begin."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from opsbook.core.model.effect import Mode
from opsbook.core.model.environment import Environment
from opsbook.core.model.plan import Plan
from opsbook.core.model.runbook import Runbook


class Place(NamedTuple):
    """Where a kernel works: its folder, and the one with the pages, playbooks and helpers of its run."""

    cwd: Path
    content: Path


@dataclass(frozen=True)
class Planned:
    """What is going to run. `root` is the folder with its files, and `files` are those, as entries of a tree.

    `typed` are secrets that somebody typed unseen. `outside` are links that lead out of the project, with where to.
    """

    plan: Plan
    runbook: Runbook
    environment: Environment
    root: Path
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
    outside: tuple[str, ...] = ()


DEFAULT_LIMIT = 600.0
"""Seconds a cell may take, unless its fence says timeout=…"""

STOP_AFTER = 30.0
"""Seconds after which a signal to a run without a terminal counts as sent again."""


@dataclass(frozen=True)
class RunOptions:
    """What the operator asks of a run.

    `answers` are given ahead, by the name of the question. `wait`: wait for locks and approvals; None: for approvals,
    while a person is there. `emergency`: why the run cannot wait for approvals or a window. `undo`: roll back what the
    run did. `start`: the step from which a run resumes; unfinished steps before it are skipped. `by_hand`: a person
    does every step. `limit`: seconds that a cell without a timeout of its own may take. `warm`: Ansible is imported
    once for all playbooks. `cwd`: where cells run; None is the project's folder.
    """

    mode: Mode = Mode.LIVE
    answers: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    wait: bool | None = None
    emergency: str = ""
    undo: bool = False
    start: str = ""
    by_hand: bool = False
    pause_on_failure: bool = False
    retry_unknown: bool = False
    limit: float = DEFAULT_LIMIT
    warm: bool = True
    cwd: Path | None = None


@dataclass(frozen=True)
class Authorization:
    """Why a run may begin: `evidence` for the journal, and `files` for the record, by name, that prove it.

    `spend` uses up the approvals, once the run has its locks. It raises Refused if another run used them first.
    """

    evidence: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    spend: Callable[[], None] = lambda: None
