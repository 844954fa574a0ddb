"""Why a run may begin."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Authorization:
    """Why a run may begin: what the journal says of it, and files for the record, by name, that prove it.

    `spend` uses the approvals up, once the run has its locks. It raises Refused if another run was faster.
    """

    evidence: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    spend: Callable[[], None] = lambda: None
