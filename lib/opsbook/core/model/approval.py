"""Approvals that people sign, and the rules by which they count. No IO: the caller verifies the signatures.

The signed statement is canonical JSON. Its plan digest covers everything that decides what a run will do.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from opsbook.core.model.effect import canonical
from opsbook.core.model.text import flat, span_seconds
from opsbook.shapes import Check, Shape

if TYPE_CHECKING:
    from opsbook.core.model.environment import Policy

SHARED, HERE = "shared", "here only"
"""Who knows that an approval is spent: every clone with this state folder; only this one, and other clones of the same
user on this host.
"""

_OPTIONAL = ("labels", "state")

_FIRST_YEAR, _LAST_YEAR = 2000, 9000


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"a time needs a zone, and a year from {_FIRST_YEAR} to {_LAST_YEAR}")
    return text


Moment = Annotated[str, Check(_moment)]


class Approval(Shape, strict=True):
    """What an approver signs. `by` is the user of the system, `signed` and `expires` are UTC, ISO 8601.

    `state` is the identity of the state folder in which it counts.
    """

    kind: Literal["approval"] = "approval"
    id: str
    plan: str
    runbook: str
    environment: str
    decision: Literal["approve", "reject"]
    note: str
    by: str
    signed: Moment
    expires: Moment
    labels: dict[str, str] = field(default_factory=dict)
    state: str = ""

    def statement(self) -> bytes:
        """What the signature is made of: every field, but labels and state only if there are any."""
        return canonical({name: value for name, value in asdict(self).items() if value or name not in _OPTIONAL})


@dataclass(frozen=True)
class Identity:
    """A person who works on a run: the system user, and the principal and key of the signature, if there is one."""

    user: str
    principal: str = ""
    key: str = ""

    def is_also(self, other: "Identity") -> bool:
        """Whether both may be the same person: user, principal or key are equal."""
        pairs = ((self.user, other.user), (self.principal, other.principal), (self.key, other.key))
        return any(mine and mine == theirs for mine, theirs in pairs)


@dataclass(frozen=True)
class Claim:
    """What a record says of a person. `key` proves it; without one it is only said. `flaw`: why the proof is none.
    `spent`: who knows that the approval is spent.
    """

    what: str
    who: str
    key: str = ""
    flaw: str = ""
    file: str = ""
    spent: str = ""


@dataclass(frozen=True)
class Signed:
    """An approval with the result of verifying its signature.

    `problem`: why the signature is invalid. `spent`: the run that used the approval.
    """

    approval: Approval
    approver: Identity
    problem: str = ""
    spent: str = ""

    def told(self) -> dict[str, Any]:
        """What the journal keeps of it."""
        said = {**asdict(self.approval), **asdict(self.approver)}
        return {name: value for name, value in said.items() if name != "kind"}


@dataclass(frozen=True)
class Wanted:
    """What an approval has to be for: the digest of a plan, the run, its labels, and the state folder."""

    plan: str
    run: str
    labels: Mapping[str, str]
    state: str


@dataclass(frozen=True)
class Judged:
    """Approvals that count, one for each person; why others do not; the sentence of a rejection."""

    counted: tuple[Signed, ...] = ()
    complaints: tuple[str, ...] = ()
    rejected: str = ""


def judge(
    found: Sequence[Signed], wanted: "Wanted", policy: "Policy", working: Collection[Identity], now: datetime
) -> Judged:
    """Which approvals count for what is wanted. `working` are all who started or resumed it.

    `found` is oldest first; the latest decision of each person counts.
    """
    latest: dict[str, Signed] = {}
    complaints = []
    for each in found:
        if why := next(_reasons(each, wanted, policy, working, now), ""):
            complaints.append(f"The approval of {each.approver.principal or each.approval.by} does not count: {why}.")
        else:
            latest[each.approver.principal] = each
    counted: list[Signed] = []
    for each in latest.values():
        if each.approval.decision == "reject":
            said = f"{each.approver.principal} rejected it: {flat(each.approval.note)}"
            return Judged((), tuple(complaints), said)
        if not any(each.approver.is_also(other.approver) for other in counted):
            counted.append(each)
    return Judged(tuple(counted), tuple(complaints))


def _reasons(
    each: Signed, wanted: "Wanted", policy: "Policy", working: Collection[Identity], now: datetime
) -> Iterator[str]:
    """Why an approval does not count."""
    approval, approver = each.approval, each.approver
    if each.problem:
        yield each.problem
    if approval.plan != wanted.plan:
        yield "it is for another plan"
    if approval.labels != wanted.labels:
        said = ", ".join(f"{name}={value}" for name, value in approval.labels.items())
        yield f"it is for the labels {said}" if said else "it is for a run without labels"
    if approval.decision == "approve" and any(approver.is_also(person) for person in working):
        yield "nobody approves his own run"
    if policy.approvers and approver.principal not in policy.approvers:
        yield f"only {', '.join(policy.approvers)} may approve here"
    signed, expires = (datetime.fromisoformat(time) for time in (approval.signed, approval.expires))
    longest = timedelta(seconds=span_seconds(policy.approval_valid))
    if now > min(expires, signed + longest):
        yield f"it expired on {expires:%Y-%m-%d at %H:%M UTC}"
    if signed > now + timedelta(minutes=5):
        yield f"it was signed in the future, on {signed:%Y-%m-%d at %H:%M UTC}"
    if approval.decision == "approve" and each.spent and each.spent != wanted.run:
        yield f"{each.spent} used it already"
    if approval.state != wanted.state:
        yield "it counts in another state folder, of which this one may be a copy"
