"""What proves what a record says of people: who ran, resumed, rolled back, approved and reviewed it.

A signature proves it, if it is of this statement, for this run and this plan, by a key of the committed signers.
Without one it is only said: the events of a journal are words of whoever could write it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

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
            later = (each for each in facts[number + 1 :] if isinstance(each, RunStarted | RunResumed | RunAllowed))
            # If this process was allowed to begin, that event says who it was, and proves it.
            if not isinstance(next(later, None), RunAllowed):
                found.append(Claim(what, fact.operator))
            said = what
        elif isinstance(fact, RunAllowed):
            found += _of(record, known, fact, said)
    return found


_GOALS = {"resume": "resumed", "rollback": "rolled back"}


def _of(record: store.Record, known: Signers | None, fact: RunAllowed, what: str) -> Iterator[Claim]:
    """The claims of one event: its operator, and those who approved."""
    evidence = dict(fact.evidence)
    paths = [str(each.get("path", "")) for each in fact.files]
    yield _operator(record, known, evidence, what, paths)
    for approval in evidence.get("approvals") or ():
        yield _approval(record, known, evidence, approval)


_When = Callable[[bytes], str]
"""When a statement was signed (ISO 8601). Raises BadSignature for one about something else."""


def _operator(
    record: store.Record, known: Signers | None, evidence: Mapping[str, Any], what: str, paths: list[str]
) -> Claim:
    person = Identity(**evidence["operator"])
    path = next((path for path in paths if path.startswith(f"{_FOLDER}/operator-") and path.endswith(".json")), "")
    if not person.principal and not path:
        return Claim(what, person.user)

    def signed(data: bytes) -> str:
        when = json.loads(data)["signed"]
        bound = {"kind": "operator", "plan": evidence["plan"], "run": record.id, "by": person.user, "signed": when}
        if data != canonical(bound | {name: evidence[name] for name in ("emergency", "labels") if evidence.get(name)}):
            raise sign.BadSignature("the statement is about something else")
        return str(when)

    claim = Claim(what, person.principal, file=path.replace(".json", ".sig"))
    return _proven(claim, known, record, person, sign.OPERATOR, signed)


def _approval(
    record: store.Record, known: Signers | None, evidence: Mapping[str, Any], told: Mapping[str, Any]
) -> Claim:
    person = Identity(str(told.get("user")), str(told.get("principal")), str(told.get("key")))

    def signed(data: bytes) -> str:
        approval = from_json(Approval, data)
        same = (approval.id, approval.plan, approval.decision) == (told.get("id"), evidence["plan"], "approve")
        if not same or approval.statement() != data or dict(approval.labels) != (evidence.get("labels") or {}):
            raise sign.BadSignature("the approval is of something else")
        return approval.signed

    spent = str(evidence.get("spent", ""))
    claim = Claim("approved by", person.principal, file=f"{_FOLDER}/{told.get('id')}.sig", spent=spent)
    return _proven(claim, known, record, person, sign.APPROVAL, signed)


def _proven(
    claim: Claim, known: Signers | None, record: store.Record, person: Identity, namespace: str, signed: _When
) -> Claim:
    """The claim with the key that signed it, or with why nothing proves it. The signature is beside what it signs."""
    try:
        data, signature = signed_file((record.folder / claim.file).with_suffix(".json"))
        when = signed(data)
        if known is None:
            return replace(claim, file="")
        who = sign.signer(known.text, namespace, data, signature, datetime.fromisoformat(when))
    except (sign.BadSignature, sign.Unsigned) as error:
        return replace(claim, flaw=str(error))
    except (*MALFORMED, InputError) as error:
        return replace(claim, flaw=f"its signature cannot be read: {error or type(error).__name__}")
    same = replace(who, user=person.user) == person
    return replace(claim, key=who.key) if same else replace(claim, flaw=f"it was signed by {who.principal} ({who.key})")
