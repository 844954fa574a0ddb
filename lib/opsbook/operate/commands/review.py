"""Review another person's emergency run, and sign the review. Without a run: list open reviews."""

import argparse
import sys
from dataclasses import asdict

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import quoted
from opsbook.core.trust import reviewing
from opsbook.settings import Settings


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if options.run is None:
        return _open(settings, options)
    run = reviewing.review(settings, options.run, options.note, ask=sys.stdin.isatty())
    return common.tell(options, {"run": run, "reviewed": True}, f"{run} is reviewed; nothing is left open.")


def _open(settings: Settings, options: argparse.Namespace) -> int:
    found = list(reviewing.follow_ups(settings))
    if options.json or not found:
        return common.tell(options, [asdict(each) for each in found], "No emergency waits for a review.")
    for each in found:
        show(each)
    return 0


def show(each: reviewing.FollowUp) -> None:
    """An open review, for opsbook status too."""
    due = f"{'OVERDUE since' if each.late else 'due'} {common.local(each.due)}"
    say(f"review    {quoted(each.title)}  {each.environment}  {due}")
    say(f"          {each.run}, {', '.join(map(quoted, each.operators))}: {each.reason}")
    say(f"          opsbook records show {each.run}; then, by somebody else: opsbook review {each.run} --note TEXT")
