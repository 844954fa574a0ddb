"""Sign-offs as files: records/training/RUN.sign-off beside the training record, with its signature."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from opsbook import files
from opsbook.training.sign_off import SignOff

_SUFFIX = ".sign-off"
"""Not .json, so that it is not taken for a training record."""


@dataclass(frozen=True)
class Given:
    """A statement and its signature as read from their files, not verified."""

    said: SignOff
    data: bytes
    signature: str


def read(file: Path) -> Given | None:
    """The sign-off of the training record in `file`; None if there is none that can be read."""
    place = file.with_suffix(_SUFFIX)
    try:
        data = place.read_bytes()
        said = SignOff.model_validate_json(data)
        signature = _beside(place).read_text(encoding="utf-8")
    except (OSError, ValidationError, UnicodeDecodeError, RecursionError):
        return None
    return Given(said, data, signature) if data == said.statement() else None


def write(file: Path, said: SignOff, signature: str) -> Path:
    """Write the sign-off of the training record in `file`: the signature first, so that it never lacks one."""
    place = file.with_suffix(_SUFFIX)
    files.write_atomic(_beside(place), signature.encode())
    files.write_atomic(place, said.statement())
    return place


def _beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.sig")
