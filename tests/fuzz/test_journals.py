"""Journals that somebody or something changed: refused with the place, or read as they were; never otherwise."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbook.core.model.event import Event
from opsbook.core.record import journal, seal, store, summary, summary_file
from opsbook.errors import InputError
from tests.fuzz import records
from tests.fuzz.mutations import FUZZ, assert_clear

BYTES = st.sampled_from((b"\n", b"\r", b"\0", b'"', b"{", b" ", b"\xff", b"\xef\xbb\xbf", b"[" * 5000, b"9" * 5000))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from((10**400, 1.0, 1e999, float("nan"), "\ud800", "succeeded", "1", {"changed": "x"}))
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
SEQ = JSON | st.sampled_from((True, 1, 1.0, 2, 2.0, "1"))
KINDS = (
    *("run-started", "run-finished", "run-resumed", "step-started", "step-finished", "effect-intent", "effect-result"),
    *("output-gap", "cell-started", "question-asked"),
)
KEYS = (
    *(
        "run",
        "title",
        "environment",
        "operator",
        "parameters",
        "outcome",
        "reason",
        "seconds",
        "step",
        "status",
        "section",
    ),
    *("summary", "changes", "intent", "result", "missing", "key", "exit_code", "replay", "versions"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return records.make(tmp_path_factory.mktemp("journals"), steps=2, outcome="failed")


@pytest.fixture(scope="module")
def good(folder: Path) -> bytes:
    return (folder / journal.NAME).read_bytes()


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes after one to three changes: of a byte, of a piece, or of whole lines."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        lines = data.splitlines(keepends=True) or [b""]
        one, two = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        kind = draw(st.sampled_from(("byte", "cut", "put", "end", "drop", "twice", "swap")))
        if kind in ("byte", "cut", "put", "end"):
            new = {"byte": bytes([draw(st.integers(0, 255))]), "put": draw(BYTES | st.binary(max_size=4))}.get(
                kind, b""
            )
            skip = {"byte": 1, "cut": draw(st.integers(1, 300)), "put": 0, "end": len(data)}[kind]
            data = data[:at] + new + data[at + skip :]
        elif kind == "drop":
            data = b"".join(lines[:one] + lines[one + 1 :])
        elif kind == "twice":
            data = b"".join(lines[: one + 1] + lines[one:])
        else:
            lines[one], lines[two] = lines[two], lines[one]
            data = b"".join(lines)
    return data


def read(folder: Path) -> tuple[list[Event], InputError | None]:
    """The events up to what cannot be read, and what is said of that."""
    found: list[Event] = []
    try:
        for event, _ in store.chain(folder):
            found.append(event)
    except InputError as error:
        assert_clear(error)
        assert re.search(r"(byte|event) \d+", error.message), error.message
        return found, error
    return found, None


def intact(good: bytes, data: bytes) -> int:
    """How many lines at the beginning are as they were written."""
    lines = data.split(b"\n")[:-1]
    pairs = zip(good.split(b"\n"), lines, strict=False)
    return next((number for number, (one, other) in enumerate(pairs) if one != other), len(lines))


@pytest.mark.slow
@FUZZ
@given(st.data())
def test_no_change_is_read_as_something_else(folder: Path, good: bytes, data: st.DataObject) -> None:
    """What stands before a change is read; what stands behind it never is. Only a seal knows the last line."""
    (folder / journal.NAME).write_bytes(good)
    written = journal.read(folder / journal.NAME)
    changed = data.draw(damaged(good))
    (folder / journal.NAME).write_bytes(changed)
    kept = intact(good, changed)
    found, error = read(folder)
    assert found[:kept] == written[:kept]
    assert len(found) <= kept + 1
    if len(found) > kept and error is None:
        assert changed.count(b"\n") == kept + 1
    if error is None:
        assert changed.count(b"\n") == len(found)
    assert_never_good(folder, error)


def assert_never_good(folder: Path, error: InputError | None) -> None:
    """No list shows the run as one that succeeded: it did not, and without its seal nobody knows how it ended."""
    one = records.record(folder)
    assert one.glance()["outcome"] == ("lost" if error is None else store.DAMAGED)
    if error is None:
        assert summary.of(one.events())["outcome"] != "succeeded"
        json.dumps(one.summary())
        return
    with pytest.raises(InputError):
        one.summary()


@FUZZ
@given(st.binary(max_size=60) | st.lists(BYTES, max_size=6).map(b"".join))
def test_any_bytes(folder: Path, content: bytes) -> None:
    (folder / journal.NAME).write_bytes(content)
    found, error = read(folder)
    assert found == []
    assert (error is None) == (b"\n" not in content)
    assert_never_good(folder, error)


@FUZZ
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8)), max_size=6)
)
def test_a_chain_of_events_that_say_nothing_usable(folder: Path, events: list[tuple[str, Any]]) -> None:
    """Somebody who writes a whole chain anew can write anything: it is summed up, and stays a summary."""
    chained(folder, [{"type": kind, "data": data} for kind, data in events])
    found, error = read(folder)
    assert error is None
    assert len(found) == len(events)
    told = records.record(folder).summary()
    summary_file.read(json.dumps(told, ensure_ascii=False).encode("utf-8", errors="replace"))


SHAPES = st.fixed_dictionaries({}, optional=dict.fromkeys(("time", "type", "data", "prev"), JSON) | {"seq": SEQ})


@FUZZ
@given(st.lists(SHAPES, max_size=3))
def test_a_chain_of_events_of_another_shape(folder: Path, lines: list[dict[str, Any]]) -> None:
    chained(folder, lines)
    found, _ = read(folder)
    for number, event in enumerate(found, 1):
        assert (type(event.seq), event.seq) == (int, number)
        assert isinstance(event.time, str)
        assert isinstance(event.type, str)
        assert isinstance(event.data, dict)
    records.record(folder).glance()


def chained(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Write these lines as a chain that holds; what a line does not say is as it should be."""
    head, written = journal.START, b""
    for seq, given_ in enumerate(lines, 1):
        fields = {"seq": seq, "time": "2026-11-20T00:00:00.000Z", "type": "note", "data": {}, "prev": head} | given_
        line = json.dumps(fields).encode() + b"\n"
        head = hashlib.sha256(line).hexdigest()
        written += line
    (folder / journal.NAME).write_bytes(written)


# -- the files beside it


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = records.make(tmp_path_factory.mktemp("sealed"), steps=1)
    records.sealed(made)
    return made


@pytest.mark.slow
@FUZZ
@given(st.sampled_from((journal.NAME, store.SUMMARY, store.SEAL)), st.data())
def test_a_sealed_record_shows_every_change(closed: Path, name: str, data: st.DataObject) -> None:
    """Whatever byte of whatever file is changed, `verify` names a flaw, and the list goes on."""
    path = closed / name
    before = path.read_bytes()
    try:
        changed = data.draw(damaged(before))
        path.write_bytes(changed)
        flaws = seal.verify(closed)
        assert bool(flaws) == (changed != before)
        assert all(flaw.message for flaw in flaws)
        told = records.record(closed, "sealed").glance()
        assert isinstance(told["outcome"], str | None)
    finally:
        path.write_bytes(before)
    assert seal.verify(closed) == []
