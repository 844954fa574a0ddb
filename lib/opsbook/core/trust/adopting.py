"""Imported records: evidence of what happened elsewhere. Nobody goes on with one until somebody adopts it, signed."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from opsbook import files
from opsbook.core.model.effect import canonical
from opsbook.core.planning.context import operator
from opsbook.core.record import store
from opsbook.core.record.sidecars import MALFORMED, signed_file
from opsbook.core.trust import sign, signing
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings

_IMPORTED, _ADOPTED = "imported", "adopted"
"""Folders below the records, with a file for each run."""


def mark(records: Path, run: str, seal: str) -> None:
    """Note that a record with this seal comes from elsewhere."""
    told = {"run": run, "seal": seal, "by": operator(), "time": datetime.now(UTC).isoformat(timespec="seconds")}
    files.write_atomic(records / _IMPORTED / f"{run}.json", canonical(told))


def check(settings: Settings, run: str) -> None:
    """Raises Refused for an imported record that nobody has adopted."""
    seal = _seal(settings, run)
    if seal is not None and _adopted(settings, run) != seal:
        said = f"{run} was imported: what it says was not seen here, and nobody here has adopted it."
        raise Refused(said, f"Look at it (opsbook records verify {run}), then: opsbook records adopt {run} --note WHY")


def _seal(settings: Settings, run: str) -> str | None:
    """The seal with which a record was imported; empty if that cannot be read, None if it was not imported."""
    place = settings.records / _IMPORTED / f"{run}.json"
    if not os.path.lexists(place):
        return None
    try:
        return str(json.loads(files.read(place))["seal"])
    except MALFORMED:
        return ""


def _adopted(settings: Settings, run: str) -> str | None:
    """The seal with which somebody adopted a record; None without a good signature."""
    try:
        data, signature = signed_file(settings.records / _ADOPTED / f"{run}.json")
        told = json.loads(data)
        known = signing.known_signers(settings)
        if known is None or told["run"] != run or data != canonical(told):
            return None
        sign.signer(known.text, sign.ADOPTION, data, signature, datetime.fromisoformat(told["signed"]))
        return str(told["seal"])
    except (*MALFORMED, sign.BadSignature, sign.Unsigned):
        return None


def adopt(settings: Settings, wanted: str, note: str, *, ask: bool) -> str:
    """Adopt an imported record, signed; returns its id. Raises InputError if it was not imported, and Refused."""
    run = store.find_any(settings.records, wanted).id
    seal = _seal(settings, run)
    if seal is None:
        raise InputError(f"{run} was not imported: there is nothing to adopt.")
    if not note.strip():
        raise InputError("The note is empty.", "Say why it is yours now: --note WHY.")
    now = datetime.now(UTC)
    said = {"kind": "adoption", "run": run, "seal": seal, "note": note, "by": operator()}
    data = canonical({**said, "signed": now.isoformat(timespec="seconds")})
    signature, _ = signing.signed_here(settings, sign.ADOPTION, data, now, ask=ask)
    folder = settings.records / _ADOPTED
    files.write_atomic(folder / f"{run}.sig", signature.encode())
    files.write_atomic(folder / f"{run}.json", data)
    return run
