"""Approve or reject the plan of somebody else, ask for it, and review what was done in an emergency."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from opsbook import files
from opsbook.errors import InputError, OpsbookError, Refused
from opsbook.flow import allowing
from opsbook.flow.allowing import Wanted
from opsbook.flow.context import operator
from opsbook.flow.drafts import Draft, plan, relied_on
from opsbook.model.approval import Approval, Person
from opsbook.model.effect import canonical
from opsbook.model.front import span_seconds
from opsbook.model.plan import Plan
from opsbook.plan.bind import Bound, recheck
from opsbook.policy import environment as environments
from opsbook.policy import requests, sign, signers
from opsbook.record import store
from opsbook.settings import Settings
from opsbook.source import catalog

_UNUSABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What a file of another shape raises."""

REVIEWS = "reviews"
"""Folder beside the records: a sealed record does not change, so what is said of it lies here."""


@dataclass(frozen=True)
class Shown:
    """What an approver sees before signing: the plan, what it could do, and what a check of it found.

    `changed` names what is not as it was when the approval was asked for; `check` is None where nobody checked it.
    """

    request: requests.Request
    summary: str
    rollback: str
    needs: tuple[str, ...]
    changed: tuple[str, ...]
    check: dict[str, Any] | None
    checked: str = ""


def request(settings: Settings, drafted: Draft) -> Plan:
    """Ask for the approval of what was drafted. Raises InputError where nobody has to approve it."""
    if not drafted.environment.policy.approvals:
        raise InputError(f"Nobody has to approve anything in {drafted.environment.name}.", "Run it: opsbook run.")
    planned = plan(settings, drafted)
    allowing.ask(Wanted(settings, drafted, planned, run=""))
    return planned


def planned_again(settings: Settings, wanted: str) -> Draft:
    """What a plan that waits for a signature was made of, as it is now. Raises Refused if that is another plan now."""
    found = requests.find(settings.state, wanted)
    drafted = _drafted(settings, found.plan)
    if problems := recheck(drafted.runbook.parameters, drafted.bound.values, drafted.environment):
        raise Refused("\n".join(problems), "Plan it anew with what there is now.")
    if changed := _changed(settings, found, drafted):
        said = [f"{found.plan.id} is not what was planned any more: {changed[0]}.", *changed[1:]]
        raise Refused("\n".join(said), "Put that back, or plan and approve anew.")
    return drafted


def _drafted(settings: Settings, planned: Plan) -> Draft:
    bound = Bound(dict(planned.parameters), dict(planned.secrets))
    runbook = catalog.load(settings, planned.runbook)
    if runbook.front.environments and planned.environment not in runbook.front.environments:
        said = f"{runbook.name} may not run in {planned.environment}, only in {', '.join(runbook.front.environments)}."
        raise InputError(said, "Nothing ran.")
    return Draft(runbook, environments.load(settings, planned.environment), bound)


def _changed(settings: Settings, found: requests.Request, drafted: Draft) -> list[str]:
    """What is not as it was when the plan was made, in words."""
    then, now = found.plan, plan(settings, drafted)
    if then.digest == now.digest:
        return []
    said = [name for name in ("parameters", "locks", "hosts") if getattr(then, name) != getattr(now, name)]
    said += ["the page"] * (then.trees.get("runbook") != now.trees["runbook"])
    said += ["the environment's policy"] * (then.trees.get("policy") != now.trees["policy"])
    said += ["versions of the tools"] * (then.versions != now.versions)
    for tree, names in relied_on(settings, drafted.environment).items():
        before = found.relied_on.get(tree, {})
        said += [f"{tree}: {name}" for name in sorted({*before, *names}) if before.get(name) != names.get(name)]
    return said


def waiting_plans(settings: Settings) -> Iterator[requests.Request]:
    """Plans for which somebody wants an approval, newest first."""
    return requests.waiting(settings.state)


def waits(settings: Settings, request: requests.Request) -> bool:
    """Whether a run stands there that begins by itself as soon as the plan is approved."""
    record = store.exact(settings.records, request.asked.run) if request.asked.run else None
    return record is not None and record.state == "running"


def show(settings: Settings, wanted: str) -> Shown:
    """What there is to approve. Raises InputError if there is no such plan."""
    found = requests.find(settings.state, wanted)
    drafted = _drafted(settings, found.plan)
    checked, check = _check(settings, found.plan)
    front = drafted.runbook.front
    return Shown(
        found,
        front.summary,
        front.rollback,
        tuple(allowing.needed(drafted, datetime.now(UTC))),
        tuple(_changed(settings, found, drafted)),
        check,
        checked,
    )


def _check(settings: Settings, planned: Plan) -> tuple[str, dict[str, Any] | None]:
    """The newest check of exactly this plan."""
    for folder in store.newest(settings.records):
        if store.runbook_of(folder.name) != planned.runbook:
            continue
        record = store.exact(settings.records, folder.name)
        told = record.glance() if record else {}
        if told.get("plan") == planned.digest and told.get("outcome") == "checked":
            return folder.name, told.get("check")
    return "", None


