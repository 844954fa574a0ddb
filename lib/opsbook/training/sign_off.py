"""The statement that a second person signs for a passed drill, and who may not sign it (ADR 19). No IO."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from opsbook.core.model.approval import Identity, Moment
from opsbook.core.model.effect import canonical
from opsbook.training.training import Drilled


class SignOff(BaseModel):
    """The signed statement. `seal` and `training` are the SHA-256 of the record's seal and of the training record.

    `person` is the trainee, `by` the system user who signs; `signed` is UTC, ISO 8601.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    kind: Literal["training-sign-off"] = "training-sign-off"
    run: str
    seal: str
    training: str
    person: str
    note: str
    by: str
    signed: Moment

    def statement(self) -> bytes:
        """The bytes that are signed."""
        return canonical(self.model_dump())

    def is_of(self, drilled: Drilled, training: str) -> bool:
        """Whether it is about this training record, unchanged. `training` is the SHA-256 of the record."""
        mine = (self.run, self.seal, self.training, self.person)
        return mine == (drilled.run, drilled.seal, training, drilled.person)


@dataclass(frozen=True)
class SignOffVerdict:
    """Who signed a drill off, with which note, and when. `problem` says why there is no sign-off that counts."""

    signer: Identity | None = None
    note: str = ""
    signed: str = ""
    problem: str = ""

    @property
    def good(self) -> bool:
        return not self.problem


def took_part(drilled: Drilled, signer: Identity) -> bool:
    """Whether the signer is the trainee or the operator, by the names of user and principal."""
    theirs = {drilled.person, drilled.operator, _name(drilled.person), _name(drilled.operator)}
    return bool({signer.principal, _name(signer.user), _name(signer.principal)} & (theirs - {""}))


def _name(who: str) -> str:
    """ann@example.org -> ann"""
    return who.partition("@")[0]
