"""The seal: digests of every file and the journal's head, written last. Its presence means complete."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.errors import OpsbookError
from opsbook.model.effect import digest
from opsbook.model.redact import Redactor
from opsbook.record import journal
from opsbook.record.store import QUARANTINE, SEAL


def seal(folder: Path, head: str) -> None:
    """Seal a finished record. Requests left in the inbox were never taken: they are no part of it."""
    content = {
        "format": 1,
        "run": folder.name,
        "sealed": journal.now(),
        "signed": False,
        "journal_head": head,
        "files": {name: files.sha256(folder / name) for name in _names(folder)},
    }
    files.write_atomic(folder / SEAL, _render(content))


def _render(content: dict[str, Any]) -> bytes:
    """The seal's one form, with a digest of itself: no byte of it can change by accident and go unseen."""
    body = {name: value for name, value in content.items() if name != "digest"}
    return (json.dumps(body | {"digest": digest(body)}, indent=2) + "\n").encode()


def _names(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    names = (str(path.relative_to(folder)) for path in found)
    return sorted(name for name in names if name != SEAL and not name.startswith("inbox/"))


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a record: the file, and in the journal the event."""

    file: str
    message: str
    event: int | None = None


def verify(folder: Path) -> list[Flaw]:
    """Everything that does not agree with the seal; empty if the record is as it was sealed."""
    try:
        raw = (folder / SEAL).read_bytes()
        content = json.loads(raw)
        sealed, head = dict(content["files"]), str(content["journal_head"])
    except FileNotFoundError:
        return [Flaw(SEAL, "there is no seal: the run never ended, or the seal was removed")]
    except (ValueError, KeyError, TypeError):
        return [Flaw(SEAL, "the seal cannot be read")]
    if raw != _render(content):
        return [Flaw(SEAL, "was changed after it was written")]
    if content.get("run") != folder.name:
        return [Flaw(SEAL, f"this is the seal of {content.get('run')}")]
    return [*_digests(folder, sealed), *_chain(folder, head)]


def _digests(folder: Path, sealed: dict[str, str]) -> list[Flaw]:
    present = set(_names(folder))
    flaws = [Flaw(name, "missing") for name in sorted(set(sealed) - present)]
    flaws += [Flaw(name, "was added after the seal") for name in sorted(present - set(sealed))]
    changed = (name for name in sorted(present & set(sealed)) if files.sha256(folder / name) != sealed[name])
    return flaws + [Flaw(name, "was changed after the seal") for name in changed]


def _chain(folder: Path, head: str) -> list[Flaw]:
    seq, last = 0, journal.START
    try:
        for event, digest in journal.chain(folder / journal.NAME):
            seq, last = event.seq, digest
    except (OpsbookError, OSError) as error:
        return [Flaw(journal.NAME, str(error), seq + 1)]
    return [] if last == head else [Flaw(journal.NAME, "does not end with the event that was sealed", seq)]


def scan(folder: Path, redactor: Redactor) -> list[str]:
    """Files of the record that hold a known secret in some form."""
    found = []
    for name in _names(folder):
        text = (folder / name).read_bytes().decode("utf-8", errors="replace")
        if redactor.find(text) is not None:
            found.append(name)
    return found


def quarantine(folder: Path, records: Path) -> Path:
    """Move a record that holds a secret where only its owner can read it."""
    target = records / QUARANTINE / folder.name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    folder.rename(target)
    target.chmod(0o700)
    files.sync_folder(target.parent)
    return target
