"""Whether a run may begin: its labels and environment, what is committed, who runs it, who approved it, and what time
it is (ADR 16). Every way to start a run passes here: the command line, papermill, drills, and labs.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from opsbook.core.catalog import catalog
from opsbook.core.model.approval import Identity
from opsbook.core.model.effect import Mode, canonical, no_sandbox
from opsbook.core.model.environment import Environment, Policy
from opsbook.core.model.events import RunAllowed, RunStarted, read
from opsbook.core.model.outcome import Outcome
from opsbook.core.model.past import Past
from opsbook.core.model.planned import Authorization, Planned, RunOptions
from opsbook.core.model.runbook import Role, Runbook
from opsbook.core.planning import artefacts, authority, drafts
from opsbook.core.planning.context import operator
from opsbook.core.planning.drafts import Draft, check_place
from opsbook.core.record import journal, store
from opsbook.core.trust import approvals, promotion, proofs, requests, sign, windows
from opsbook.core.trust.approvals import RunStart
from opsbook.core.trust.sign import Signers
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings

_NEVER_WAIT = frozenset({"incident", "recovery"})
"""Kinds of runbook that ignore windows and freezes."""


def check_start(drafted: Draft | Planned, options: RunOptions) -> None:
    """Raises InputError, before anything begins, if nobody may start this run."""
    check_page(drafted.runbook, drafted.environment, options.emergency)
    missing = missing_labels(drafted.environment.policy, options.labels)
    if missing and options.mode is not Mode.CHECK:
        said = [f"A run in {drafted.environment.name} needs the label {name}." for name in missing]
        names = " ".join(f"{name}=…" for name in missing)
        in_notebook = f"Set OPSBOOK_LABELS='{names}'."
        raise InputError(said, in_notebook if options.mode is Mode.NOTEBOOK else f"Give --label {missing[0]}=…")


def missing_labels(policy: Policy, given: Mapping[str, str]) -> list[str]:
    """Labels that the environment wants and that are not given."""
    return [name for name in policy.labels if not given.get(name, "").strip()]


def check_page(runbook: Runbook, environment: Environment, emergency: str) -> None:
    """Raises InputError if this page may not run or resume: wrong environment, or an empty emergency reason."""
    check_place(runbook, environment)
    if runbook.front.drill is not None and not environment.policy.sandbox:
        said = f"{environment.name} is no sandbox, and a drill breaks things."
        raise InputError(said, "Name an environment marked sandbox: true.")
    if emergency and not emergency.strip():
        raise InputError("The reason is empty.", "Say why it cannot wait: --emergency REASON.")


def closed_to_sessions(settings: Settings, environment: Environment) -> str:
    """Why a notebook outside a run may not change this environment now; empty if it may.

    A notebook has no approval and no label, so it is refused wherever a run would need one. It takes its locks itself.
    """
    policy, where = environment.policy, environment.name
    if not policy.sandbox:
        return no_sandbox(Mode.SESSION)
    try:
        authority.check(settings, environment.name, policy)
    except Refused as error:
        return error.whole
    if policy.labels:
        return f"a run in {where} needs a label ({', '.join(policy.labels)}). Use opsbook run."
    try:
        windows.check(settings, environment, datetime.now(UTC))
    except Refused as error:
        return error.message
    return ""


def authorization(start: RunStart, mode: Mode, *, undo: bool) -> Callable[[], Authorization | None]:
    """A function that returns why the run may begin, or raises Refused; NotYet if an approval or a window is pending.

    A check needs no approval and no window. The rollback of one's own run that failed needs nothing.
    """
    # A notebook of another tool may change only a sandbox.
    if mode is Mode.NOTEBOOK and not start.policy.sandbox:
        return lambda: None
    if mode is Mode.CHECK:
        return lambda: _check_allowed(start)
    return lambda: _undo_allowed(start) if undo else _allowed(start)


def needed(settings: Settings, planned: Planned, now: datetime) -> list[str]:
    """The approvals, signature, window and promotion that a run of this needs, in sentences."""
    policy, found = planned.environment.policy, []
    if policy.approvals:
        among = ", ".join(policy.approvers) or "anybody in allowed_signers"
        found.append(f"approvals: {policy.approvals}, by {among}, but not by who runs it")
    if policy.protected or policy.approvals:
        found.append("the signature of who runs it" + (", and everything committed" if policy.protected else ""))
    try:
        _check_open(settings, planned, now)
    except Refused as error:
        found.append(f"another time: {error.message}")
    if not _only_reads(planned.runbook) and (against := promotion.problem(settings, planned, now)):
        found.append(f"a release that was promoted: {against}")
    return found


def _check_allowed(start: RunStart) -> Authorization | None:
    """Who checks signs it where runs are signed: a check runs cells, reads hosts and logs in there. Raises Refused."""
    authority.check(start.settings, start.plan.environment, start.policy)
    if not (start.policy.protected or start.policy.approvals):
        return None
    known = _known(start)
    me, files = _operator(start, known)
    return Authorization(_evidence(start, me, known, files), files)


def _undo_allowed(start: RunStart) -> Authorization | None:
    """Whoever rolls back what is over, or what somebody else began, signs it where runs are signed. Raises Refused."""
    if not (start.policy.protected or start.policy.approvals):
        return None
    known = _known(start)
    if start.outcome != Outcome.SUCCEEDED and known and _is_own(start, known):
        return None
    if missing := missing_labels(start.policy, start.labels):
        said = f"{start.plan.environment} is guarded, and this run is over, or somebody else's: its rollback needs "
        raise Refused(f"{said}the label {missing[0]}.", f"Give --label {missing[0]}=…")
    me, files = _operator(start, known)
    return Authorization(_evidence(start, me, known, files), files)


def _is_own(start: RunStart, known: Signers) -> bool:
    """Whether this user began the run with this plan, and a signature in its record proves that."""
    facts = list(map(read, start.events))
    began = next((fact for fact in facts if isinstance(fact, RunStarted)), None)
    record = store.exact(start.settings.records, start.run)
    if began is None or record is None or began.operator != operator():
        return False
    plans = {fact.evidence.get("plan") for fact in facts if isinstance(fact, RunAllowed)}
    told = proofs.claims(record, known)
    return plans == {began.plan} and all(claim.key for claim in told if claim.what == "run by")


def _evidence(start: RunStart, me: Identity, known: Signers | None, files: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = {"plan": start.plan.digest, "run": start.run, "operator": asdict(me), "approvals": []}
    if start.labels:
        found["labels"] = dict(start.labels)
    if known is not None:
        files["allowed_signers"] = known.text.encode()
        found["signers"] = {"branch": known.branch, "commit": known.commit, "sha256": known.sha256}
    if start.emergency:
        found |= {"emergency": start.emergency, "review_within": start.policy.review_within}
    return found


def _allowed(start: RunStart) -> Authorization | None:
    authority.check(start.settings, start.plan.environment, start.policy)
    # A run may have waited for days, and is asked again when it has its locks.
    artefacts.check(start.settings.root, start.plan)
    if not (authority.is_guarded(start.policy) or start.emergency):
        return None
    known = _known(start)
    me, files = _operator(start, known)
    evidence = _evidence(start, me, known, files)
    if start.emergency:
        against = promotion.problem(start.settings, start.planned, datetime.now(UTC))
        return Authorization(evidence | ({"not_promoted": against} if against else {}), files)
    if earlier := [dict(fact.evidence) for fact in map(read, start.events) if isinstance(fact, RunAllowed)]:
        # It began already: only who resumes it is new.
        _check_proven(start, known, earlier)
        _check_resume(start, me, earlier)
        if not Past.of(start.events).changed:
            _promoted(start)
            _check_open(start.settings, start.planned, datetime.now(UTC))
        return Authorization(evidence | {"again": True}, files)
    promoted = _promoted(start)
    counted = approvals.approved(start, me, known)
    _check_open(start.settings, start.planned, datetime.now(UTC))
    for each, signature in counted:
        files[f"{each.approval.id}.json"] = each.approval.statement()
        files[f"{each.approval.id}.sig"] = signature.encode()
    told = evidence | {"approvals": [each.told() for each, _ in counted]}
    if promoted:
        told["promotion"] = [asdict(each) for each in promoted]
    if counted:
        told["spent"] = requests.reach(start.settings.state, start.settings.root)
    return Authorization(told, files, lambda: approvals.spend(start, [each for each, _ in counted]))


def _known(start: RunStart) -> Signers | None:
    """The known signers; None if no signature is needed. Raises Refused, also for what is not committed."""
    settings, policy = start.settings, start.policy
    own = sorted(each for each in os.environ if each.startswith("ANSIBLE_"))
    if own and authority.is_guarded(policy):
        said = f"{start.plan.environment} is guarded, and your environment would change what Ansible does: "
        raise Refused(f"{said}{', '.join(own)}.", f"Unset it, and say it in ansible.cfg: unset {' '.join(own)}")
    if policy.protected:
        authority.check_commit(settings, start.plan.environment, start.plan.trees.get(drafts.COMMIT, ""))
    page = start.planned.runbook
    if policy.protected and page.source != catalog.load(settings.within(start.planned.root), page.name).source:
        said = f"{start.plan.environment} is protected, and this page is not the one that is committed."
        raise Refused(said, "Commit it and start a new run, or roll this one back.")
    if not (policy.protected or policy.approvals):
        return None
    return sign.committed(settings.root, settings.allowed_signers, settings.protected_branch)


def _operator(start: RunStart, known: Signers | None) -> tuple[Identity, dict[str, bytes]]:
    """Who runs it, with the signature that proves it if one is needed. Raises Refused."""
    user = operator()
    if known is None:
        return Identity(user), {}
    hint = f"Whoever runs or checks something in {start.plan.environment} signs it: see opsbook doctor."
    if start.settings.signing_key is None:
        raise Refused("There is no key to sign with: name it in opsbook.toml (signing_key).", hint)
    try:
        bound = {"emergency": start.emergency, "labels": dict(start.labels)}
        told = {name: value for name, value in bound.items() if value}
        now, data, signature = _statement(
            start.settings.signing_key, canonical({"plan": start.plan.digest, "run": start.run, "by": user, **told})
        )
        found = sign.signer(known.text, sign.OPERATOR, data, signature, datetime.fromisoformat(now))
    except (sign.Unsigned, sign.BadSignature) as error:
        raise Refused(f"This run cannot be signed: {error}.", hint) from error
    name = f"operator-{now.replace(':', '')}"
    return replace(found, user=user), {f"{name}.json": data, f"{name}.sig": signature.encode()}


@lru_cache(maxsize=8)
def _statement(key: Path, about: bytes) -> tuple[str, bytes, str]:
    """When this process signed that it runs this, what it signed, and the signature. Raises Unsigned.

    Cached: a hardware key may need a touch for each signature, and a run may wait for hours.
    """
    now = journal.now()
    data = canonical({"kind": "operator", **json.loads(about), "signed": now})
    return now, data, sign.sign(key, sign.OPERATOR, data)


def _check_proven(start: RunStart, known: Signers | None, earlier: Sequence[dict[str, Any]]) -> None:
    """Raises Refused if the record does not prove that the run was allowed: its journal says so to anybody."""
    if known is None:
        return
    record = store.exact(start.settings.records, start.run)
    found = proofs.allowed(record, known) if record else []
    hint = f"opsbook records verify {start.run} says more. Start a new run, or go on with --emergency REASON."
    for claim in found:
        if not claim.key:
            why = claim.flaw or "nobody signed it"
            raise Refused(f"{start.run} says {claim.what} {claim.who}, and does not prove it: {why}.", hint)
    ran = {claim.key for claim in found if claim.what == "run by"}
    approved = len({claim.key for claim in found if claim.what == "approved by"} - ran)
    if approved < start.policy.approvals and not any(each.get("emergency") for each in earlier):
        raise Refused(f"{start.run} was never approved: {approved} of {start.policy.approvals}.", hint)
    if record and (other := approvals.spent_elsewhere(start, record)):
        raise Refused(f"{start.run} has an approval that {other} used.", hint)


def _check_resume(start: RunStart, me: Identity, earlier: Sequence[dict[str, Any]]) -> None:
    """Raises Refused if an approver resumes the run he approved, or if the plan is not the approved one."""
    for each in (each for data in earlier for each in data.get("approvals") or ()):
        if me.is_also(Identity(each["user"], each["principal"], each["key"])):
            said = f"{each['principal']} approved this run, and nobody approves his own."
            raise Refused(said, "Somebody else has to go on with it, or roll it back.")
    if start.policy.approvals and earlier[0].get("plan") != start.plan.digest:
        said = "What was approved is another plan: the page, a tool or something else it stands on has changed."
        raise Refused(said, f"Roll it back: opsbook rollback {start.run}. If it cannot wait: --emergency REASON.")


def _promoted(start: RunStart) -> list[promotion.Proof]:
    """What proves the releases of a run. Raises Refused if nothing does."""
    if _only_reads(start.planned.runbook):
        return []
    return promotion.proven(start.settings, start.planned, datetime.now(UTC))


def _check_open(settings: Settings, planned: Planned, now: datetime) -> None:
    """Raises Refused if the run may not begin now, but has to wait for a window or the end of a freeze."""
    if planned.runbook.front.kind not in _NEVER_WAIT:
        windows.check(settings, planned.environment, now, freezes=not _only_reads(planned.runbook))


def _only_reads(runbook: Runbook) -> bool:
    """Whether no section of the page may change anything: it puts no release anywhere, and may look during a freeze."""
    return not any(step.role in (Role.CHANGE, Role.UNDO) for step in runbook.steps())
