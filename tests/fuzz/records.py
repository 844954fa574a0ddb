"""The journal of a run as the real Journal writes it, for tests that damage it."""

import json
from pathlib import Path
from typing import Any

from opsbook.core.model.redact import Redactor
from opsbook.core.record import journal, seal, store, summary

RUN = "20261120T181203Z-deploy-service-7f3k"
LOST = "lost"

_STEPS = ("Prüfen 🔍", "Unpack the release", "Switch", "日本語のステップ")


def make(root: Path, steps: int = 4, outcome: str = "succeeded") -> Path:
    """The folder of a finished run whose record was not sealed yet; it deployed something in so many steps."""
    folder = store.create(root / "records", RUN)
    redactor = Redactor()
    redactor.add("token", "s3cret-välue")
    book = journal.Journal(folder, redactor)
    book.put("run-started", _STARTED, durable=True)
    for number in range(steps):
        _step(book, f"step-{number}", _STEPS[number % len(_STEPS)])
    ended = {"outcome": outcome, "reason": "every step succeeded", "exit_code": 0, "changed": True, "seconds": 12.5}
    book.put("run-finished", ended, durable=True)
    book.close()
    return folder


def sealed(folder: Path) -> None:
    """Close the record as a run does at its end."""
    chained = list(journal.chain(folder / journal.NAME))
    told = summary.of([event for event, _ in chained])
    (folder / store.SUMMARY).write_text(json.dumps(told, indent=2, ensure_ascii=False), encoding="utf-8")
    seal.seal(folder, chained[-1][1])


def record(folder: Path, state: str = LOST) -> store.Record:
    """The record of this folder; nobody holds its journal."""
    return store.Record(folder.name, folder, state)


_STARTED: dict[str, Any] = {
    "run": RUN,
    "runbook": "deploy-service",
    "title": "Dienst ausrollen ⟶ 🚀",
    "environment": "dev",
    "operator": "änn@höst",
    "parameters": {"service": "arcade", "version": "1.10", "token": "secret from env:T"},
    "mode": "live",
    "versions": {"opsbook": "0.1.0"},
}


def _step(book: journal.Journal, step: str, title: str) -> None:
    """A step with one cell that prints, asks and changes something."""
    told = {"step": step, "title": title, "section": "Steps", "role": "change", "manual": False}
    book.put("step-started", told)
    book.put("cell-started", {"cell": f"{step}/1", "step": step, "line": 7})
    shown = {
        "output_type": "stream",
        "name": "stdout",
        "text": f"{title}: s3cret-välue\n\x1b[32mfertig\x1b[0m \u2028\r\n",
    }
    book.put("output", {"cell": f"{step}/1", "output": shown})
    key = f"{step}/1/playbook/1"
    effect = {"key": key, "cell": f"{step}/1", "kind": "playbook", "step": step, "summary": f"playbook {title}"}
    request = {"playbook": "switch.yml", "vars": {"größe": 1.5, "liste": ["a", None, True]}}
    intent = book.put(
        "effect-intent", {**effect, "changes": True, "idempotent": True, "request": request}, durable=True
    )
    result = {"changed": True, "hosts": {"web-1": "changed"}}
    ended = {"intent": intent.seq, "key": key, "status": "succeeded", "digest": "0" * 64, "result": result}
    book.put("effect-result", ended, durable=True)
    book.put("cell-finished", {"cell": f"{step}/1", "status": "succeeded", "seconds": 0.25, "count": 3})
    book.put("step-finished", {"step": step, "status": "succeeded", "seconds": 0.5})
