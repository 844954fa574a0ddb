"""Plans that wait for a signature, below the state folder: the plan, who asked, and the signed decisions.

The first run that begins with an approval spends it. A marker names that run, and lasts as long as the approval.
"""

import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.model.approval import Approval
from opsbook.core.model.plan import Plan
from opsbook.core.model.text import nearest
from opsbook.errors import InputError, Refused
from opsbook.shapes import from_json

FOLDER = "plans"

_OPEN_FOR = timedelta(days=14)
"""How long an unanswered request is shown."""

_NAME = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class ApprovalAsked:
    """Who requested the approval of a plan, when (UTC, ISO 8601), the run that waits for it, if any, and its labels."""

    by: str
    time: str
    run: str = ""
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ApprovalRequest:
    """A plan whose approval is requested."""

    folder: Path
    plan: Plan
    asked: ApprovalAsked

    def to_json(self) -> dict[str, Any]:
        return {
            **self.plan.to_json(),
            "asked_by": self.asked.by,
            "asked": self.asked.time,
            "run": self.asked.run,
            "labels": self.asked.labels,
        }


def file(state: Path, plan: Plan, asked: ApprovalAsked) -> None:
    """Put a request where approvers find it; it replaces an earlier request for the same plan."""
    folder = state / FOLDER / plan.id
    with _shared(folder):
        for name, content in (("asked", asdict(asked)), ("plan", plan.to_json())):
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            files.write_atomic(folder / f"{name}.json", text.encode())


def find(state: Path, wanted: str) -> ApprovalRequest:
    """The request of a plan, by its id or the beginning of it. Raises InputError."""
    there = sorted(path.parent.name for path in (state / FOLDER).glob("*/plan.json"))
    found = [name for name in there if name == wanted] or [name for name in there if name.startswith(wanted)]
    if len(found) == 1:
        return _read(state / FOLDER / found[0])
    if found:
        raise InputError(f"{wanted} may be {', '.join(found)}.", "Write more of it.")
    raise InputError(f"There is no plan {wanted} that waits.", nearest(wanted, there) or "opsbook status lists them.")


def _read(folder: Path) -> ApprovalRequest:
    try:
        parts = [(folder / f"{name}.json").read_bytes() for name in ("plan", "asked")]
        plan, asked = from_json(Plan, parts[0]), from_json(ApprovalAsked, parts[1])
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{folder} is damaged.", "Remove it, and ask anew: opsbook plan --request.") from error
    if plan.id != folder.name:
        raise InputError(f"{folder} holds another plan, {plan.id}.", "Remove it, and ask anew: opsbook plan --request.")
    return ApprovalRequest(folder, plan, asked)


def asking(folder: Path) -> str | None:
    """The run that waits for this plan; empty if it was requested without a run, None if it was not requested."""
    try:
        asked = from_json(ApprovalAsked, (folder / "asked.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return asked.run if (folder / "plan.json").exists() else None


def waiting(state: Path) -> Iterator[ApprovalRequest]:
    """Requests of the last two weeks that were neither used by a run nor rejected; newest first."""
    since = (datetime.now(UTC) - _OPEN_FOR).isoformat()
    found = []
    for path in (state / FOLDER).glob("*/plan.json"):
        try:
            found.append(_read(path.parent))
        except InputError:
            continue
    for request in sorted(found, key=lambda each: each.asked.time, reverse=True):
        if request.asked.time > since and not _begun(request) and not _rejected(request):
            yield request


def _begun(request: ApprovalRequest) -> bool:
    """Whether a run began with the plan since the request; earlier runs of the same plan do not count."""
    try:
        asked = datetime.fromisoformat(request.asked.time).timestamp()
        return any(marker.stat().st_mtime > asked for marker in request.folder.glob("spent-*"))
    except (OSError, ValueError, OverflowError):
        return False


def _rejected(request: ApprovalRequest) -> bool:
    later = [a for a, _ in approvals(request.folder) if a.decision == "reject" and a.signed > request.asked.time]
    return bool(later)


def approvals(folder: Path) -> Iterator[tuple[Approval, str]]:
    """Every signed decision on a plan, with its signature, oldest first. Unreadable files are skipped."""
    found = []
    for path in folder.glob("approval-*.json"):
        try:
            approval = from_json(Approval, path.read_bytes())
            signature = path.with_suffix(".sig").read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError, RecursionError):
            continue
        if path.stem == f"approval-{approval.id}" and _NAME.fullmatch(approval.id):
            found.append((approval, signature))
    yield from sorted(found, key=lambda pair: (pair[0].signed, pair[0].id))


def keep(folder: Path, approval: Approval, signature: str) -> None:
    """Put a decision beside the plan: the signature first, since the decision counts once its own file exists."""
    with _shared(folder):
        files.write_atomic(folder / f"approval-{approval.id}.sig", signature.encode())
        files.write_atomic(folder / f"approval-{approval.id}.json", approval.statement())


def new_id() -> str:
    return secrets.token_hex(8)


def spent(folder: Path, approval: Approval) -> str:
    """The run that spent this approval; empty if none did."""
    try:
        return (folder / f"spent-{approval.id}").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        return "an unknown run"


def spend(folder: Path, approval: Approval, run: str) -> bool:
    """Mark an approval as spent by this run. False if another run has spent it. Raises Refused."""
    path = folder / f"spent-{approval.id}"
    whole = folder / f".spent-{approval.id}-{secrets.token_hex(4)}"
    with _shared(folder):
        files.write_atomic(whole, run.encode())
        try:
            # A hard link is atomic: the marker never exists without its text.
            os.link(whole, path)
        except FileExistsError:
            return spent(folder, approval) == run
        finally:
            whole.unlink()
        files.sync_folder(folder)
    return True


def give_back(folder: Path, approval: Approval) -> None:
    """Remove the marker of an approval whose run did not begin. Raises Refused."""
    with _shared(folder):
        (folder / f"spent-{approval.id}").unlink(missing_ok=True)


@contextmanager
def _shared(folder: Path) -> Iterator[None]:
    """Raises Refused if this user may not write in another user's folder."""
    try:
        yield
    except OSError as error:
        hint = "People who approve for each other share the state folder, with its group."
        raise Refused(f"{folder} cannot be written: {error.strerror}.", hint) from error
