"""An anchor: the digests of seals, as a chain of lines in a place that the records' owner cannot change.

One JSON object a line: number, time, author, the SHA-256 of the line before, the seals that were new then, and the
pruned records. Lines stay valid: a record must contain every seal that was ever anchored for it. Records are those of
runs and of incidents.
"""

import hashlib
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opsbook import files
from opsbook.core.record import journal, logbook, store
from opsbook.core.record.seal import SEALS, Flaw
from opsbook.errors import InputError

GIT = "git:"
"""Prefix of a place that is a branch of a git repository."""

NAME = "anchor.jsonl"

_EVIDENCE = ("effects/", "outputs/")
"""Folders whose files never change, even if the run is resumed."""

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Line(BaseModel):
    """One line, in the order of its keys."""

    model_config = ConfigDict(strict=True, extra="forbid")
    seq: int
    time: str
    by: str
    prev: _Digest
    records: dict[str, _Digest]
    pruned: dict[str, dict[str, str]] = {}


@dataclass(frozen=True)
class Word:
    """A seal that was anchored, and when (UTC)."""

    seal: str
    time: str


@dataclass
class Anchor:
    """The content of an anchor: number of lines, SHA-256 and time of the last, and every seal of each run.

    A pruned run has no seals.
    """

    lines: int = 0
    head: str = journal.START
    until: str | None = None
    words: dict[str, list[Word]] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """How many anchored records were not pruned."""
        return sum(bool(words) for words in self.words.values())

    def take(self, line: Line, digest: str) -> None:
        self.lines, self.head, self.until = line.seq, digest, line.time
        for run, seal in line.records.items():
            self.words.setdefault(run, []).append(Word(seal, line.time))
        for run in line.pruned:
            self.words[run] = []


class Broken(InputError):
    """An anchor with a broken chain. It is never repaired: it is evidence."""

    def __init__(self, place: str, line: int, what: str) -> None:
        hint = "Somebody changed it, or wrote it only in part. Keep a copy; go on with a new place."
        super().__init__(f"The anchor {place} is broken: line {line} {what}.", hint)
        self.line = line
        self.what = what


def read(data: bytes, place: str) -> Anchor:
    """Parse the lines of a place. Raises Broken at the first line that breaks the chain."""
    found = Anchor()
    for number, raw in enumerate(io.BytesIO(data), 1):
        if not raw.endswith(b"\n"):
            raise Broken(place, number, "is not whole")
        try:
            line = Line.model_validate_json(raw)
        except (ValueError, RecursionError) as error:
            raise Broken(place, number, "is no line of an anchor") from error
        if line.seq != number or line.prev != found.head:
            raise Broken(place, number, "does not follow the line before it")
        found.take(line, hashlib.sha256(raw).hexdigest())
    return found


def next_line(found: Anchor, root: Path, by: str) -> Line | None:
    """A line with what is new in the records' folder since the last line; None if nothing is."""
    # The time first: a record pruned while the seals are read must not look pruned before it was anchored.
    time = journal.now()
    seals = unanchored(found, root)
    gone = {run: entry for run, entry in _pruned(root).items() if _explains(entry, found.words.get(run))}
    gone = {run: entry for run, entry in gone.items() if there(root, run) is None}
    if not seals and not gone:
        return None
    kept = {run: {key: entry.get(key, "") for key in ("seal", "time", "by", "rule")} for run, entry in gone.items()}
    return Line(seq=found.lines + 1, time=time, by=by, prev=found.head, records=seals, pruned=kept)


def render(line: Line) -> bytes:
    body = line.model_dump(exclude={"pruned"} if not line.pruned else set())
    return (json.dumps(body, separators=(",", ":")) + "\n").encode()


def there(root: Path, name: str) -> Path | None:
    """The folder of the record of a run or an incident, if it is there."""
    record = store.exact(root, name)
    return record.folder if record else None


def _digest(path: Path) -> str | None:
    """The file's SHA-256; None if it is gone: the run was just resumed, or its record pruned."""
    try:
        return files.sha256(path) if files.is_plain(path) else None
    except OSError:
        return None


def _pruned(root: Path) -> dict[str, dict[str, str]]:
    """The last entry of each run in the log of pruned records. Raises InputError if it cannot be read."""
    return {entry["run"]: entry for entry in logbook.entries(root / logbook.PRUNED)}


def _explains(entry: Mapping[str, str] | None, words: list[Word] | None) -> bool:
    """Whether the record was pruned after it was anchored. An older entry is of a record that was imported again."""
    if entry is None or not words:
        return False
    return entry.get("time", "") >= words[-1].time


# -- comparing


def flaws(found: Anchor, root: Path, run: str | None = None) -> dict[str, list[Flaw]]:
    """Mismatches between the records (or one run) and the anchor, by run."""
    words = found.words if run is None else {run: found.words.get(run, [])}
    pruned = _pruned(root)
    wrong = {name: _flaws(root, name, said, pruned.get(name)) for name, said in words.items() if said}
    return {name: each for name, each in wrong.items() if each}


def _flaws(root: Path, run: str, words: list[Word], pruned: Mapping[str, str] | None) -> list[Flaw]:
    folder = there(root, run)
    if folder is None:
        gone = [] if _explains(pruned, words) else [f"the record was removed after it was anchored on {words[-1].time}"]
        return [Flaw("", message) for message in gone]
    current, earlier = _known(folder)
    wrong: list[Flaw] = []
    for word in words:
        if word.seal in earlier:
            wrong += _evidence(folder, earlier[word.seal], word)
        elif word.seal != current:
            wrong.append(Flaw(store.SEAL, f"was sealed anew after it was anchored on {word.time}"))
    return list(dict.fromkeys(wrong))


def _known(folder: Path) -> tuple[str | None, dict[str, Path]]:
    """Digest of the current seal, and the earlier seals' files by digest."""
    # In this order: a run resumed just now moves its current seal to the earlier ones.
    current = _digest(folder / store.SEAL)
    return current, {digest: path for path in sorted((folder / SEALS).glob("*.json")) if (digest := _digest(path))}


def _evidence(folder: Path, seal: Path, word: Word) -> Iterator[Flaw]:
    """Flaws of evidence files that an anchored seal names. A resumed run adds files, and never changes one."""
    try:
        told: dict[str, str] = json.loads(files.read(seal))["files"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        told = {}
    for name, digest in told.items():
        # A name that is not UTF-8 is escaped in the seal, so it is skipped here; the current seal verifies that file.
        if name.startswith(_EVIDENCE) and "\\x" not in name and _digest(folder / name) != digest:
            yield Flaw(name, f"was changed after it was anchored on {word.time}")


def unanchored(found: Anchor, root: Path) -> dict[str, str]:
    """The digests of seals that are not anchored yet, by run."""
    known = {run: words[-1].seal for run, words in found.words.items() if words}
    every = itertools.chain(store.records(root), store.incidents(root))
    seals = ((each.id, _digest(each.folder / store.SEAL)) for each in every if each.state == "sealed")
    return {run: digest for run, digest in seals if digest and known.get(run) != digest}


Make = Callable[[bytes | None], bytes | None]
"""Returns the line to append to this content (None: the place is new); None to append nothing."""


class Unreachable(InputError):
    """A place that cannot be read or written now."""


def shown(text: str) -> str:
    """A place, or git's message about it, without the password that a URL may contain."""
    return re.sub(r"://[^/@\s]+@", "://…@", text)
