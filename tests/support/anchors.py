"""What tests of anchors share: anchor, look, and do what somebody does who owns the records."""

import json
import subprocess
from pathlib import Path
from typing import Any

from opsbook import settings
from opsbook.core.model.redact import Redactor
from opsbook.core.record import journal, seal
from opsbook.records import anchoring
from tests.support.project import Project

REMOVED = "the record was removed after it was anchored on "
ANEW = "was sealed anew after it was anchored on "


def anchor(project: Project, place: str | None) -> anchoring.Anchored:
    return anchoring.anchor(settings.load(project.root, given=True), place)


def lines(place: str) -> list[dict[str, Any]]:
    if place.startswith("git:"):
        command = ["git", "--git-dir", place[4:], "cat-file", "blob", "opsbook-anchor:anchor.jsonl"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    else:
        text = Path(place).read_text()
    return [json.loads(line) for line in text.splitlines()]


def compared(project: Project, place: str) -> anchoring.Compared:
    found = anchoring.against_anchor(settings.load(project.root, given=True), place)
    assert found is not None
    return found


def said(project: Project, place: str) -> dict[str, list[str]]:
    """What the anchor says of each run, without the time."""
    found = compared(project, place)
    assert not (found.own or found.unread), found
    return {run: [f"{f.file} {f.message.partition(' on 2')[0]}" for f in flaws] for run, flaws in found.flaws.items()}


def reseal(folder: Path) -> None:
    """What somebody does who owns the folder: seal it as it is now."""
    (folder / "seal.json").unlink(missing_ok=True)
    *_, (_, head) = journal.chain(folder / journal.NAME)
    seal.seal(folder, head)
    assert seal.verify(folder) == []


def go_on(folder: Path) -> None:
    """What a resume does to a record."""
    seal.unseal(folder)
    book = journal.Journal(folder, Redactor(), again=True)
    book.put("run-resumed", {})
    book.close()
    (folder / "record.json").write_text("{}")
    seal.seal(folder, book.head)
