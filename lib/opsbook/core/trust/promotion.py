"""Promotion: a release comes from the environment before, as the same bytes, and sealed records prove it.

Nobody marks a release as good. A run that fails with it later, in the environment that it comes from, takes the proof
away; a release that other bytes are behind today has none.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from opsbook import files
from opsbook.core.model.environment import Promotion
from opsbook.core.model.planned import Planned
from opsbook.core.model.text import duration, span_seconds
from opsbook.core.planning import authority
from opsbook.core.planning import environment as environments
from opsbook.core.record import seal, store
from opsbook.core.record.deliveries import Delivery, deliveries, placed
from opsbook.core.trust import adopting, proofs, sign
from opsbook.errors import InputError, NotYet, OpsbookError, Refused
from opsbook.settings import Settings


@dataclass(frozen=True)
class Proof:
    """Why a release may come here: the run that put it into the environment before, and the last good one with it.

    `served` is how long it has been there, in seconds; `seal` is the SHA-256 of the seal of `validated`.
    """

    file: str
    sha256: str
    after: str
    run: str
    validated: str
    seal: str
    served: int


def proven(settings: Settings, planned: Planned, now: datetime) -> list[Proof]:
    """The proof for each release of a plan; none where the environment asks for none.

    Raises Refused with what is missing, and NotYet while a release has to stay longer where it is.
    """
    rule = planned.environment.policy.promotion
    if rule is None:
        return []
    found = planned.plan.artefacts.items()
    if not found and planned.runbook.front.kind == "deploy":
        said = (
            f"Releases come to {planned.plan.environment} from {rule.after}, and {planned.plan.runbook} names no file."
        )
        raise Refused(said, "Give it a parameter of the type Release, and a rule `glob` for it under choices.")
    return [proof for path, sha in found if (proof := _proven(settings, planned, rule, (path, sha), now))]


def problem(settings: Settings, planned: Planned, now: datetime) -> str:
    """Why a release of a plan may not come here; empty if nothing is against it."""
    try:
        proven(settings, planned, now)
    except OpsbookError as error:
        return error.whole
    return ""


def evidence(found: Sequence[Proof]) -> dict[str, Any]:
    """What the journal of the run says of it."""
    return {"promotion": [asdict(each) for each in found]} if found else {}


def _proven(
    settings: Settings, planned: Planned, rule: Promotion, release: tuple[str, str], now: datetime
) -> Proof | None:
    path, sha = release
    if planned.runbook.front.kind == "recovery" and _was_here(settings, planned.plan.environment, release):
        return None
    component, what = str(PurePosixPath(path).parent), _named(path, sha)
    there = [each for each in deliveries(settings.records, rule.after) if each.component == component]
    put = next((each for each in there if each.puts and each.good and each.sha256 == sha), None)
    hint = f"Promote it to {rule.after} first, or say why it cannot wait: --emergency REASON."
    if put is None:
        raise Refused(f"{what} was never put into {rule.after}{_another(there, path)}.", hint)
    last = next(each for each in there if each.sha256 == sha and each.tells)
    if not last.good:
        said = f"{what} did not do well in {rule.after}: {last.run} is {last.outcome}."
        raise Refused(said, f"Look at it: opsbook records show {last.run}. Put it right there, and run it again.")
    _check_record(settings, rule.after, put)
    _check_record(settings, rule.after, last)
    served = _served(there, put, now)
    if (missing := span_seconds(rule.soak) - served) > 0:
        until = (now + timedelta(seconds=missing)).astimezone()
        said = f"{what} has to be in {rule.after} for {rule.soak}, and was for {duration(served)}"
        if placed(there).delivery != put:
            raise Refused(f"{said}; another one is there now.", hint)
        raise NotYet(f"{said}: until {until:%Y-%m-%d %H:%M:%S %z}.", "If it cannot wait: --emergency REASON.")
    if (now - last.ended).total_seconds() > span_seconds(rule.fresh):
        said = f"{what} was validated in {rule.after} on {last.ended.astimezone():%Y-%m-%d %H:%M}, "
        raise Refused(f"{said}which is more than {rule.fresh} ago.", f"Validate it there again, or: {hint}")
    sealed = files.sha256(store.place(settings.records, last.run) / store.SEAL)
    return Proof(path, sha, rule.after, put.run, last.run, sealed, round(served))


def _named(path: str, sha: str) -> str:
    return f"{path} ({sha[:12]})"


def _another(there: Sequence[Delivery], path: str) -> str:
    """That a release of this name was there, if it was another one."""
    other = next((each for each in there if each.file == path and each.puts and each.good), None)
    return f": what has this name there is {other.sha256[:12]}, of {other.run}" if other else ""


def _was_here(settings: Settings, environment: str, release: tuple[str, str]) -> bool:
    """Whether this release was put here before: a recovery goes back to it."""
    found = deliveries(settings.records, environment)
    return any((each.file, each.sha256) == release and each.puts and each.good for each in found)


def _served(there: Sequence[Delivery], put: Delivery, now: datetime) -> float:
    """Seconds for which a release was in an environment: until now, or until another one was put there."""
    at, since = there.index(put), put
    end = min((each.ended for each in there[:at] if each.stays and each.sha256 != put.sha256), default=now)
    for each in filter(lambda one: one.stays, there[at + 1 :]):
        if not (each.good and each.sha256 == put.sha256):
            break
        since = each
    return max(0.0, (end - since.ended).total_seconds())


def _check_record(settings: Settings, environment: str, found: Delivery) -> None:
    """Raises Refused for a record that does not prove what it says."""
    record = store.exact(settings.records, found.run)
    hint = f"Look at it: opsbook records verify {found.run}. Run it again, and it has a good one."
    if record is None or record.state != "sealed" or (flaws := seal.verify(record.folder)):
        why = f": {flaws[0].file} {flaws[0].message}" if record and record.state == "sealed" else ", and is not sealed"
        raise Refused(f"The record of {found.run} proves nothing{why}.", hint)
    adopting.check(settings, found.run)
    try:
        policy = authority.check(settings, environment, environments.load_as_written(settings, environment))
    except InputError as error:
        raise Refused(f"{environment}, from which releases come, is not known: {error.message}", error.hint) from error
    if policy.protected or policy.approvals:
        known = sign.committed(settings.root, settings.allowed_signers, settings.protected_branch)
        claims = proofs.allowed(record, known)
        bad = next((claim for claim in claims if not claim.key), None)
        if bad or not claims:
            why = bad.flaw or "nobody signed it" if bad else "nobody signed it"
            raise Refused(f"The record of {found.run} proves nothing: {why}.", hint)
