"""A plan with its sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

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
