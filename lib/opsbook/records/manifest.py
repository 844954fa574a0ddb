"""The content of an export: export.json, the files of each record below YYYY/MM/RUN/, and its sidecars."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from opsbook import files
from opsbook.core.record import store

NAME = "export.json"
_RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[^/\0]+-[0-9a-z]{4}")
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Sealed(BaseModel):
    """SHA-256 of a record's seal, and of its signature if it has one."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    seal: _Digest
    signature: _Digest | None


class Manifest(BaseModel):
    """The content of export.json: when and by whom, and the seal of every run."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    format: Literal[1] = 1
    exported: str
    by: str
    records: dict[str, Sealed]

    def text(self) -> bytes:
        return (self.model_dump_json(indent=2) + "\n").encode("utf-8", errors="backslashreplace")


def sealed(folder: Path) -> Sealed:
    """Digests of the seal that a record has now. Raises OSError if it has none."""
    signature = folder / store.SIGNATURE
    return Sealed(
        seal=files.sha256(folder / store.SEAL),
        signature=files.sha256(signature) if files.is_plain(signature) else None,
    )


def is_run(name: str) -> bool:
    """Whether a run can have this id."""
    return _RUN.fullmatch(name) is not None and name not in (".", "..")


def place(run: str) -> str:
    """The folder of a run below the records: 2026/11/20261120T181203Z-deploy-service-7f3k."""
    return f"{run[:4]}/{run[4:6]}/{run}"
