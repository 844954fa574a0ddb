"""The seal: digests of every file and the journal's head, written last. A record with a seal is complete."""

import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.model.effect import digest
from opsbook.core.model.redact import Redactor
from opsbook.core.record import journal, store
from opsbook.core.record.store import PARTS, QUARANTINE, SEAL, SIGNATURE
from opsbook.errors import InputError
from opsbook.shapes import Shape, from_json

SEALS = "seals"
"""Folder of a record's earlier seals: each resume moves the current seal here."""

_PIECE = 1024 * 1024
"""Characters of a file that are scanned at a time."""

_KINDS = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


class _Content(Shape, strict=True):
    """The content of a seal, in the order of its keys."""

    format: int
    run: str
    sealed: str
    signed: bool
    unsigned: str | None = None
    journal_head: str
    files: dict[str, str]
    digest: str


class NotSealed(Exception):
    """Why a seal has no signature, in a sentence."""


Sign = Callable[[bytes], str]
"""Returns the signature of a seal, or raises NotSealed."""


def nobody(_: bytes) -> str:
    """Signs nothing."""
    raise NotSealed("nobody was asked to sign it")


def seal(folder: Path, head: str, sign: Sign = nobody) -> None:
    """Seal a finished record. Requests left in the inbox stay part of it."""
    _clear(folder / "inbox")
    (folder / SIGNATURE).unlink(missing_ok=True)
    content: dict[str, Any] = {
        "format": 1,
        "run": folder.name,
        "sealed": journal.now(),
        "signed": True,
        "unsigned": None,
        "journal_head": head,
        "files": {name: files.sha256(path) for name, path in _files(folder).items()},
    }
    try:
        files.write_atomic(folder / SIGNATURE, sign(_render(content)).encode())
    except NotSealed as error:
        content |= {"signed": False, "unsigned": str(error)}
    files.write_atomic(folder / SEAL, _render(content))


def unseal(folder: Path) -> dict[str, Any] | None:
    """Move the seal of a resumed record to its earlier ones. Returns its path and digest; None without a seal."""
    if not os.path.lexists(folder / SEAL):
        return None
    earlier = folder / SEALS
    earlier.mkdir(exist_ok=True)
    number = len(list(earlier.glob("*.json"))) + 1
    told = {"path": f"{SEALS}/{number}.json", "sha256": files.sha256(folder / SEAL)}
    # The seal moves first: without it the record is open, and a signature left alone proves nothing.
    (folder / SEAL).rename(folder / told["path"])
    with contextlib.suppress(FileNotFoundError):
        (folder / SIGNATURE).rename(folder / f"{told['path']}.sig")
    files.sync_folder(earlier)
    files.sync_folder(folder)
    return told


def _clear(inbox: Path) -> None:
    """Remove everything that is not a file: a seal cannot cover it, and the journal has its name."""
    for path in sorted(inbox.rglob("*"), reverse=True):
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif not files.is_plain(path):
                path.unlink()


def _render(content: dict[str, Any]) -> bytes:
    """The seal's canonical form, with a digest of itself: any accidental change is detected."""
    body = {name: value for name, value in content.items() if name != "digest" and value is not None}
    return (json.dumps(body | {"digest": digest(body)}, indent=2) + "\n").encode()


def _entries(folder: Path) -> Iterator[tuple[str, Path, int]]:
    """Everything below the folder except its seal: name in the record, path, file type. Links are not followed."""
    for path in sorted(folder.rglob("*")):
        name = os.fsencode(path.relative_to(folder)).decode("utf-8", errors="backslashreplace")
        if name not in (SEAL, SIGNATURE):
            yield name, path, stat.S_IFMT(path.lstat().st_mode)


def _files(folder: Path) -> dict[str, Path]:
    return {name: path for name, path, kind in _entries(folder) if kind == stat.S_IFREG}


@dataclass(frozen=True)
class Flaw:
    """A fault of a record: the file and, in the journal, the event."""

    file: str
    message: str
    event: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}{f', event {self.event}' if self.event else ''}"
        return f"{place}: {self.message}" if place else self.message


def verify(folder: Path) -> list[Flaw]:
    """Every mismatch with the seal; empty if the record is as it was sealed.

    It does not check whose signature it is: that needs the known signers (see `signature`).
    """
    while True:
        try:
            content = _content(folder)
        except _Broken as error:
            return [Flaw(SEAL, str(error))]
        flaws = _flaws(folder, content)
        # A run that is resumed meanwhile moves its seal: what was seen then is neither the old record nor the new one.
        if not flaws or _still(folder, content):
            return flaws


