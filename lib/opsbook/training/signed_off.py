"""Sign-offs as files: records/training/RUN.sign-off beside the training record, with its signature."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from opsbook import files
from opsbook.training.sign_off import SignOff

_SUFFIX = ".sign-off"
"""Not .json: what is signed of a training record is none."""


@dataclass(frozen=True)
class Given:
    """A statement as it lies there, with its signature. Nobody has looked at either yet."""

    said: SignOff
    data: bytes
    signature: str


def read(file: Path) -> Given | None:
    """What was signed of the training record in a file; None where there is nothing that could be that."""
    place = file.with_suffix(_SUFFIX)
    try:
        data = place.read_bytes()
        said = SignOff.model_validate_json(data)
        signature = _beside(place).read_text(encoding="utf-8")
    except (OSError, ValidationError, UnicodeDecodeError, RecursionError):
        return None
    return Given(said, data, signature) if data == said.statement() else None


def write(file: Path, said: SignOff, signature: str) -> Path:
    """Keep what was signed of the training record in a file: the signature first, so that it never lacks one."""
    place = file.with_suffix(_SUFFIX)
    files.write_atomic(_beside(place), signature.encode())
    files.write_atomic(place, said.statement())
    return place


def _beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.sig")
