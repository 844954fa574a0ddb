"""Effects as they stand in the journal, and what the gate answers to them."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

IN_FLIGHT = 32
"""Messages of output that may wait on either side of the socket between kernel and runner."""

MARK = "application/vnd.opsbook.mark+json"
"""MIME type of the mark a kernel publishes among its output before each request to the gate."""


class Mode(StrEnum):
    """How a run treats effects. A check changes nothing; a notebook has a session's rules and a run's record; a
    replay meets a recording instead of the outside.
    """

    LIVE = "live"
    CHECK = "check"
    SESSION = "session"
    NOTEBOOK = "notebook"
    REPLAY = "replay"


class Status(StrEnum):
    """How an effect ended. The outcome of an interrupted one is unknown; a check only simulates."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class Effect:
    """What a cell asks the gate for. `request` is everything that decides what will happen.

    `ignore` names values of its answer that change by themselves: nothing is decided by it.
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
        """Hex SHA-256 of the request; secrets in it are already replaced by their names."""
        return digest([self.kind, self.changes, self.request])


def digest(value: Any) -> str:
    """Hex SHA-256 of a JSON value in one canonical form."""
    import hashlib

    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Any) -> bytes:
    """The one way opsbook writes JSON it hashes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def no_sandbox(mode: Mode) -> str:
    """Why a session, or a notebook of another tool, may not change an environment that is no sandbox."""
    return f"a {mode} may change only an environment marked sandbox: true. Use opsbook run."
