"""Approve or reject another person's plan."""

import argparse
import shlex
import sys
from dataclasses import asdict

from opsbook.console import common, inputs, story
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


def approve(options: argparse.Namespace) -> int:
    """Review another person's plan, and sign it. Without a plan: list the plans that wait for an approval."""
    settings = common.project(options)
    if options.plan is None:
        return _waiting(settings, options)
    shown = approving.show(settings, options.plan)
    if not options.json:
        show(shown)
    if not options.yes:
        if not sys.stdin.isatty():
            raise InputError("Nobody is there to say yes.", "Look at it, then sign it with --yes.")
        inputs.agreed(f"Approve {shown.request.plan.id}?", ("Not approved.", "Nothing was signed."))
    return _signed(settings, options, shown, "approve", options.note)


def reject(options: argparse.Namespace) -> int:
    """Reject a plan, signed and with a reason. The run that waits for it is told the reason, and cannot run it."""
    if not options.reason.strip():
        raise InputError("The reason is empty.", "Say what has to change: --reason WHY.")
    settings = common.project(options)
    return _signed(settings, options, approving.show(settings, options.plan), "reject", options.reason)


def _signed(
    settings: Settings, options: argparse.Namespace, shown: approving.PlanReview, decision: str, note: str
) -> int:
    approval = approving.decide(settings, shown, decision, note, ask=sys.stdin.isatty())
    planned, lines = shown.request.plan.id, []
    if decision == "reject":
        lines.append(f"{planned} is rejected: {note}")
    else:
        lines.append(f"{planned} is approved until {common.local(approval.expires)}, for one run.")
        lines += [] if approving.waits(settings, shown.request) else [f"  opsbook run --plan {planned}"]
    return common.tell(options, asdict(approval), *lines)


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


def _waiting(settings: Settings, options: argparse.Namespace) -> int:
    found = list(requests.waiting(settings.state))
    columns, none = ("PLAN", "WHAT", "ENVIRONMENT", "ASKED BY", "SINCE"), "No plan waits for an approval."
    shown = ((each.plan, each.asked) for each in found)
    rows = [(of.id, of.title, of.environment, asked.by, common.local(asked.time)) for of, asked in shown]
    common.tell_rows(options, [each.to_json() for each in found], columns, rows, none)
    if found and not options.json:
        say("opsbook approve PLAN shows one, and asks before it signs.")
    return 0
