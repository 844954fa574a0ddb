"""Show what a run would do, with the digest that identifies the plan. Runs nothing, leaves nothing."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from opsbook.console import common, inputs
from opsbook.console.text import say
from opsbook.core.model.parameter import Value
from opsbook.core.model.plan import Plan
from opsbook.core.model.planned import Planned
from opsbook.core.model.text import quoted
from opsbook.core.planning import drafts
from opsbook.core.planning.drafts import COMMIT
from opsbook.core.trust import approving, authorization
from opsbook.operate import preview
from opsbook.settings import Settings

_MOST = 12
"""Hosts that are named one by one."""


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    drafted = inputs.complete(settings, inputs.named(settings, options))
    planned = drafts.plan(settings, drafted)
    plan = planned.plan
    told = approving.request(settings, planned, inputs.labels(options)) if options.request else ""
    if options.json:
        needs = authorization.needed(settings, planned, datetime.now(UTC))
        more = {"outside": planned.outside, "needs": needs, "told": told, **asdict(preview.preview(settings, planned))}
        return common.tell(options, {**plan.to_json(), **more})
    show_all(settings, planned)
    if options.request:
        say(f"Asked for. Somebody else: opsbook approve {plan.id}")
        if told:
            say(told)
    return 0


def show_all(settings: Settings, planned: Planned) -> None:
    """Print a plan with its steps, and what a run of it needs."""
    found = preview.preview(settings, planned)
    show(planned.plan, found)
    for way in planned.outside:
        say(f"  outside of the project: {way}")
    for need in authorization.needed(settings, planned, datetime.now(UTC)):
        say(f"  needs: {need}")


def show(plan: Plan, found: preview.Preview | None = None) -> None:
    """Print the plan for a decision whether to run it."""
    say(f"{quoted(plan.title)} in {plan.environment}")
    width = max((len(name) for name in [*plan.parameters, *plan.secrets]), default=0)
    for name, value in plan.parameters.items():
        say(f"  {name:<{width}}  {_change(name, value, found)}")
    for name, reference in plan.secrets.items():
        say(f"  {name:<{width}}  •••••• ({quoted(reference)})")
    if found is not None:
        _steps(found)
    say(f"  hosts: {_named(plan.hosts)}")
    say(f"  locks: {', '.join(map(quoted, plan.locks)) or '—'}")
    for path, sha in plan.artefacts.items():
        say(f"  file:  {quoted(path)}, SHA-256 {sha[:12]}…")
    say(f"  plan:  {plan.id}" + (f", of commit {plan.trees[COMMIT][:12]}" if COMMIT in plan.trees else ""))


def _change(name: str, value: Value, found: preview.Preview | None) -> str:
    """The value, with that of the last run that succeeded where it was another."""
    if found is None or name not in found.before:
        return quoted(value)
    older = ", an OLDER one" if name in found.older else ""
    before = quoted(found.before[name])
    return f"{before} -> {quoted(value)}   (the last run that succeeded here had {before}{older})"


def _steps(found: preview.Preview) -> None:
    section = ""
    for step in found.steps:
        if step.section != section:
            section = step.section
            say(f"  {section}" + ("  (only after a failure, or on request)" if step.number is None else ""))
        number = f"{step.number:>3}" if step.number is not None else "   "
        say(f"  {number}  {step.title}{'  (by hand)' if step.by_hand else ''}")
        for each in step.touches:
            say(f"          {each}")
    say(f"  in all: {found.counts}")


def _named(hosts: Sequence[str]) -> str:
    if len(hosts) > _MOST:
        return f"{len(hosts)}, from {quoted(hosts[0])} to {quoted(hosts[-1])}"
    return ", ".join(map(quoted, hosts)) or "—"