def decide(settings: Settings, shown: Shown, decision: str, note: str, *, ask: bool) -> Approval:
    """Sign a decision on a plan. Raises Refused, and leaves nothing, if the signature would not count."""
    planned, policy = shown.request.plan, environments.load(settings, shown.request.plan.environment).policy
    if decision == "approve" and shown.changed:
        said = "\n".join([f"{planned.id} is not what was planned any more.", *shown.changed])
        raise Refused(said, "Whoever wants it plans it anew.")
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
        signed=now.isoformat(timespec="seconds"),
        expires=until.isoformat(timespec="seconds"),
    )
    signature, who = _signed(settings, sign.APPROVAL, approval.statement(), now, ask=ask)
    asked = Person(shown.request.asked.by)
    if decision == "approve" and (who.is_also(asked) or Person(approval.by).is_also(asked)):
        raise Refused(f"{asked.user} asked for it, and nobody approves his own run.", "Somebody else has to.")
    if policy.approvers and who.principal not in policy.approvers:
        raise Refused(f"Only {', '.join(policy.approvers)} may decide that, and you are {who.principal}.")
    requests.keep(shown.request.folder, approval, signature)
    return approval


def _signed(settings: Settings, namespace: str, data: bytes, now: datetime, *, ask: bool) -> tuple[str, Person]:
    """The signature of who sits here, and whose it is by what is committed. Raises Refused."""
    if settings.signing_key is None:
        raise Refused("There is no key to sign with.", "Name it in opsbook.toml (signing_key), or OPSBOOK_SIGNING_KEY.")
    known = signers.committed(settings.root, settings.allowed_signers, settings.protected_branch)
    try:
        signature = sign.sign(settings.signing_key, namespace, data, ask=ask)
        found = sign.signer(known.text, namespace, data, signature, now)
    except (sign.Unsigned, sign.BadSignature) as error:
        raise Refused(f"You cannot sign that: {error}.", "opsbook doctor says what is missing.") from error
    return signature, Person(operator(), found.principal, found.key)


# -- reviews of emergencies


@dataclass(frozen=True)
class FollowUp:
    """An emergency that nobody has reviewed yet. `due` is UTC, ISO 8601."""

    run: str
    title: str
    environment: str
    operators: tuple[str, ...]
    reason: str
    due: str
    late: bool


def follow_ups(settings: Settings) -> Iterator[FollowUp]:
    """Emergencies whose review is open, newest first."""
    now = datetime.now(UTC)
    for record in store.records(settings.records):
        told = record.glance()
        if not told.get("emergency") or _reviewed(settings, record.id):
            continue
        try:
            due = datetime.fromisoformat(told["started"]) + timedelta(seconds=span_seconds(told["review_within"]))
            late = now > due
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
            due, late = now, True
        operators = tuple(told.get("operators") or ())
        yield FollowUp(
            record.id,
            told["title"] or "",
            told["environment"] or "",
            operators,
            told["emergency"],
            due.isoformat(),
            late,
        )


def _reviewed(settings: Settings, run: str) -> bool:
    """Whether somebody else's signature closed it. A file without a good signature closes nothing."""
    folder = settings.records / REVIEWS
    try:
        data = (folder / f"{run}.json").read_bytes()
        signature = (folder / f"{run}.sig").read_text(encoding="utf-8")
        told = json.loads(data)
        known = signers.committed(settings.root, settings.allowed_signers, settings.protected_branch)
        who = sign.signer(known.text, sign.REVIEW, data, signature, datetime.fromisoformat(told["signed"]))
        same = told["run"] == run and told["seal"] == _sealed(settings, run) and data == canonical(told)
        return same and not _worked(settings, run, Person(told["by"], who.principal, who.key))
    except (OSError, OpsbookError, sign.BadSignature, sign.Unsigned, *_UNUSABLE):
        return False


def _sealed(settings: Settings, run: str) -> str:
    """The digest of the seal that a run has now: one that went on since its review is reviewed again."""
    record = store.exact(settings.records, run)
    return files.sha256(record.folder / store.SEAL) if record and record.state == "sealed" else ""


def _worked(settings: Settings, run: str, person: Person) -> bool:
    """Whether this person ran it, or went on with it."""
    events = store.find(settings.records, run).events()
    people = [Person(**e.data["operator"]) for e in events if e.type == "allowed"]
    people += [Person(e.data["operator"]) for e in events if e.type in ("run-started", "run-resumed")]
    return any(person.is_also(each) for each in people)


def review(settings: Settings, wanted: str, note: str, *, ask: bool) -> str:
    """Close the follow-up of an emergency; returns the run. Raises InputError where there is none, and Refused."""
    record = store.find(settings.records, wanted)
    told = record.glance()
    if not told.get("emergency"):
        raise InputError(f"{record.id} was no emergency: there is nothing to review.")
    if record.state == "running":
        raise InputError(f"{record.id} still runs.", f"Watch it: opsbook attach {record.id}")
    if _reviewed(settings, record.id):
        raise InputError(f"{record.id} was reviewed already.", f"{settings.records / REVIEWS} says by whom.")
    if not note.strip():
        raise InputError("A review says something.", "Write what you found: --note TEXT.")
    now = datetime.now(UTC)
    seal = _sealed(settings, record.id)
    if not seal:
        raise InputError(f"{record.id} has no seal: it is not over.", "Go on with it, or roll it back, first.")
    said = {"kind": "review", "run": record.id, "seal": seal, "note": note, "by": operator()}
    data = canonical({**said, "signed": now.isoformat(timespec="seconds")})
    signature, who = _signed(settings, sign.REVIEW, data, now, ask=ask)
    if _worked(settings, record.id, who):
        raise Refused("Whoever ran it does not review it.", "Somebody else has to.")
    folder = settings.records / REVIEWS
    files.write_atomic(folder / f"{record.id}.sig", signature.encode())
    files.write_atomic(folder / f"{record.id}.json", data)
    return record.id
