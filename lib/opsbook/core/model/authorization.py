"""Why a run may begin."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Authorization:
    """Why a run may begin: `evidence` for the journal, and `files` for the record, by name, that prove it.

    `spend` uses up the approvals, once the run has its locks. It raises Refused if another run used them first.
    """

    evidence: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    spend: Callable[[], None] = lambda: None
