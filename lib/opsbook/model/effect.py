"""Effects as they stand in the journal, and what the gate answers to them."""

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from opsbook.model.runbook import Role

IN_FLIGHT = 32
"""Messages of output that may wait on either side of the socket between kernel and runner."""

MARK = "application/vnd.opsbook.mark+json"
"""MIME type of the mark a kernel publishes among its output before each request to the gate."""


class Mode(StrEnum):
    """How a run treats effects. A notebook is run by another tool: a session's rules, a run's record."""

    LIVE = "live"
    SESSION = "session"
    NOTEBOOK = "notebook"
    RESUME = "resume"


class Status(StrEnum):
    """How an effect ended. The outcome of an interrupted one is unknown."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Answer(StrEnum):
    """What the gate answers."""

    RUN = "run"
    RECORDED = "recorded"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Effect:
    """What a cell asks the gate for. `request` is everything that decides what will happen."""

    kind: str
    key: str
    summary: str
    changes: bool
    idempotent: bool = False
    request: dict[str, Any] = field(default_factory=dict)

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


def decide(effect: Effect, mode: Mode, role: Role, *, recorded: str | None, sandbox: bool) -> Decision:
    """What the gate does with an effect.

    `recorded` is the digest of a succeeded recording under the same key, or None. A changing effect
    in a section that only reads is refused in every mode; a session changes only a sandbox; in resume
    a recorded effect is answered from its recording, and any other runs.
    """
    if effect.changes and role is Role.READ:
        return Decision(
            Answer.REFUSE,
            f"{effect.summary} changes something, but its section may only read. "
            "Move it to Steps, or say changes=False if it only reads.",
        )
    if mode in (Mode.SESSION, Mode.NOTEBOOK) and effect.changes and not sandbox:
        return Decision(
            Answer.REFUSE,
            f"{effect.summary} changes something, and a {mode} may change only an environment marked "
            "sandbox: true. Use opsbook run.",
        )
    if mode is Mode.NOTEBOOK and effect.kind == "secret":
        return Decision(
            Answer.REFUSE, f"{effect.summary} is asked for, and a notebook is kept in clear. Use opsbook run."
        )
    if mode is not Mode.RESUME or recorded is None:
        return Decision(Answer.RUN)
    if recorded != effect.digest:
        return Decision(Answer.REFUSE, f"{effect.summary} asks for something else than what was recorded.")
    return Decision(Answer.RECORDED)
