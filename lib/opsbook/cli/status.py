"""Runs that are not done with: those that go on, wait for somebody, or were lost; and what is locked."""

import argparse
from dataclasses import asdict

from opsbook import flow
from opsbook.cli import common, locks
from opsbook.cli.text import say
from opsbook.model.event import Outcome

_NEXT = {
    "running": "opsbook attach {run}",
    Outcome.LOST: "opsbook resume {run}",
}


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    found = flow.under_way(settings)
    held = locks.held(settings)
    if options.json:
        common.print_json({"runs": [asdict(now) for now in found], "locks": held})
        return 0
    if not found:
        say("Nothing runs, and nothing waits for anybody.")
    for now in found:
        say(f"{now.state:<8}  {now.title}  {now.environment}")
        say(f"          {now.run}, {now.operator}, since {common.local(now.since)}")
        for line in filter(None, (now.doing, now.reason)):
            say(f"          {line}")
        if now.asks:
            say(f"          asks {now.asks}")
        say(f"          {_NEXT.get(now.state, 'opsbook resume {run}, or opsbook rollback {run}').format(run=now.run)}")
    say()
    locks.show(settings)
    return 0
