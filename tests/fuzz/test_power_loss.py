"""A machine that stops while a run is written: the journal has what was whole, and says nothing else."""

import os
import re
from pathlib import Path

import pytest

from opsbook.core.model.event import Event
from opsbook.core.model.redact import Redactor
from opsbook.core.record import journal, store, summary
from opsbook.errors import InputError
from tests.fuzz import records

LAST = 4096
"""Bytes at the end of the journal that may be lost one by one."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal that is longer than what is cut off."""
    made = records.make(tmp_path)
    assert (made / journal.NAME).stat().st_size > LAST + 512
    return made


def whole(data: bytes, events: list[Event]) -> list[Event]:
    """The events whose lines are whole in these first bytes."""
    return events[: data.count(b"\n")]


def read(folder: Path) -> tuple[list[Event], InputError | None]:
    """The events of the record up to what cannot be read, and what is said of that."""
    found: list[Event] = []
    try:
        for event, _ in store.chain(folder):
            found.append(event)
    except InputError as error:
        return found, error
    return found, None


def assert_reads(folder: Path, expected: list[Event], finished: bool) -> None:
    """Exactly these events; and only with the line that says so did the run succeed."""
    found, error = read(folder)
    assert error is None
    assert found == expected
    assert summary.of(found)["outcome"] == ("succeeded" if finished else None)
    one = records.record(folder)
    assert one.summary() == one.glance()
    assert one.glance()["outcome"] == "lost"


@pytest.mark.slow
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_cut_at_every_byte(folder: Path, step: int) -> None:
    path = folder / journal.NAME
    data, events = path.read_bytes(), journal.read(path)
    for size in range(len(data), len(data) - LAST - 1, -step):
        os.truncate(path, size)
        assert_reads(folder, whole(data[:size], events), size == len(data))


@pytest.mark.slow
@pytest.mark.parametrize("zeros", ["in place of what is lost", "one block more"])
def test_zeros_in_place_of_the_end(folder: Path, zeros: str) -> None:
    """What a file system leaves that made the file longer before it wrote what is in it."""
    path = folder / journal.NAME
    data, events = path.read_bytes(), journal.read(path)
    for size in range(len(data) - LAST, len(data), 5):
        count = len(data) - size if zeros == "in place of what is lost" else 512
        path.write_bytes(data[:size] + bytes(count))
        assert_reads(folder, whole(data[:size], events), finished=False)


def test_zeros_behind_a_whole_journal(folder: Path) -> None:
    path = folder / journal.NAME
    data, events = path.read_bytes(), journal.read(path)
    path.write_bytes(data + bytes(4096))
    assert_reads(folder, events, finished=True)


def test_zeros_with_a_line_behind_them(folder: Path) -> None:
    """Blocks that were written out of order: the line behind the hole does not count, and the hole is named."""
    path = folder / journal.NAME
    data, events = path.read_bytes(), journal.read(path)
    last = data.rfind(b"\n", 0, -1) + 1
    for size in range(len(data) - LAST, last, 7):
        path.write_bytes(data[:size] + bytes(last - size) + data[last:])
        assert_refused(folder, whole(data[:size], events), data[:size].rfind(b"\n") + 1)


@pytest.mark.parametrize("garbage", ["an older journal", "text", "bytes"])
def test_what_a_file_held_that_was_there_before(folder: Path, tmp_path: Path, garbage: str) -> None:
    path = folder / journal.NAME
    data, events = path.read_bytes(), journal.read(path)
    older = (records.make(tmp_path / "older", outcome="failed") / journal.NAME).read_bytes()
    rest = {"an older journal": older, "text": b"x = 1\n" * 80, "bytes": bytes(range(256)) * 2}[garbage]
    for size in range(len(data) - LAST, len(data), 13):
        path.write_bytes(data[:size] + rest)
        assert_refused(folder, whole(data[:size], events), data[:size].rfind(b"\n") + 1)


def assert_refused(folder: Path, expected: list[Event], offset: int) -> None:
    """Exactly these events, then the byte at which the journal stops being one; and the run is no success."""
    found, error = read(folder)
    assert found == expected
    assert error is not None
    assert re.search(rf"\bbyte {offset}\b", error.message), (error.message, offset)
    assert records.record(folder).glance()["outcome"] == store.DAMAGED


@pytest.mark.parametrize("behind", [b"", bytes(512)])
def test_a_cut_journal_goes_on(folder: Path, behind: bytes) -> None:
    """Whoever resumes the run goes on behind the last whole event, and the chain holds."""
    path = folder / journal.NAME
    data, events = path.read_bytes(), journal.read(path)
    for size in range(len(data) - LAST, len(data) + 1, 61):
        path.write_bytes(data[:size] + behind)
        expected = whole(data[:size], events)
        book = journal.Journal(folder, Redactor(), again=True)
        assert list(book.earlier) == expected
        assert book.cut == size + len(behind) - data[:size].rfind(b"\n") - 1
        more = book.put("run-resumed", {"operator": "bob@host"}, durable=True)
        book.close()
        assert journal.read(path) == [*expected, more]


def test_an_empty_journal(folder: Path) -> None:
    (folder / journal.NAME).write_bytes(b"")
    assert_reads(folder, [], finished=False)
