"""The approvals of a run: whether there are enough that count, asking for them, and using them up."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsbook import files
from opsbook.core.model.approval import Approval, Identity, Signed, Wanted, judge
from opsbook.core.model.environment import Policy
from opsbook.core.model.event import Event
from opsbook.core.model.events import RunResumed, RunStarted, read
from opsbook.core.model.plan import Plan
from opsbook.core.model.planned import Planned
from opsbook.core.model.text import number_of
from opsbook.core.planning import drafts
from opsbook.core.planning.context import operator
from opsbook.core.record import journal, store
from opsbook.core.trust import requests, sign
from opsbook.core.trust.sign import Signers
from opsbook.errors import NotYet, Refused
from opsbook.settings import Settings


@dataclass(frozen=True)
class RunStart:
    """A run about to begin, to resume or to be rolled back. `events` are those of its earlier processes, and `outcome`
    how they ended.
    """

    settings: Settings
    planned: Planned
    run: str
    emergency: str = ""
    events: Sequence[Event] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    outcome: str = ""

    @property
    def plan(self) -> Plan:
        return self.planned.plan

    @property
    def policy(self) -> Policy:
        """What guards the environment."""
        return self.planned.environment.policy


_LONGEST_WAIT = timedelta(days=14)
"""How long a run can have waited for its approval before it began."""


def spend(start: RunStart, counted: Iterable[Signed]) -> None:
    """Mark the approvals as spent. Raises Refused if another run has spent one of them since they were counted."""
    taken: list[Signed] = []
    for each in counted:
        if requests.spend(_folder(start), each.approval, start.run):
            taken.append(each)
        else:
            for other in taken:
                requests.give_back(_folder(start), other.approval)
            raise Refused(f"Another run began with the approval of {each.approver.principal} just now.", "Ask again.")


def spent_elsewhere(start: RunStart, record: store.Record) -> str:
    """The run that has used an approval in this record; empty if it is the record's own. Raises InputError."""
    for path in sorted(record.folder.glob("approvals/*.json")):
        if not path.name.startswith("operator-"):
            if (approval := files.stored(Approval, path)) is None:
                raise record.damaged(f"approvals/{path.name}")
            used = requests.spent(_folder(start), approval) or _used(start, approval.id, approval.signed)
            if used not in ("", start.run):
                return used
    return ""


def approved(start: RunStart, me: Identity, known: Signers | None) -> list[tuple[Signed, str]]:
    """The approvals that count, each with its signature. Raises Refused, or NotYet while there are too few."""
    policy = start.policy
    if not policy.approvals or known is None:
        return []
    found = list(_signed(start, known))
    begun = (fact for fact in map(read, start.events) if isinstance(fact, RunStarted | RunResumed))
    working = [me, *(Identity(fact.operator) for fact in begun)]
    now = datetime.now(UTC)
    wanted = Wanted(start.plan.digest, start.run, start.labels, requests.identity(start.settings.state))
    judged = judge([each for each, _ in found], wanted, policy, working, now)
    if judged.rejected:
        raise Refused(f"{start.plan.id}: {judged.rejected}.", "Ask whoever rejected it.")
    if len(judged.counted) < policy.approvals:
        told = "" if _asked(start) else ask(start, start.run)
        hint = f"Somebody else approves it: opsbook approve {start.plan.id}. "
        hint += f"Then: opsbook run --plan {start.plan.id}" + (f"\n{told}" if told else "")
        said = f"{start.plan.id} needs {number_of(policy.approvals, 'approval')}, and has {len(judged.counted)}."
        raise NotYet("\n".join([said, *judged.complaints]), hint)
    chosen = judged.counted[: policy.approvals]
    return [(each, signature) for each, signature in found if each in chosen]


def _asked(start: RunStart) -> bool:
    """Whether approvers already see the request, for this run or for another that still waits."""
    run = requests.asking(_folder(start))
    seen = any(each.plan.id == start.plan.id for each in requests.waiting(start.settings.state))
    record = store.exact(start.settings.records, run) if run and run != start.run else None
    return seen and (run in ("", start.run) or (record is not None and record.state == "running"))


def ask(start: RunStart, run: str = "") -> str:
    """Put the request for an approval where approvers find it, and tell them; what became of the message."""
    state = requests.identity(start.settings.state)
    asked = requests.ApprovalAsked(operator(), journal.now(), run, dict(start.labels), state)
    drafts.keep(start.settings, start.planned)
    requests.file(start.settings.state, start.plan, asked)
    # Few runs need it, and few environments have channels: who asks nobody does not wait for its imports.
    if not start.policy.channels:
        return ""
    from opsbook.core.trust import telling

    return telling.approvers(start.settings, start.planned.environment, start.plan, start.labels)


def _signed(start: RunStart, known: Signers) -> Iterator[tuple[Signed, str]]:
    """Every decision on the plan, with what its signature proves."""
    folder = _folder(start)
    for approval, signature in requests.approvals(folder):
        used = requests.spent(folder, approval) or _used(start, approval.id, approval.signed)
        try:
            at = datetime.fromisoformat(approval.signed)
            who = sign.signer(known.text, sign.APPROVAL, approval.statement(), signature, at)
            # A revoked key cannot be used by backdating the signature.
            sign.signer(known.text, sign.APPROVAL, approval.statement(), signature, datetime.now(UTC))
            yield Signed(approval, Identity(approval.by, who.principal, who.key), spent=used), signature
        except (sign.BadSignature, sign.Unsigned) as error:
            yield Signed(approval, Identity(approval.by), problem=str(error)), signature


def _used(start: RunStart, approval: str, signed: str) -> str:
    """The run whose record names this approval: the marker beside the plan may be gone."""
    # A run's id has the day on which it began to wait.
    first = f"{datetime.fromisoformat(signed).astimezone(UTC) - _LONGEST_WAIT:%Y%m%d}"
    others = (each for each in store.recent(start.settings.records, since=first) if each.id != start.run)
    return next((each.id for each in others if approval in (each.glance().get("approvals") or ())), "")


def _folder(start: RunStart) -> Path:
    return start.settings.state / requests.FOLDER / start.plan.id
