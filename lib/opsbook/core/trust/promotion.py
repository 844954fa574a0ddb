"""Promotion: a release comes from the environment before, as the same bytes, and sealed records prove it.

Nobody marks a release as good. A run that fails with it later, in the environment that it comes from, takes the proof
away; a release that other bytes are behind today has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from opsbook import files
from opsbook.core.model.environment import Promotion
from opsbook.core.model.planned import Planned
from opsbook.core.model.text import span_seconds
from opsbook.core.planning import authority
from opsbook.core.planning import environment as environments
from opsbook.core.record import seal, store
from opsbook.core.record.deliveries import Delivery, deliveries
from opsbook.core.trust import adopting, proofs, reviewing, sign
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
    found = planned.plan.releases.items()
    if not found and planned.runbook.front.kind == "deploy":
        said = (
            f"Releases come to {planned.environment.name} from {rule.after}, and {planned.plan.runbook} names no file."
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


def _proven(
    settings: Settings, planned: Planned, rule: Promotion, release: tuple[str, str], now: datetime
) -> Proof | None:
    path, sha = release
    if planned.runbook.front.kind == "recovery" and _was_here(settings, planned.plan.environment, release):
        return None
    component, what = str(PurePosixPath(path).parent), f"{path} ({sha[:12]})"
    there = [each for each in deliveries(settings.records, rule.after) if each.component == component]
    put = next((each for each in there if each.puts and each.good and each.sha256 == sha), None)
    hint = f"Promote it to {rule.after} first, or say why it cannot wait: --emergency REASON."
    if put is None:
        other = next((each for each in there if each.file == path and each.puts and each.good), None)
        named = f": what has this name there is {other.sha256[:12]}, of {other.run}" if other else ""
        raise Refused(f"{what} was never put into {rule.after}{named}.", hint)
    last = next(each for each in there if each.sha256 == sha and each.tells)
    if not last.good:
        said = f"{what} did not do well in {rule.after}: {last.run} is {last.outcome}."
        raise Refused(said, f"Look at it: opsbook records show {last.run}. Put it right there, and run it again.")
    for each in dict.fromkeys((put, last)):
        _check_record(settings, each)
    stay = _stay(settings, there, put)
    ready = stay.since + timedelta(seconds=span_seconds(rule.soak))
    if (stay.until or now) < ready:
        said = f"{what} has to be in {rule.after} for {rule.soak}"
        if stay.until:
            raise Refused(f"{said}, and {stay.by} put something else there before that.", hint)
        raise NotYet(
            f"{said}: until {ready.astimezone():%Y-%m-%d %H:%M:%S %z}.", "If it cannot wait: --emergency REASON."
        )
    if (now - last.ended).total_seconds() > span_seconds(rule.fresh):
        said = f"{what} was validated in {rule.after} on {last.ended.astimezone():%Y-%m-%d %H:%M}, "
        raise Refused(f"{said}which is more than {rule.fresh} ago.", f"Validate it there again, or: {hint}")
    sealed = files.sha256(store.place(settings.records, last.run) / store.SEAL)
    served = max(0, round(((stay.until or now) - stay.since).total_seconds()))
    return Proof(path, sha, rule.after, put.run, last.run, sealed, served)


def _was_here(settings: Settings, environment: str, release: tuple[str, str]) -> bool:
    """Whether this release was put here before, and a record proves it: a recovery goes back to it."""
    found = deliveries(settings.records, environment)
    before = (each for each in found if (each.file, each.sha256) == release and each.puts and each.good)
    return any(_is_proof(settings, each) for each in before)


@dataclass(frozen=True)
class _Stay:
    """Since when a release has been in an environment, without a break; until when, and which run ended that."""

    since: datetime
    until: datetime | None = None
    by: str = ""


def _stay(settings: Settings, there: Sequence[Delivery], put: Delivery) -> _Stay:
    """The stay that began with `put`, or earlier runs that put the same there; it begins anew after another release."""
    at, since = there.index(put), put.ended
    for each in there[at + 1 :]:
        if each.puts and each.touched:
            if not (each.good and each.sha256 == put.sha256 and _is_proof(settings, each)):
                break
            since = each.ended
    for each in reversed(there[:at]):
        if each.puts and each.touched and each.sha256 != put.sha256:
            if each.stays:
                return _Stay(since, each.ended, each.run)
            since = each.ended
    return _Stay(since)


def _is_proof(settings: Settings, found: Delivery) -> bool:
    try:
        _check_record(settings, found)
    except Refused:
        return False
    return True


def _check_record(settings: Settings, found: Delivery) -> None:
    """Raises Refused for a record that does not prove what it says."""
    record, environment = store.exact(settings.records, found.run), found.environment
    hint = f"Look at it: opsbook records verify {found.run}. Run it again, and it has a good one."

    def proves_nothing(why: str) -> Refused:
        return Refused(f"The record of {found.run} proves nothing: {why}.", hint)

    if record is None or record.state != "sealed":
        raise proves_nothing("it is not sealed")
    if record.folder.parent.name == store.QUARANTINE:
        raise proves_nothing("it is in quarantine")
    if flaws := seal.verify(record.folder):
        raise proves_nothing(f"{flaws[0].file} {flaws[0].message}")
    adopting.check(settings, found.run)
    if found.emergency and not reviewing.is_reviewed(settings, found.run):
        raise Refused(f"{found.run} was an emergency, and nobody has reviewed it.", f"opsbook review {found.run}")
    try:
        policy = authority.check(settings, environment, environments.load_as_written(settings, environment))
    except InputError as error:
        raise Refused(f"{environment}, from which releases come, is not known: {error.message}", error.hint) from error
    if policy.protected or policy.approvals:
        known = sign.committed(settings.root, settings.allowed_signers, settings.protected_branch)
        try:
            claims = proofs.allowed(record, known)
        except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise proves_nothing("its journal cannot be read") from error
        bad = next((claim.flaw or "nobody signed it" for claim in claims if not claim.key), None)
        if bad or not claims:
            raise proves_nothing(bad or "nobody signed it")
