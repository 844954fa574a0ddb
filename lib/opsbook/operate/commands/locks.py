"""List locked targets, each with the run that holds it and why."""

import argparse
from dataclasses import asdict
from typing import Any

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.locks import lock
from opsbook.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if options.json:
        common.print_json(held(settings))
    else:
        show(settings)
    return 0


def held(settings: Settings) -> list[dict[str, Any]]:
    """Every lock, as JSON."""
    return [asdict(one) for one in lock.holders(settings.state)]


def show(settings: Settings) -> None:
    """Every lock, as a table."""
    found = lock.holders(settings.state)
    if found:
        common.table(
            ("TARGET", "RUN", "BY", "SINCE", "WHAT FOR"),
            [(h.target, h.run, h.operator, common.local(h.since), h.reason) for h in found],
        )
    else:
        say("Nothing is locked.")
