"""A docs site to measure with: the same text as opsbook publishes it, and as pages of plain Material; and records."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support import ROOT

_PAGE = "runbooks/deploy-service.md"
"""The page that is published again and again, each time with another title."""

_NEEDED = {
    "opsbook.toml": 'records = "records"\n',
    "docs/manual.md": "# Manual\n",
    "playbooks/inventories/dev/hosts.yml": "all:\n  hosts:\n    web-1:\n",
    "playbooks/inventories/dev/environment.yml": "sandbox: true\nchoices:\n  Service: [arcade]\n  Release: ['1.0']\n",
}


def make(ours: Path, plain: Path, count: int) -> None:
    """So many runbooks in a project of opsbook, and their text in a folder for MkDocs alone."""
    source = (ROOT / _PAGE).read_text(encoding="utf-8")
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[0] + "\n"
    bare = config.replace("  - opsbook\n", "")
    _write(plain, {"mkdocs.yml": bare.replace("strict: true", "strict: false"), "docs/index.md": "# Home\n"})
    _write(ours, {"mkdocs.yml": config, **_NEEDED})
    for name in set(re.findall(r'playbook\("([^"]+)"', source)):
        _write(ours, {f"playbooks/{name}": "- hosts: all\n  tasks: []\n"})
    for number in range(count):
        text = source.replace("Deploy a service", f"Deploy service {number}")
        name = f"runbooks/page-{number:04}.md"
        _write(ours, {name: text})
        # Material shows a fence with Jupytext's attributes as text: without them it does the same work.
        _write(plain, {f"docs/{name}": re.sub(r"(?m)^```python .*$", "```python", text)})


def records(root: Path, count: int, pages: int) -> None:
    """So many sealed records of runs of these pages, one every forty minutes."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(count):
        started = first + timedelta(minutes=40 * number)
        name = f"page-{number % pages:04}"
        run = f"{started:%Y%m%dT%H%M%SZ}-{name}-{number:05}"
        told = _told(run, name, started)
        folder = f"records/{run[:4]}/{run[4:6]}/{run}"
        files = {"journal.jsonl": "", "seal.json": "{}", "record.json": json.dumps(told)}
        _write(root, {f"{folder}/{file}": text for file, text in files.items()})


def _told(run: str, runbook: str, started: datetime) -> dict[str, object]:
    steps = [
        {"step": f"step-{n}", "title": "A step", "section": "Steps", "status": "succeeded", "seconds": 1.0}
        for n in range(8)
    ]
    return {
        "run": run,
        "runbook": runbook,
        "title": "Deploy service",
        "environment": "dev",
        "operator": "ann@host",
        "parameters": {"version": "1.0"},
        "started": started.isoformat(),
        "ended": started.isoformat(),
        "outcome": "succeeded",
        "reason": "every step succeeded",
        "seconds": 12.5,
        "steps": steps,
        "effects": [],
        "unknown": [],
        "gaps": 0,
    }


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
