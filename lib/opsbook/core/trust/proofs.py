"""What proves what a record says of people: who ran, resumed, rolled back, approved and reviewed it.

A signature proves it, if it is of this statement, for this run and this plan, by a key of the committed signers.
Without one it is only said: the events of a journal are words of whoever could write it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from opsbook.core.model.approval import Approval, Claim, Identity
from opsbook.core.model.effect import canonical
from opsbook.core.model.events import RunAllowed, RunResumed, RunStarted, read
from opsbook.core.record import store
from opsbook.core.record.sidecars import MALFORMED, signed_file
from opsbook.core.trust import sign
from opsbook.core.trust.sign import Signers
from opsbook.errors import InputError
from opsbook.shapes import from_json

_FOLDER = "approvals"


def allowed(record: store.Record, known: Signers | None) -> list[Claim]:
    """The claims of the events that say a run may begin: each needs a key where runs are signed."""
    facts = (read(event, lenient=True) for event in record.events())
    return [claim for fact in facts if isinstance(fact, RunAllowed) for claim in _of(record, known, fact, "run by")]


def claims(record: store.Record, known: Signers | None) -> list[Claim]:
    """Every claim of a record's journal, in its order."""
    found: list[Claim] = []
    facts = [read(event, lenient=True) for event in record.events()]
    for number, fact in enumerate(facts):
        if isinstance(fact, RunStarted | RunResumed):
            what = "run by" if isinstance(fact, RunStarted) else f"{_GOALS.get(fact.goal, fact.goal)} by"
            if not _allowed_after(facts[number + 1 :]):
                found.append(Claim(what, fact.operator))
            said = what
        elif isinstance(fact, RunAllowed):
            found += _of(record, known, fact, said)
    return found


_GOALS = {"resume": "resumed", "rollback": "rolled back"}


def _allowed_after(facts: list[Any]) -> bool:
    """Whether a process of the run was allowed to begin: that event says who it was, and proves it."""
    for fact in facts:
        if isinstance(fact, RunStarted | RunResumed):
            return False
        if isinstance(fact, RunAllowed):
            return True
    return False


def _of(record: store.Record, known: Signers | None, fact: RunAllowed, what: str) -> Iterator[Claim]:
    """The claims of one event: its operator, and those who approved."""
    evidence = dict(fact.evidence)
    paths = [str(each.get("path", "")) for each in fact.files]
    yield _operator(record, known, evidence, what, paths)
    for approval in evidence.get("approvals") or ():
        yield _approval(record, known, evidence, approval)


def _operator(
    record: store.Record, known: Signers | None, evidence: Mapping[str, Any], what: str, paths: list[str]
) -> Claim:
    person = Identity(**evidence["operator"])
    path = next((path for path in paths if path.startswith(f"{_FOLDER}/operator-") and path.endswith(".json")), "")
    if not person.principal and not path:
        return Claim(what, person.user)
    claim = Claim(what, person.principal, file=path.replace(".json", ".sig"))
    try:
        data, signature = signed_file(record.folder / path)
        told = json.loads(data)
        bound = {
            "kind": "operator",
            "plan": evidence["plan"],
            "run": record.id,
            "by": person.user,
            **{name: evidence[name] for name in ("emergency", "labels") if evidence.get(name)},
        }
        if data != canonical({**bound, "signed": told["signed"]}):
            return replace(claim, flaw="the statement is about something else")
        return _signed(claim, known, _Statement(sign.OPERATOR, data, signature, told["signed"]), person)
    except (*MALFORMED, InputError) as error:
        return replace(claim, flaw=f"its signature cannot be read: {error or type(error).__name__}")


def _approval(
    record: store.Record, known: Signers | None, evidence: Mapping[str, Any], told: Mapping[str, Any]
) -> Claim:
    person = Identity(str(told.get("user")), str(told.get("principal")), str(told.get("key")))
    path = f"{_FOLDER}/{told.get('id')}.json"
    claim = Claim(
        "approved by", person.principal, file=path.replace(".json", ".sig"), spent=str(evidence.get("spent", ""))
    )
    try:
        data, signature = signed_file(record.folder / path)
        approval = from_json(Approval, data)
        same = (approval.id, approval.plan, approval.decision) == (told.get("id"), evidence["plan"], "approve")
        if not same or approval.statement() != data or dict(approval.labels) != (evidence.get("labels") or {}):
            return replace(claim, flaw="the approval is of something else")
        return _signed(claim, known, _Statement(sign.APPROVAL, data, signature, approval.signed), person)
    except (*MALFORMED, InputError) as error:
        return replace(claim, flaw=f"its signature cannot be read: {error or type(error).__name__}")


class _Statement(NamedTuple):
    """A signed statement: its namespace, what was signed, the signature, and when (ISO 8601)."""

    namespace: str
    data: bytes
    signature: str
    signed: str


def _signed(claim: Claim, known: Signers | None, told: _Statement, person: Identity) -> Claim:
    if known is None:
        return replace(claim, file="")
    try:
        at = datetime.fromisoformat(told.signed)
        who = sign.signer(known.text, told.namespace, told.data, told.signature, at)
    except (sign.BadSignature, sign.Unsigned) as error:
        return replace(claim, flaw=str(error))
    if (who.principal, who.key) != (person.principal, person.key):
        return replace(claim, flaw=f"it was signed by {who.principal} ({who.key})")
    return replace(claim, key=who.key)
