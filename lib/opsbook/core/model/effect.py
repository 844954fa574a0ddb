"""Effects and their statuses, as in the journal; the modes of a run."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

IN_FLIGHT = 32
"""Output messages that may queue on either side of the socket between kernel and runner."""

MARK = "application/vnd.opsbook.mark+json"
"""MIME type of the mark that a kernel publishes in its output before each request to the gate."""

FIRST_LINE = "opsbook_line"
"""Metadata of a cell that is to run: the line of the page on which its code begins."""


class Mode(StrEnum):
    """How a run treats effects. A check changes nothing; in a session a person chooses what runs next, and a notebook
    has the same rules; in a replay, a recording stands in for external systems.
    """

    LIVE = "live"
    CHECK = "check"
    SESSION = "session"
    NOTEBOOK = "notebook"
    REPLAY = "replay"


class Status(StrEnum):
    """How an effect ended. The outcome of an interrupted effect is unknown; a check simulates effects."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class Effect:
    """What a cell asks the gate for. `request` is everything that decides what will happen.

    `ignore` names values of its answer that change by themselves. It is not part of the digest.
    """

    kind: str
    key: str
    summary: str
    changes: bool
    idempotent: bool = False
    request: dict[str, Any] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Hex SHA-256 of kind, changes and request; secrets are already replaced by their names."""
        return digest([self.kind, self.changes, self.request])


def digest(value: Any) -> str:
    """Hex SHA-256 of a JSON value in one canonical form."""
    import hashlib

    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Any) -> bytes:
    """Canonical JSON, for hashing and signing."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def no_sandbox(mode: Mode) -> str:
    """Why a session, or a notebook of another tool, may not change a non-sandbox environment."""
    return f"a {mode} may change only an environment marked sandbox: true. Use opsbook run."
