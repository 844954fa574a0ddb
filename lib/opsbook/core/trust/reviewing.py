"""Emergency runs that another person must review: which reviews are open, and how one is closed (ADR 16)."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from opsbook import files
from opsbook.core.model.approval import Claim, Identity
from opsbook.core.model.effect import canonical
from opsbook.core.model.events import RunAllowed, RunResumed, RunStarted, read
from opsbook.core.model.text import span_seconds
from opsbook.core.record import store
from opsbook.core.record.sidecars import MALFORMED, REVIEWS, signed_file
from opsbook.errors import InputError, OpsbookError, Refused
from opsbook.settings import Settings


@dataclass(frozen=True)
class FollowUp:
    """An emergency run without a review. `due` is UTC, ISO 8601."""

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
        if not told.get("emergency") or is_reviewed(settings, record.id):
            continue
        try:
            due = datetime.fromisoformat(told["started"]) + timedelta(seconds=span_seconds(told["review_within"]))
            late = now > due
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
            due, late = now, True
        title, where, operators = told["title"] or "", told["environment"] or "", tuple(told.get("operators") or ())
        yield FollowUp(record.id, title, where, operators, told["emergency"], due.isoformat(), late)


def is_reviewed(settings: Settings, run: str) -> bool:
    """Whether somebody else has signed a review of this emergency."""
    return not (found := review_of(settings, run)).flaw and bool(found.who)


def review_of(settings: Settings, run: str) -> Claim:
    """Who reviewed a run, by a signature of somebody else; nobody if there is no review, with a flaw for a bad one."""
    from opsbook.core.trust import sign

    place = settings.records / REVIEWS / f"{run}.json"
    claim = Claim("reviewed by", "", file=f"{REVIEWS}/{run}.json")
    if not os.path.lexists(place):
        return claim
    try:
        data, signature = signed_file(place)
        told = json.loads(data)
        claim = replace(claim, who=str(told["by"]))
        known = sign.committed(settings.root, settings.allowed_signers, settings.protected_branch)
        who = sign.signer(known.text, sign.REVIEW, data, signature, datetime.fromisoformat(told["signed"]))
        same = told["run"] == run and told["seal"] == sealed_as(settings, run) and data == canonical(told)
        if not same or worked(store.find(settings.records, run), Identity(told["by"], who.principal, who.key)):
            return replace(claim, flaw="it is of another seal of the run, or by who ran it")
        return replace(claim, who=who.principal, key=who.key)
    except (OpsbookError, sign.BadSignature, sign.Unsigned, *MALFORMED) as error:
        return replace(claim, flaw=str(error) or type(error).__name__)


def sealed_as(settings: Settings, run: str) -> str:
    """The digest of a run's current seal: a run resumed after its review needs another review."""
    record = store.exact(settings.records, run)
    return files.sha256(record.folder / store.SEAL) if record and record.state == "sealed" else ""


def worked(record: store.Record, person: Identity) -> bool:
    """Whether this person started or resumed the run. Raises InputError for a damaged record."""
    facts = list(map(read, record.events()))
    people = [Identity(**fact.evidence["operator"]) for fact in facts if isinstance(fact, RunAllowed)]
    people += [Identity(fact.operator) for fact in facts if isinstance(fact, RunStarted | RunResumed)]
    return any(person.is_also(each) for each in people)


def review(settings: Settings, wanted: str, note: str, *, ask: bool) -> str:
    """Close the follow-up of an emergency; returns the run. Raises InputError where there is none, and Refused."""
    from opsbook.core.planning.context import operator
    from opsbook.core.trust import sign
    from opsbook.core.trust.signing import signed_here

    record = store.find(settings.records, wanted)
    told = record.glance()
    if not told.get("emergency"):
        raise InputError(f"{record.id} was no emergency: there is nothing to review.")
    if record.state == "running":
        raise InputError(f"{record.id} still runs.", f"Watch it: opsbook attach {record.id}")
    if is_reviewed(settings, record.id):
        raise InputError(f"{record.id} was reviewed already.", f"{settings.records / REVIEWS} says by whom.")
    if not note.strip():
        raise InputError("The review's note is empty.", "Write what you found: --note TEXT.")
    now = datetime.now(UTC)
    seal = sealed_as(settings, record.id)
    if not seal:
        raise InputError(f"{record.id} has no seal: it is not over.", "Go on with it, or roll it back, first.")
    said = {"kind": "review", "run": record.id, "seal": seal, "note": note, "by": operator()}
    data = canonical({**said, "signed": now.isoformat(timespec="seconds")})
    signature, who = signed_here(settings, sign.REVIEW, data, now, ask=ask)
    if worked(record, who):
        raise Refused("Whoever ran it does not review it.", "Somebody else has to.")
    folder = settings.records / REVIEWS
    files.write_atomic(folder / f"{record.id}.sig", signature.encode())
    files.write_atomic(folder / f"{record.id}.json", data)
    return record.id
