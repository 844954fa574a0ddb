"""Plans that wait for a signature, below the state folder: the plan, who asked, and the signed decisions.

The first run that begins with an approval spends it. A marker beside the plan names that run, and another one in the
home of its user, which all his clones on this host share, also those with a copy of the state folder.
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.model.approval import HERE, SHARED, Approval
from opsbook.core.model.plan import Plan
from opsbook.core.model.text import nearest
from opsbook.errors import InputError, Refused
from opsbook.shapes import from_json

FOLDER = "plans"
_ID = "id"
_MACHINE = Path("/etc/machine-id")

_OPEN_FOR = timedelta(days=14)
"""How long an unanswered request is shown."""

_NAME = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class ApprovalAsked:
    """Who requested the approval of a plan, when (UTC, ISO 8601), the run that waits for it, if any, and its labels.

    `state` is the identity of the state folder in which it was requested.
    """

    by: str
    time: str
    run: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    state: str = ""


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
            "state": self.asked.state,
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
        parts = [files.read(folder / f"{name}.json") for name in ("plan", "asked")]
        plan, asked = from_json(Plan, parts[0]), from_json(ApprovalAsked, parts[1])
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{folder} is damaged.", "Remove it, and ask anew: opsbook plan --request.") from error
    if plan.id != folder.name:
        raise InputError(f"{folder} holds another plan, {plan.id}.", "Remove it, and ask anew: opsbook plan --request.")
    return ApprovalRequest(folder, plan, asked)


def asking(folder: Path) -> str | None:
    """The run that waits for this plan; empty if it was requested without a run, None if it was not requested."""
    asked = files.stored(ApprovalAsked, folder / "asked.json")
    return asked.run if asked and (folder / "plan.json").exists() else None


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
        if request.asked.time > since and not _begun(request):
            later = (each for each, _ in approvals(request.folder) if each.signed > request.asked.time)
            if not any(each.decision == "reject" for each in later):
                yield request


def _begun(request: ApprovalRequest) -> bool:
    """Whether a run began with the plan since the request; earlier runs of the same plan do not count."""
    try:
        asked = datetime.fromisoformat(request.asked.time).timestamp()
        return any(marker.stat().st_mtime > asked for marker in request.folder.glob("spent-*"))
    except (OSError, ValueError, OverflowError):
        return False


def approvals(folder: Path) -> Iterator[tuple[Approval, str]]:
    """Every signed decision on a plan, with its signature, oldest first. Unreadable files are skipped."""
    found = []
    for path in folder.glob("approval-*.json"):
        try:
            approval = from_json(Approval, files.read(path))
            signature = files.read(path.with_suffix(".sig")).decode(errors="replace")
        except (OSError, ValueError, RecursionError):
            continue
        if path.stem == f"approval-{approval.id}" and _NAME.fullmatch(approval.id):
            found.append((approval, signature))
    # Of two in the same moment the rejection is the later one.
    yield from sorted(found, key=lambda pair: (pair[0].signed, pair[0].decision, pair[0].id))


def keep(folder: Path, approval: Approval, signature: str) -> None:
    """Put a decision beside the plan: the signature first, since the decision counts once its own file exists."""
    with _shared(folder):
        files.write_atomic(folder / f"approval-{approval.id}.sig", signature.encode())
        files.write_atomic(folder / f"approval-{approval.id}.json", approval.statement())


def new_id() -> str:
    return secrets.token_hex(8)


def identity(state: Path) -> str:
    """Which state folder this is: a copy of it, in another place or on another machine, is another one. Raises Refused.

    Made of a random number in it, its path, and the machine's number, where there is one.
    """
    path = state / _ID
    with _shared(state):
        state.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(path):
            with suppress(FileExistsError), files.replacing(path, anew=True) as out:
                out.write(new_id().encode())
        parts = (
            files.read(path),
            bytes(state.resolve()),
            files.read(_MACHINE, within=files.ANYWHERE) if _MACHINE.is_file() else b"",
        )
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def reach(state: Path, root: Path) -> str:
    """Who knows that an approval is spent: SHARED or HERE, by where the state folder of this project is."""
    return HERE if state.is_relative_to(root) else SHARED


def spent(folder: Path, approval: Approval) -> str:
    """The run that spent this approval; empty if none did."""
    return next(filter(None, map(_marked, _markers(folder, approval))), "")


def _markers(folder: Path, approval: Approval) -> tuple[Path, Path]:
    """The marker that counts for all who share the state folder, and that of the user."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return folder / f"spent-{approval.id}", Path(home).expanduser() / "opsbook" / "spent" / approval.id


def _marked(path: Path) -> str:
    try:
        return files.read_text(path).strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError):
        return "an unknown run"


def spend(folder: Path, approval: Approval, run: str) -> bool:
    """Mark an approval as spent by this run. False if another run has spent it. Raises Refused."""
    shared, own = _markers(folder, approval)
    # A home that cannot be written is no reason to refuse a run: the state folder has the marker that counts.
    with suppress(OSError, RuntimeError):
        if not _mark(own, run):
            return False
    with _shared(folder):
        return _mark(shared, run)


def _mark(path: Path, run: str) -> bool:
    """Make a marker. False if there is one of another run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with files.replacing(path, anew=True) as out:
            out.write(run.encode())
    except FileExistsError:
        return _marked(path) == run
    return True


def give_back(folder: Path, approval: Approval) -> None:
    """Remove the markers of an approval whose run did not begin. Raises Refused."""
    shared, own = _markers(folder, approval)
    with suppress(OSError):
        own.unlink(missing_ok=True)
    with _shared(folder):
        shared.unlink(missing_ok=True)


@contextmanager
def _shared(folder: Path) -> Iterator[None]:
    """Raises Refused if this user may not write in another user's folder."""
    try:
        yield
    except OSError as error:
        hint = "People who approve for each other share the state folder, with its group."
        raise Refused(f"{folder} cannot be written: {error.strerror}.", hint) from error
