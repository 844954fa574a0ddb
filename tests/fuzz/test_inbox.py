"""Whatever somebody puts into the inbox of a run: requests are taken once, all else is refused, and it looks on."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbook.core.engine import inbox
from opsbook.core.model.redact import Redactor
from opsbook.core.record import journal
from opsbook.errors import NoRoom
from tests.fuzz.mutations import FUZZ, is_sentence

PATIENCE = 120.0
"""Seconds after which a watcher that has not seen the last file never will."""

LAST = "~~~~.json"
"""Sorts behind every other name here: when it is taken, everything before it was looked at."""

ODD: st.SearchStrategy[Any] = st.sampled_from(
    (None, 5, "", "x", [], {}, True, 10**400, 1.5, "\ud800", "cancel", "answer", ["answer"])
)
REQUESTS = st.fixed_dictionaries(
    {"kind": st.sampled_from(("cancel", "answer", "note", "answer", "reboot")) | ODD, "by": st.just("ann@host") | ODD},
    optional={"name": st.just("go") | ODD, "value": st.just("yes") | ODD, "note": ODD, "asked": st.just(3) | ODD},
)
DEEP = 100_000
BODIES = (
    REQUESTS.map(lambda request: json.dumps(request).encode())
    | st.binary(max_size=20)
    | st.sampled_from(
        (
            b"",
            b"null",
            b"[]",
            b"\xff\xfe{\0}\0",
            b"\xef\xbb\xbf" + json.dumps({"kind": "cancel", "by": "x"}).encode(),
            b'{"kind":"cancel","by":"x"',
            b'{"kind":"cancel","by":"x","by":5}',
            json.dumps({"kind": "cancel", "by": "x" * (inbox.LIMIT - 26)}).encode(),
            json.dumps({"kind": "cancel", "by": "x" * inbox.LIMIT}).encode(),
        )
    )
)
NAMES = st.binary(min_size=1, max_size=12).filter(lambda name: not {0, 47} & set(name)) | st.sampled_from(
    (b"-rf", b".hidden", b"a\nb", b"\xff", b"\xe2\x80\xa8", b"x" * 240, b" ", b"*", b"..")
)
KINDS = (
    "file",
    "file",
    "file",
    "file",
    "file",
    "fifo",
    "folder",
    "link",
    "nowhere",
    "zero",
    "itself",
    "socket",
)

Made = tuple[bytes, str, bytes]
"""A name without its ending, what it is, and what is in it."""


@dataclass
class Seen:
    """What the watcher handed on."""

    taken: list[dict[str, Any]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def usable(body: bytes) -> bool:
    """Whether this is a request, by its description."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if len(body) > inbox.LIMIT or not isinstance(request, dict):
        return False
    texts = ["by", *(["name", "value"] if request.get("kind") == "answer" else [])]
    known = request.get("kind") in ("cancel", "answer", "note")
    return known and all(isinstance(request.get(key), str) for key in texts) and type(request.get("asked", 0)) is int


def put(path: Path, kind: str, body: bytes) -> None:
    """Make it: a file, or something that only looks like one."""
    outside = path.parent.parent / "target"
    match kind:
        case "file":
            path.write_bytes(body)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            (path / "inner.json").mkdir(parents=True)
        case "socket":
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as made:
                made.bind(str(path))
        case "link":
            outside.write_bytes(body)
            path.symlink_to(outside)
        case _:
            path.symlink_to({"nowhere": "/nowhere", "zero": "/dev/zero", "itself": path.name}[kind])