def _still(folder: Path, content: _Content) -> bool:
    try:
        return files.read(folder / SEAL) == _render(asdict(content))
    except OSError:
        return False


def _flaws(folder: Path, content: _Content) -> list[Flaw]:
    if content.signed is not files.is_plain(folder / SIGNATURE) or (
        not content.signed and os.path.lexists(folder / SIGNATURE)
    ):
        return [Flaw(SIGNATURE, "missing" if content.signed else "was added after the seal")]
    try:
        return [*_unexpected(folder, content.files), *_digests(folder, content.files), *_chain(folder, content)]
    except OSError as error:
        return [Flaw(str(error.filename), f"cannot be read: {error.strerror}")]


@dataclass(frozen=True)
class Signature:
    """The signed data, the signature, and the time of sealing (UTC, ISO 8601); `unsigned`: why it has no signature."""

    data: bytes
    text: str
    sealed: str
    unsigned: str


def signature(folder: Path) -> Signature | None:
    """The signature of a record's seal; None without a usable seal."""
    try:
        content = _content(folder)
        text = files.read(folder / SIGNATURE).decode(errors="replace") if content.signed else ""
    except (_Broken, OSError):
        return None
    return Signature(_render(asdict(content)), text, content.sealed, content.unsigned or "")


class _Broken(Exception):
    """Why a seal is unusable, in a sentence."""


def _content(folder: Path) -> _Content:
    try:
        raw = files.read(folder / SEAL)
        content = from_json(_Content, raw)
    except FileNotFoundError:
        raise _Broken("there is no seal: the run never ended, or the seal was removed") from None
    except (OSError, ValueError, RecursionError):
        raise _Broken("the seal cannot be read") from None
    if raw != _render(asdict(content)):
        raise _Broken("was changed after it was written")
    if content.run != folder.name:
        raise _Broken(f"this is the seal of {content.run}")
    return content


def _unexpected(folder: Path, sealed: dict[str, str]) -> Iterator[Flaw]:
    """Everything that is neither a file nor a folder of a sealed file."""
    known = {*PARTS, SEALS, *(str(parent) for name in sealed for parent in Path(name).parents)}
    for name, _, kind in _entries(folder):
        if kind == stat.S_IFDIR and name not in known:
            yield Flaw(name, "is a folder that the seal does not know")
        elif kind not in (stat.S_IFDIR, stat.S_IFREG):
            yield Flaw(name, f"is {_KINDS.get(kind, 'a device')}, which is never part of a record")


def _digests(folder: Path, sealed: dict[str, str]) -> Iterator[Flaw]:
    present = _files(folder)
    yield from (Flaw(name, "missing") for name in sorted(set(sealed) - set(present)))
    yield from (Flaw(name, "was added after the seal") for name in sorted(set(present) - set(sealed)))
    for name in sorted(set(present) & set(sealed)):
        if files.sha256(present[name]) != sealed[name]:
            yield Flaw(name, "was changed after the seal")


def _chain(folder: Path, content: _Content) -> list[Flaw]:
    seq, last = 0, journal.START
    heads = set()
    try:
        for event, line in store.chain(folder):
            seq, last = event.seq, line
            heads.add(line)
    except InputError as error:
        return [Flaw(journal.NAME, error.message, seq + 1)]
    if last != content.journal_head:
        return [Flaw(journal.NAME, "does not end with the event that was sealed", seq)]
    return list(_earlier(folder, heads))


def _earlier(folder: Path, heads: set[str]) -> Iterator[Flaw]:
    """Check earlier seals, from before a resume: the journal must still contain the head of each."""
    for path in sorted((folder / SEALS).glob("*.json")):
        sealed = files.stored(_Content, path)
        if sealed is None or sealed.journal_head not in heads:
            yield Flaw(f"{SEALS}/{path.name}", "what this earlier seal closed is not in the journal any more")


def scan(folder: Path, redactor: Redactor) -> list[str]:
    """Files of the record with a known secret, in any form, in their text or name."""
    return [name for name, path in _files(folder).items() if redactor.holds(name) or _holds(path, redactor)]


def _holds(path: Path, redactor: Redactor) -> bool:
    """Whether a file contains a secret. Read in pieces: the output may not fit into memory."""
    carried = ""
    with path.open(encoding="utf-8", errors="replace", newline="") as text:
        while piece := text.read(_PIECE):
            if redactor.holds(carried + piece):
                return True
            carried = (carried + piece)[-redactor.longest :]
    return False


def quarantine(folder: Path, records: Path) -> Path:
    """Move a record that contains a secret to where only its owner can read it."""
    target = records / QUARANTINE / folder.name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    folder.rename(target)
    target.chmod(0o700)
    files.sync_folder(target.parent)
    return target
