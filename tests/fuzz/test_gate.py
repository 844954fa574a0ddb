"""A kernel that sends anything at all: the gate answers or refuses, and what may happen was allowed and written."""

import asyncio
import itertools
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbook.core.engine import transport
from opsbook.core.model.effect import Mode
from opsbook.core.model.past import Past
from opsbook.core.model.runbook import Role
from opsbook.core.record import journal, summary
from tests.fuzz.gates import FENCE, SECRET, Action, Enter, Mark, Outcome, Send, Wait, play
from tests.fuzz.mutations import FUZZ

EVENTS = frozenset(
    {
        *(
            "run-started",
            "run-resumed",
            "effect-intent",
            "effect-result",
            "effect-refused",
            "effect-recorded",
            "effect-progress",
        ),
        *("question-asked", "question-answered"),
    }
)
OURS = range(FENCE, FENCE + 1000)
NUMBERS = st.integers(0, 3)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    (
        *(
            None,
            True,
            False,
            -1,
            0,
            3,
            10**400,
            1.5,
            float("nan"),
            "",
            "x",
            "1",
            "yes",
            "\ud800",
            "\0",
            "../../x",
            "a/b",
        ),
        *(
            SECRET,
            f"x{SECRET}y",
            [SECRET],
            {SECRET: 1},
            "x" * 70_000,
            ["\udcff" * 70_000],
            [],
            {},
            [[]],
            {"a": {"b": [None]}},
        ),
        *(
            [["a", 1]],
            [[[], 1]],
            [[1, "a"], ["b", 2]],
            {"changed": False},
            {"changed": "\ud800"},
            {"name": "x.txt"},
            ["a", 5],
        ),
    )
) | st.text(max_size=4)
KINDS = ("command", "playbook", "http", "secret", "note", "ask", "confirm", "value", "attach", "wait_until", "../x", "")
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(("token", "ahead", "nobody")) | ODD,
        "question": st.just("Shall we?") | ODD,
        "choices": st.just(["yes", "no"]) | ODD,
        "text": ODD,
        "argv": ODD,
    },
)


