"""Sealed records of any age and outcome, made as a run makes them, but without one."""

import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsbook.core.model.redact import Redactor
from opsbook.core.record import journal, seal, store, summary
from tests.support.project import Project


def make(
    project: Project,
    days: float,
    outcome: str = "succeeded",
    runbook: str = "page",
    environment: str = "dev",
    seconds: float = 1.5,
) -> Path:
    """A record of a run with one step that started so many days ago."""
    when = datetime.now(UTC) - timedelta(days=days)
    folder = store.create(project.root / "records", f"{when:%Y%m%dT%H%M%SZ}-{runbook}-{secrets.token_hex(2)}")
    book = journal.Journal(folder, Redactor())
    told = {
        "run": folder.name,
        "runbook": runbook,
        "title": "A page",
        "environment": environment,
        "operator": "ann@host",
    }
    book.put("run-started", told)
    book.put("step-started", {"step": "one", "title": "One", "section": "Steps"})
    book.put("step-finished", {"step": "one", "status": "succeeded", "seconds": seconds})
    book.put("run-finished", {"outcome": outcome, "reason": "It is over.", "exit_code": 0, "seconds": 2.0})
    book.close()
    (folder / "record.json").write_text(json.dumps(summary.of(journal.read(folder / journal.NAME))))
    seal.seal(folder, book.head)
    return folder
