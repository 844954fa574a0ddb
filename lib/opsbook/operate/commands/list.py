"""List runbooks and procedures."""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.core.catalog import catalog
from opsbook.core.model.front import FrontMatter


def execute(options: argparse.Namespace) -> int:
    entries = [
        entry
        for entry in catalog.entries(common.project(options))
        if options.kind in (None, entry.front.kind) and (options.alert is None or _is_for(entry.front, options))
    ]
    told = [{"name": e.name, "path": e.path, **asdict(e.front), "title": e.title} for e in entries]
    rows = [(e.name, e.front.kind, e.front.owner or "—", e.front.summary or e.title) for e in entries]
    none = "No runbook fits. Write one as runbooks/NAME.md; opsbook list without options shows all."
    return common.tell_rows(options, told, ("NAME", "KIND", "OWNER", "WHAT IT DOES"), rows, none)


def _is_for(front: FrontMatter, options: argparse.Namespace) -> bool:
    """Whether a page helps with the alert. Drills do not: in an incident they are in the way."""
    practises = front.kind == "training" and options.kind is None
    return options.alert in front.alerts and not practises