async def watched(folder: Path, take: Callable[[dict[str, Any]], None], refuse: Callable[[str, str], None]) -> None:
    """Watch until the last request was taken, and two looks more."""
    over = asyncio.Event()

    def takes(request: dict[str, Any]) -> None:
        if request.get("last"):
            over.set()
        else:
            take(request)

    watching = asyncio.create_task(inbox.watch(folder, takes, refuse))
    put(folder / LAST, "file", json.dumps({"kind": "note", "by": "test", "last": True}).encode())
    waiting = asyncio.create_task(over.wait())
    await asyncio.wait({watching, waiting}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    assert over.is_set(), watching
    await asyncio.sleep(3 * inbox.EVERY)
    assert not watching.done(), watching
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


@pytest.fixture
def inboxes(folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Records with an inbox, whose watcher looks often."""
    monkeypatch.setattr(inbox, "EVERY", 0.001)
    return (_with_inbox(folder) for folder in folders)


def _with_inbox(run: Path) -> Path:
    (run / "inbox").mkdir()
    return run


@pytest.mark.slow
@FUZZ
@given(st.dictionaries(NAMES, st.tuples(st.sampled_from(KINDS), BODIES), max_size=6))
def test_anything_in_the_inbox(
    inboxes: Iterator[Path], loop: asyncio.Runner, made: dict[bytes, tuple[str, bytes]]
) -> None:
    run = next(inboxes)
    for name, (kind, body) in made.items():
        put(run / "inbox" / os.fsdecode(name + b".json"), kind, body)
    book, seen = journal.Journal(run, Redactor()), Seen()

    def refuse(name: str, why: str) -> None:
        assert name not in seen.refused
        seen.refused[name] = why
        book.put("request-refused", {"file": name, "why": why})

    def take(request: dict[str, Any]) -> None:
        seen.taken.append(request)
        book.put("request-taken", {**request})

    loop.run(watched(run / "inbox", take, refuse))
    book.close()
    assert_each_once(run, made, seen)
    assert len(journal.read(run / journal.NAME)) == len(seen.taken) + len(seen.refused)


def assert_each_once(run: Path, made: dict[bytes, tuple[str, bytes]], seen: Seen) -> None:
    """Good requests were taken in the order of their names and are gone; the rest was refused, and stays."""
    names = {os.fsdecode(name + b".json"): told for name, told in made.items()}
    there = {path.name for path in (run / "inbox").iterdir()}
    good = [name for name, (kind, body) in sorted(names.items()) if kind == "file" and usable(body)]
    assert [json.dumps(one) for one in seen.taken] == [json.dumps(json.loads(names[name][1])) for name in good]
    assert not there & set(good)
    assert set(seen.refused) == there
    assert all(map(is_sentence, seen.refused.values()))


@FUZZ
@given(st.lists(st.sampled_from((ValueError, OSError, NoRoom, RecursionError))))
def test_a_request_that_cannot_be_done(
    inboxes: Iterator[Path], loop: asyncio.Runner, errors: list[type[Exception]]
) -> None:
    """One that fails in the hands of the run, or that the journal has no room for, is not the end of the inbox."""
    run = next(inboxes)
    for number in range(len(errors)):
        put(run / f"inbox/{number:03}.json", "file", b'{"kind":"cancel","by":"ann"}')
    left = iter(errors)
    refused: list[str] = []

    def take(_: dict[str, Any]) -> None:
        raise next(left)("It cannot be done.")

    def refuse(name: str, _: str) -> None:
        refused.append(name)
        if errors[len(refused) - 1] is NoRoom:
            raise NoRoom("There is no room for this either.")

    loop.run(watched(run / "inbox", take, refuse))
    assert refused == [f"{number:03}.json" for number in range(len(errors))]


def test_an_inbox_that_goes_away(inboxes: Iterator[Path], loop: asyncio.Runner) -> None:
    """Somebody removes the folder and makes it anew."""
    folder = next(inboxes)
    (folder / "inbox").rmdir()

    async def gone() -> None:
        watching = asyncio.create_task(inbox.watch(folder / "inbox", print, print))
        await asyncio.sleep(5 * inbox.EVERY)
        assert not watching.done(), watching
        (folder / "inbox").mkdir()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await watched(folder / "inbox", print, print)

    loop.run(gone())