def frame(op: str, fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """A message with these fields; now and then one is missing, or is something else."""
    whole = st.fixed_dictionaries({"id": NUMBERS, "op": st.just(op), **fields})
    return (
        whole | st.tuples(whole, st.sampled_from(("id", *fields, "op", "key")), ODD).map(_replaced) | whole.map(_halved)
    )


def _replaced(parts: tuple[dict[str, Any], str, Any]) -> dict[str, Any]:
    whole, name, value = parts
    return whole | {name: value}


def _halved(whole: dict[str, Any]) -> dict[str, Any]:
    return dict(itertools.islice(whole.items(), 2 + len(whole) // 3))


BEGIN = frame(
    "begin",
    {
        "kind": st.sampled_from(KINDS),
        "summary": st.just("do it") | ODD,
        "changes": st.booleans(),
        "request": REQUESTS,
        "idempotent": st.booleans(),
        "key": st.none() | st.sampled_from(("a", "b", "1")),
    },
)
END = frame(
    "end",
    {
        "status": st.sampled_from(("succeeded", "failed", "interrupted", "simulated")),
        "result": ODD | st.just({"name": "evidence.txt", "changed": False}),
        "why": ODD,
        "attachment": st.none() | st.sampled_from(("aGVsbG8=", "!", "czNjcmV0LXZhbHVl")),
        "left_out": st.none() | ODD,
        "refused": st.booleans(),
    },
)
FRAMES = (
    BEGIN
    | BEGIN
    | END
    | frame("sample", {"sample": ODD | st.just({"event": "runner_on_start", "host": "web-1"}), "show": ODD})
    | frame("decide", {"text": ODD, "choices": st.just(["a", "b"]) | ODD, "detail": ODD})
    | frame("done", {"step": st.just("One") | ODD})
    | frame("withdraw", {})
    | frame("hello", {})
    | st.fixed_dictionaries({"id": ODD, "op": ODD})
)
ACTIONS = (
    FRAMES.map(Send)
    | FRAMES.map(Send)
    | NUMBERS.map(Mark)
    | st.sampled_from((Role.READ, Role.CHANGE, Role.UNDO, None)).map(Enter)
    | st.just(Wait())
)


def packed(body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">I", len(body) if length is None else length) + body


DEEP = 100_000
LAST = {
    "nothing": b"",
    "half a length": b"\0",
    "no body": packed(b""),
    "less than said": packed(b"{}", 3),
    "more than said": packed(b"{}", 1),
    "too long": packed(b"{}", transport.LARGEST + 1),
    "the longest": packed(b"", 0xFFFFFFFF),
    "a list": packed(b"[]"),
    "null": packed(b"null"),
    "not UTF-8": packed(b'"\xff"'),
    "deep and open": packed(b"[" * DEEP),
    "deep": packed(b'{"id":1,"op":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "deep, yet read": packed(b'{"id":1,"op":' + b"[" * 700 + b"]" * 700 + b"}"),
    "a deep request": packed(b'{"id":1,"op":"begin","kind":' + b'{"a":' * 700 + b"1" + b"}" * 700 + b"}"),
    "no number": packed(b'{"id":NaN,"op":"hello"}'),
    "a large number": packed(b'{"id":' + b"9" * 5000 + b',"op":"hello"}'),
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
}

Play = Callable[..., Outcome]


@pytest.fixture
def played(loop: asyncio.Runner, folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Play:
    """Play on a new gate, or go on in a folder. What a gate must never do is looked for each time."""
    monkeypatch.setattr(transport, "LIMIT", 0.001)

    def new(
        actions: list[Action],
        last: str | bytes = b"",
        mode: Mode = Mode.LIVE,
        *,
        present: bool = False,
        folder: Path | None = None,
    ) -> Outcome:
        folder = folder or next(folders)
        outcome = loop.run(play(folder, actions, LAST[last] if isinstance(last, str) else last, mode, present))
        loop.run(_collected(outcome))
        assert_well_formed(outcome, folder)
        assert_nothing_unwritten(outcome)
        return outcome

    return new


async def _collected(outcome: Outcome) -> None:
    """Nothing is left over: no task, and no exception that nobody saw."""
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left
    assert outcome.faults == []


def assert_well_formed(outcome: Outcome, folder: Path) -> None:
    """The journal has known events; each effect ends once; and no file has the secret."""
    assert {event.type for event in outcome.events} <= EVENTS
    open_: set[int] = set()
    for event in outcome.events:
        if event.type == "effect-intent":
            open_.add(event.seq)
        elif event.type == "effect-result" and not event.data.get("marked"):
            open_.remove(event.data["intent"])
            assert event.data["status"] in ("succeeded", "failed", "interrupted", "simulated")
    summary.of(outcome.events)
    for path in folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def assert_nothing_unwritten(outcome: Outcome) -> None:
    """Nothing that changes may begin where a cell only reads; and what may begin is on disk, in the cell that runs."""
    events = outcome.events[len(outcome.book.earlier) :]
    written = {event.seq: event.data for event in events if event.type == "effect-intent"}
    for seq, data in written.items():
        place = outcome.book.place[seq]
        assert outcome.book.durable[seq]
        assert place is not None and place.cell == data["cell"]
        assert not (data["changes"] and place.role is Role.READ)
    for reply in outcome.replies:
        if reply["do"] == "run":
            assert int(reply["folder"]) in written
    assert outcome.gate.transport.lost


def numbers(actions: list[Action], *ops: str) -> list[int]:
    """The numbers of the messages of these kinds, in the order in which they are sent."""
    sent = [action.frame for action in actions if isinstance(action, Send)]
    return [one["id"] for one in sent if one.get("op") in ops and isinstance(one.get("id"), int)]


@pytest.mark.slow
@FUZZ
@given(
    st.lists(ACTIONS, max_size=8).map(lambda actions: [Enter(Role.CHANGE), *actions]),
    st.sampled_from(sorted(LAST)) | st.binary(max_size=12),
    st.sampled_from((Mode.LIVE, Mode.LIVE, Mode.CHECK, Mode.NOTEBOOK)),
    st.booleans(),
)
def test_whatever_a_kernel_sends(
    played: Play, actions: list[Action], last: str | bytes, mode: Mode, present: bool
) -> None:
    outcome = played(actions, last, mode, present=present)
    replies = [(reply["id"], reply["do"]) for reply in outcome.replies if reply["id"] not in OURS]
    begun = set(numbers(actions, "begin"))
    for number in set(numbers(actions, "end")) - begun:
        assert (number, "refuse") in replies
        assert (number, "ack") not in replies
    assert all(number in begun for number, do in replies if do in ("run", "ack"))
    assert_replied(actions, replies)
    assert_remembered(outcome)


def assert_remembered(outcome: Outcome) -> None:
    """Whoever reads the journal knows what the run itself knew: whether it changed anything."""
    again = Past()
    for event in outcome.events:
        again.take(event)
    assert again.changed == outcome.past.changed
    assert again.unsettled() == outcome.past.unsettled()


@pytest.mark.slow
@FUZZ
@given(st.lists(ACTIONS, max_size=4), st.lists(ACTIONS, max_size=4), st.booleans(), st.booleans())
def test_a_run_that_goes_on(played: Play, first: list[Action], then: list[Action], cut: bool, present: bool) -> None:
    """The same cells once more, on a gate that knows the journal; its last line may have been lost."""
    begun = played([Enter(Role.CHANGE), *first])
    path = begun.book.folder / journal.NAME
    os.truncate(path, path.stat().st_size - (5 if cut else 0))
    assert_remembered(played([Enter(Role.CHANGE), *then], present=present, folder=begun.book.folder))


def assert_replied(actions: list[Action], replies: list[tuple[int, str]]) -> None:
    """Whoever asks gets an answer: a kernel that waits for one that never comes would wait for ever."""
    taken_back = set(numbers(actions, "end", "withdraw"))
    for number in set(numbers(actions, "hello", "done", "decide", "begin")) - taken_back:
        asked = numbers(actions, "hello", "done", "decide", "begin").count(number)
        assert [one for one, _ in replies].count(number) >= asked


@pytest.mark.slow
@FUZZ
@given(st.lists(st.builds(Send, BEGIN) | NUMBERS.map(Mark), max_size=6))
def test_nothing_changes_where_a_cell_only_reads(played: Play, actions: list[Action]) -> None:
    outcome = played([Enter(Role.READ), *actions])
    assert not any(event.data["changes"] for event in outcome.events if event.type == "effect-intent")
    assert not outcome.past.changed


LATE = {"id": 1, "op": "begin", "kind": "command", "summary": "late", "changes": True, "request": {}}


def test_a_request_does_not_outlive_its_cell(played: Play) -> None:
    """Its mark never came, and the next cell, which only reads, has begun meanwhile."""
    outcome = played([Enter(Role.CHANGE), Send(LATE), Enter(Role.READ), Wait()])
    assert (1, "refuse") in [(reply["id"], reply["do"]) for reply in outcome.replies]


def test_an_effect_that_is_allowed(played: Play) -> None:
    """What the other tests rely on: an honest kernel gets its go-ahead."""
    end = {"id": 1, "op": "end", "status": "succeeded", "result": {"changed": True}}
    outcome = played([Enter(Role.CHANGE), Send(LATE), Mark(1), Wait(), Send(end)])
    assert [reply["do"] for reply in outcome.replies if reply["id"] == 1] == ["run", "ack"]
    assert [event.type for event in outcome.events] == ["run-started", "effect-intent", "effect-result"]
    assert outcome.past.changed
