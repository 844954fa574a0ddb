"""Request an approval, and approve or reject another person's plan."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from opsbook.core.catalog import catalog
from opsbook.core.model.approval import Approval, Identity
from opsbook.core.model.plan import Plan
from opsbook.core.model.planned import Planned, RunOptions
from opsbook.core.model.text import span_seconds
from opsbook.core.planning import environment as environments
from opsbook.core.planning.bind import recheck
from opsbook.core.planning.build import changes_since
from opsbook.core.planning.context import operator
from opsbook.core.planning.drafts import ground_then, plan, planned_draft
from opsbook.core.record import store
from opsbook.core.trust import approvals, authorization, promotion, requests, sign
from opsbook.core.trust.approvals import RunStart
from opsbook.core.trust.signing import signed_here
from opsbook.errors import InputError, NotYet, Refused
from opsbook.settings import Settings


@dataclass(frozen=True)
class PlanReview:
    """What an approver sees before signing: the plan, what it could do, and what a check of it found.

    `changed` names what has changed since the approval was requested; `check` is None if the plan was never checked.
    `reach` says who will know that the approval is spent.
    """

    request: requests.ApprovalRequest
    summary: str
    rollback: str
    needs: tuple[str, ...]
    changed: tuple[str, ...]
    check: dict[str, Any] | None
    checked: str = ""
    reach: str = ""


def request(settings: Settings, planned: Planned, labels: Mapping[str, str]) -> str:
    """Request the approval of a plan, for a run with these labels; what became of the message to approvers, if there is
    one. Raises InputError for a plan that needs none.
    """
    if not planned.environment.policy.approvals:
        raise InputError(f"{planned.plan.environment} needs no approvals.", "Run it: opsbook run.")
    authorization.check_start(planned, RunOptions(labels=labels))
    with contextlib.suppress(NotYet):
        promotion.proven(settings, planned, datetime.now(UTC))
    return approvals.ask(RunStart(settings, planned, run="", labels=labels))


def planned_again(settings: Settings, wanted: str) -> Planned:
    """What waits for a signature, planned again from the files of then. Raises Refused if it is a different plan."""
    found = requests.find(settings.state, wanted)
    planned = _planned(settings, found)
    if problems := recheck(planned.runbook.parameters, planned.plan.parameters, planned.environment):
        raise Refused("\n".join(problems), "Plan it anew with what there is now.")
    if changed := _changed(found, planned):
        said = [f"{found.plan.id} is not what was planned any more: {changed[0]}.", *changed[1:]]
        raise Refused("\n".join(said), "Put that back, or plan and approve anew.")
    return planned


def _planned(settings: Settings, found: requests.ApprovalRequest) -> Planned:
    at, _ = ground_then(settings, found.plan, "")
    return plan(settings, planned_draft(settings, catalog.load(at, found.plan.runbook), found.plan))


def _changed(found: requests.ApprovalRequest, planned: Planned) -> list[str]:
    """What differs from the plan as it was made, in words."""
    refusing, telling = changes_since(found.plan, planned.plan)
    other = found.plan.digest != planned.plan.digest and not (refusing or telling)
    return [*refusing, *telling, *(["its page or its title is another one"] if other else [])]


def waits(settings: Settings, request: requests.ApprovalRequest) -> bool:
    """Whether a run waits for this approval; it begins by itself as soon as the plan is approved."""
    record = store.exact(settings.records, request.asked.run) if request.asked.run else None
    return record is not None and record.state == "running"


def show(settings: Settings, wanted: str) -> PlanReview:
    """What an approver reviews. Raises InputError if no such plan waits."""
    found = requests.find(settings.state, wanted)
    planned = _planned(settings, found)
    runbook, changed = planned.runbook, _changed(found, planned)
    if found.asked.state != requests.identity(settings.state):
        copied = f"it was requested in another state folder; {settings.state} is a copy of it, or was moved"
        changed = [copied, *changed]
    checked, check = _check(settings, found.plan)
    return PlanReview(
        found,
        runbook.front.summary,
        runbook.front.rollback,
        tuple(authorization.needed(settings, planned, datetime.now(UTC))),
        tuple(changed),
        check,
        checked,
        requests.reach(settings.state, settings.root),
    )


def _check(settings: Settings, planned: Plan) -> tuple[str, dict[str, Any] | None]:
    """The newest check of exactly this plan."""
    for record in store.recent(settings.records, planned.runbook):
        told = record.glance()
        if told.get("plan") == planned.digest and told.get("outcome") == "checked":
            return record.id, told.get("check")
    return "", None


def decide(settings: Settings, shown: PlanReview, decision: str, note: str, *, ask: bool) -> Approval:
    """Sign a decision on a plan. Raises Refused, and leaves nothing, if the signature would not count."""
    planned, policy = shown.request.plan, environments.load(settings, shown.request.plan.environment).policy
    if decision == "approve" and shown.changed:
        said = "\n".join([f"{planned.id} is not what was planned any more.", *shown.changed])
        raise Refused(said, "Its requester plans it anew.")
    now = datetime.now(UTC)
    until = now + timedelta(seconds=span_seconds(policy.approval_valid))
    approval = Approval(
        id=requests.new_id(),
        plan=planned.digest,
        runbook=planned.runbook,
        environment=planned.environment,
        decision="approve" if decision == "approve" else "reject",
        note=note,
        by=operator(),
        signed=now.isoformat(timespec="microseconds"),  # the last decision counts, and two may come in one second
        expires=until.isoformat(timespec="seconds"),
        labels=dict(shown.request.asked.labels),
        state=requests.identity(settings.state),
    )
    signature, who = signed_here(settings, sign.APPROVAL, approval.statement(), now, ask=ask)
    asked = Identity(shown.request.asked.by)
    if decision == "approve" and (who.is_also(asked) or Identity(approval.by).is_also(asked)):
        raise Refused(f"{asked.user} asked for it, and nobody approves his own run.", "Somebody else has to.")
    if policy.approvers and who.principal not in policy.approvers:
        raise Refused(f"Only {', '.join(policy.approvers)} may decide that, and you are {who.principal}.")
    requests.keep(shown.request.folder, approval, signature)
    return approval
