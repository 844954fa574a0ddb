"""Effects as they stand in the journal, and what the gate answers to them."""

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from opsbook.core.model.role import Role

IN_FLIGHT = 32
"""Messages of output that may wait on either side of the socket between kernel and runner."""

MARK = "application/vnd.opsbook.mark+json"
"""MIME type of the mark a kernel publishes among its output before each request to the gate."""


_SIMULATED = frozenset({"playbook"})
"""Kinds whose tool can say what it would do."""


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


class Answer(StrEnum):
    """What the gate answers."""

    RUN = "run"
    SIMULATE = "simulate"
    SKIP = "skip"
    REFUSE = "refuse"


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


@dataclass(frozen=True)
class Decision:
    """The gate's answer, with a sentence when it is no."""

    answer: Answer
    why: str = ""


def digest(value: Any) -> str:
    """Hex SHA-256 of a JSON value in one canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Any) -> bytes:
    """The one way opsbook writes JSON it hashes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def no_sandbox(mode: Mode) -> str:
    """Why a session, or a notebook of another tool, may not change an environment that is no sandbox."""
    return f"a {mode} may change only an environment marked sandbox: true. Use opsbook run."


def decide(effect: Effect, mode: Mode, role: Role, *, closed: str = "", simulated: bool = False) -> Decision:
    """What the gate does with an effect of which the journal knows nothing yet.

    A changing effect in a section that only reads is refused in every mode; `closed` says why this environment may not
    be changed by a session, or by a notebook of another tool. A check simulates what can be simulated, and skips what
    else changes; with `simulated` (something was), nobody waits for what cannot come.
    """
    if effect.changes and role is Role.READ:
        return Decision(
            Answer.REFUSE,
            f"{effect.summary} changes something, but its section may only read. "
            "Move it to Steps, or say changes=False if it only reads.",
        )
    if closed and effect.changes:
        return Decision(Answer.REFUSE, f"{effect.summary} changes something, and {closed}")
    if mode is Mode.NOTEBOOK and effect.kind == "secret":
        return Decision(
            Answer.REFUSE, f"{effect.summary} is asked for, and a notebook is kept in clear. Use opsbook run."
        )
    if mode is Mode.CHECK and effect.changes:
        return Decision(Answer.SIMULATE if effect.kind in _SIMULATED else Answer.SKIP)
    if mode is Mode.CHECK and effect.kind == "wait_until" and simulated:
        return Decision(Answer.SKIP)
    return Decision(Answer.RUN)
