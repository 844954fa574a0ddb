"""Sign off a drill as a second person, and verify existing sign-offs (ADR 19).

They are files: records/training/RUN.sign-off beside the training record, with its signature.
Nobody who took part can sign.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from opsbook import files
from opsbook.core.model.approval import Identity, Moment
from opsbook.core.model.effect import canonical
from opsbook.core.planning.context import operator
from opsbook.core.record import seal, store
from opsbook.core.trust import sign
from opsbook.core.trust.reviewing import sealed_as, worked
from opsbook.core.trust.signing import known_signers, signed_here
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings
from opsbook.training import trained
from opsbook.training.drills import progress
from opsbook.training.trained import Drilled


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


_SUFFIX = ".sign-off"
"""Not .json, so that it is not taken for a training record."""


def read(file: Path) -> tuple[SignOff, str] | None:
    """The sign-off of the training record in `file` with its signature, not verified; None if none can be read."""
    place = file.with_suffix(_SUFFIX)
    try:
        data = files.read(place)
        said = SignOff.model_validate_json(data)
        signature = files.read_text(_beside(place))
    except (OSError, ValidationError, UnicodeDecodeError, RecursionError):
        return None
    return (said, signature) if data == said.statement() else None


def write(file: Path, said: SignOff, signature: str) -> Path:
    """Write the sign-off of the training record in `file`: the signature first, so that it never lacks one."""
    place = file.with_suffix(_SUFFIX)
    files.write_atomic(_beside(place), signature.encode())
    files.write_atomic(place, said.statement())
    return place


def _beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.sig")


# -- what they say

GONE = "its record is not here any more"
"""The problem of a pruned record: its sign-off still counts."""


def verdict(settings: Settings, file: Path, drilled: Drilled, known: sign.Signers | None) -> SignOffVerdict:
    """Verify a drill's sign-off: the statement, the signature, and that the signer took no part."""
    given = read(file)
    if given is None:
        return SignOffVerdict(problem="nobody signed it off")
    said, signature = given
    try:
        if not said.is_of(drilled, files.sha256(file)):
            return SignOffVerdict(problem="the training record is not the one that was signed off")
        if known is None:
            return SignOffVerdict(problem="nobody can say whose signature counts: there is no allowed_signers here")
        at = datetime.fromisoformat(said.signed)
        found = sign.signer(known.text, sign.TRAINING, said.statement(), signature, at)
        signer = Identity(said.by, found.principal, found.key)
        problem = _problem(settings, drilled, signer)
    except (sign.BadSignature, sign.Unsigned, InputError, OSError, ValueError, OverflowError) as error:
        return SignOffVerdict(problem=str(error).rstrip("."))
    return SignOffVerdict(signer, said.note, said.signed, problem)


def _problem(settings: Settings, drilled: Drilled, signer: Identity) -> str:
    """Why a valid signature does not count; empty if it does. It counts for a pruned record too: it covers the seal."""
    record = store.exact(settings.records, drilled.run)
    if record is not None and sealed_as(settings, drilled.run) != drilled.seal:
        return "its record is not the one that was signed off"
    return "whoever took part signed it" if _took_part(record, drilled, signer) else ""


def _took_part(record: store.Record | None, drilled: Drilled, signer: Identity) -> bool:
    """Whether the signer is the trainee, or worked on the run: by user, principal or key. Raises InputError."""
    if took_part(drilled, signer):
        return True
    return record is not None and (worked(record, signer) or _sealed_by(record) == signer.key)


def _sealed_by(record: store.Record) -> str:
    """The fingerprint of the key that signed the seal, which is the operator's; empty if there is none."""
    found = seal.signature(record.folder)
    try:
        return sign.fingerprint(sign.SEAL, found.data, found.text) if found and found.text else ""
    except (sign.BadSignature, sign.Unsigned):
        return ""


def record_problem(settings: Settings, drilled: Drilled) -> str:
    """What is wrong with the record of a drill, in a sentence; empty if it matches the training record."""
    record = store.exact(settings.records, drilled.run)
    if record is None:
        return GONE
    if sealed_as(settings, drilled.run) != drilled.seal:
        return "its record has another seal than the training record names"
    if flaws := seal.verify(record.folder):
        return f"its record is not as it was sealed: {flaws[0].file} {flaws[0].message}"
    told = record.glance()
    same = (told["runbook"], told["environment"]) == (drilled.drill, drilled.environment)
    if not same or drilled.operator not in (told.get("operators") or ()):
        return "its record is of another drill, environment or operator"
    return ""


def proved(settings: Settings, drilled: Drilled, known: sign.Signers | None) -> bool:
    """Whether the record matches the training record, and its result is either signed off or derived from it again."""
    if record_problem(settings, drilled):
        return False
    signed = verdict(settings, trained.path(settings.records, drilled.run), drilled, known).good
    return signed or not _derived_problem(settings, drilled)


def _derived_problem(settings: Settings, drilled: Drilled) -> str:
    """Why the training record cannot be derived from the record; empty if it can.

    Checked before signing only: the drill's page may change later, and the signed content counts then.
    """
    record = store.find(settings.records, drilled.run)
    try:
        now = progress(settings, record)
        ended = record.summary()["ended"]
    except (InputError, LookupError, TypeError, ValueError) as error:
        return f"nobody can say what its record says of it: {str(error).rstrip('.')}"
    told = (drilled.person, drilled.started, drilled.ended, drilled.par, drilled.diagnosed, drilled.mended)
    found = (now.person, now.started, ended, now.par, now.diagnosed, now.mended)
    same = told == found and (drilled.hints, drilled.wrong) == (now.hints, now.wrong)
    return "" if same else "its record does not say what the training record says"


def sign_off(settings: Settings, wanted: str, note: str, *, ask: bool) -> Drilled:
    """Sign that somebody else passed a drill. Raises InputError if there is nothing to sign, and Refused."""
    file = trained.find(settings.records, wanted)
    drilled = trained.read(file)
    if not note.strip():
        raise InputError("A sign-off says something.", "Write what you saw: --note TEXT.")
    if (found := verdict(settings, file, drilled, known_signers(settings))).good and found.signer:
        raise InputError(f"{drilled.run} was signed off already, by {found.signer.principal} on {found.signed[:10]}.")
    if not drilled.passed:
        again = f"Do it again: opsbook drill start {drilled.drill} -e {drilled.environment}"
        raise Refused(f"{drilled.run} was not passed: there is nothing to sign off.", again)
    if problem := record_problem(settings, drilled) or _derived_problem(settings, drilled):
        raise Refused(f"{drilled.run} cannot be signed off: {problem}.", "Nobody could prove what was signed.")
    now = datetime.now(UTC)
    said = SignOff(
        run=drilled.run,
        seal=drilled.seal,
        training=files.sha256(file),
        person=drilled.person,
        note=note,
        by=operator(),
        signed=now.isoformat(timespec="seconds"),
    )
    signature, signer = signed_here(settings, sign.TRAINING, said.statement(), now, ask=ask)
    if _took_part(store.exact(settings.records, drilled.run), drilled, signer):
        raise Refused("Whoever took part does not sign it off.", "Somebody else has to.")
    write(file, said, signature)
    return drilled
