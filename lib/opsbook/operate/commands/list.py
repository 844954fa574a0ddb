"""List runbooks and procedures."""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.catalog import catalog
from opsbook.core.model.front import FrontMatter


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", help="only this kind")
    parser.add_argument("--alert", metavar="NAME", help="only pages for this alert")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    entries = [
        entry
        for entry in catalog.entries(common.project(options))
        if options.kind in (None, entry.front.kind) and (options.alert is None or _is_for(entry.front, options))
    ]
    if options.json:
        common.print_json([{"name": e.name, "path": e.path, **asdict(e.front), "title": e.title} for e in entries])
    elif entries:
        common.table(
            ("NAME", "KIND", "OWNER", "WHAT IT DOES"),
            [(e.name, e.front.kind, e.front.owner or "—", e.front.summary or e.title) for e in entries],
        )
    else:
        say("No runbook fits. Write one as runbooks/NAME.md; opsbook list without options shows all.")
    return 0


def _is_for(front: FrontMatter, options: argparse.Namespace) -> bool:
    """Whether a page helps with the alert. Drills do not: in an incident they are in the way."""
    practises = front.kind == "training" and options.kind is None
    return options.alert in front.alerts and not practises
