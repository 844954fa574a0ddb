"""Show what a run would do, with the digest that identifies the plan. Runs nothing, leaves nothing."""

import argparse
from datetime import UTC, datetime

from opsbook.console import arguments, common, inputs
from opsbook.console.text import say
from opsbook.core.model.plan import Plan
from opsbook.core.planning import drafts
from opsbook.core.trust import approving, authorization


def configure(parser: argparse.ArgumentParser) -> None:
    arguments.add_request(parser)
    parser.add_argument("--request", action="store_true", help="ask for its approval: opsbook status shows it")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    drafted = inputs.complete(settings, inputs.named(settings, options))
    needs = authorization.needed(drafted.runbook, drafted.environment, datetime.now(UTC))
    plan = approving.request(settings, drafted) if options.request else drafts.plan(settings, drafted).plan
    if options.json:
        common.print_json({**plan.to_json(), "needs": needs})
        return 0
    show(plan)
    for need in needs:
        say(f"  needs: {need}")
    if options.request:
        say(f"Asked for. Somebody else: opsbook approve {plan.id}")
    return 0


def show(plan: Plan) -> None:
    """Print the plan for a decision whether to run it."""
    say(f"{plan.title} in {plan.environment}")
    width = max((len(name) for name in [*plan.parameters, *plan.secrets]), default=0)
    for name, value in plan.parameters.items():
        say(f"  {name:<{width}}  {value}")
    for name, reference in plan.secrets.items():
        say(f"  {name:<{width}}  •••••• ({reference})")
    say(f"  hosts: {', '.join(plan.hosts) or '—'}")
    say(f"  locks: {', '.join(plan.locks) or '—'}")
    say(f"  plan:  {plan.id}")
