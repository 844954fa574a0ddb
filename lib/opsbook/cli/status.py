"""Runs that are not done with: those that go on, wait for somebody, or were lost; and what is locked."""

import argparse
from dataclasses import asdict

from opsbook import flow
from opsbook.cli import common, locks
from opsbook.cli.text import say
from opsbook.model.event import Outcome
from opsbook.model.now import Now
from opsbook.record.store import DAMAGED

_NEXT = {
    "running": "opsbook attach {run}",
    Outcome.LOST: "opsbook resume {run}",
    DAMAGED: "opsbook records verify {run}",
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
        _show(now)
    say()
    locks.show(settings)
    return 0


def _show(now: Now) -> None:
    say(f"{now.state:<8}  {now.title}  {now.environment}")
    lines = [f"{now.run}, {now.operator}, since {common.local(now.since)}", now.doing, now.reason, *_asked(now)]
    lines.append(_NEXT.get(now.state, "opsbook resume {run}, or opsbook rollback {run}").format(run=now.run))
    for line in filter(None, lines):
        say("          " + line.replace("\n", "\n          "))


def _asked(now: Now) -> list[str]:
    """What a run waits for, and whether somebody may sit before it."""
    if now.asks is None:
        return []
    choices = f" [{'/'.join(now.asks.choices)}]" if now.asks.choices else ""
    gone = "; its terminal is gone" if now.detached else ""
    return [f"asks {now.asks.name}: {now.asks.text}{choices}", f"  since {common.local(now.asks.since)}{gone}"]
