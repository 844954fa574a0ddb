"""Review another person's plan, and sign it. Without a plan: list the plans that wait for an approval."""

import argparse
import shlex
import sys
from dataclasses import asdict

from opsbook.console import common, story
from opsbook.console.text import say
from opsbook.core.model.approval import HERE, SHARED
from opsbook.core.model.text import quoted
from opsbook.core.trust import approving, requests
from opsbook.errors import InputError
from opsbook.operate.commands import plan
from opsbook.settings import Settings

_REACH = {
    SHARED: "shared: every clone with this state folder knows when the approval is spent",
    HERE: "of this clone only: clones of other users, or on other hosts, do not know when the approval is spent",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", nargs="?", help="an id from opsbook status, or its beginning")
    parser.add_argument("--note", default="", help="what you want to say with it; it is signed too")
    parser.add_argument("-y", "--yes", action="store_true", help="sign without asking")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if options.plan is None:
        return _waiting(settings, as_json=options.json)
    shown = approving.show(settings, options.plan)
    if not options.json:
        show(shown)
    if not options.yes:
        _agreed(f"Approve {shown.request.plan.id}?")
    return signed(settings, options, shown, "approve", options.note)


def signed(
    settings: Settings, options: argparse.Namespace, shown: approving.PlanReview, decision: str, note: str
) -> int:
    """Sign the decision and print what to do next."""
    approval = approving.decide(settings, shown, decision, note, ask=sys.stdin.isatty())
    if options.json:
        common.print_json(asdict(approval))
        return 0
    planned = shown.request.plan.id
    if decision == "reject":
        say(f"{planned} is rejected: {note}")
        return 0
    say(f"{planned} is approved until {common.local(approval.expires)}, for one run.")
    if not approving.waits(settings, shown.request):
        say(f"  opsbook run --plan {planned}")
    return 0


def show(shown: approving.PlanReview) -> None:
    """Print what an approver must know: the plan, what it could do, what a check found, and what has changed since."""
    asked, planned = shown.request.asked, shown.request.plan
    plan.show(planned)
    say(f"  about: {shown.summary or '—'}")
    say(f"  rollback: {shown.rollback}")
    say(f"  asked: {quoted(asked.by)}, {common.local(asked.time)}{f', {quoted(asked.run)}' if asked.run else ''}")
    say(f"  state: {asked.state or 'unknown'}, {_REACH[shown.reach]}")
    for name, value in asked.labels.items():
        say(f"  label {quoted(name)}: {quoted(value)}")
    for need in shown.needs:
        say(f"  needs: {need}")
    if shown.check is None:
        parameters = "".join(f" -p {shlex.quote(f'{name}={value}')}" for name, value in planned.parameters.items())
        said = f"opsbook run {planned.runbook} -e {planned.environment}{parameters} --check"
        say(f"  NOT CHECKED: nobody has run a check of this plan: {said}")
    else:
        say(f"  checked: {shown.checked}")
        for line in story.would(shown.check):
            say(f"  {line}")
    for line in shown.changed:
        say(f"  CHANGED since it was planned: {line}")


def _agreed(question: str) -> None:
    if not sys.stdin.isatty():
        raise InputError("Nobody is there to say yes.", "Look at it, then sign it with --yes.")
    say(f"{question} [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("Not approved.", "Nothing was signed.")


def _waiting(settings: Settings, *, as_json: bool) -> int:
    found = list(requests.waiting(settings.state))
    if as_json:
        common.print_json([request.to_json() for request in found])
    elif found:
        common.table(("PLAN", "WHAT", "ENVIRONMENT", "ASKED BY", "SINCE"), map(_row, found))
        say("opsbook approve PLAN shows one, and asks before it signs.")
    else:
        say("No plan waits for an approval.")
    return 0


def _row(request: requests.ApprovalRequest) -> tuple[str, ...]:
    planned, asked = request.plan, request.asked
    return planned.id, planned.title, planned.environment, asked.by, common.local(asked.time)
