"""Journal, seal and locks without a kernel."""

import json
import threading
from pathlib import Path

import pytest

from opsbook.core.locks.lock import Lock, acquire, holders, release, unlock
from opsbook.core.model.redact import Redactor
from opsbook.core.record import journal, seal
from opsbook.errors import InputError, Refused


@pytest.fixture
def record(tmp_path: Path) -> Path:
    folder = tmp_path / "20261120T000000Z-page-abcd"
    folder.mkdir()
    redactor = Redactor()
    redactor.add("token", "s3cret-value")
    book = journal.Journal(folder, redactor)
    for number in range(5):
        book.put("note", {"n": number, "text": "s3cret-value"}, durable=True)
    book.blob("effects", "a.txt", b"evidence")
    book.close()
    seal.seal(folder, book.head)
    return folder


def test_a_journal_reads_as_written_and_redacted(record: Path) -> None:
    events = journal.read(record / journal.NAME)
    assert [event.data["n"] for event in events] == [0, 1, 2, 3, 4]
    assert "s3cret" not in (record / journal.NAME).read_text()


def test_a_sealed_record_verifies(record: Path) -> None:
    assert seal.verify(record) == []


def test_every_single_byte_matters(record: Path) -> None:
    for path in [p for p in record.rglob("*") if p.is_file()]:
        data = path.read_bytes()
        for at in range(0, len(data), max(1, len(data) // 40)):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            assert seal.verify(record), f"{path.name} byte {at}"
        path.write_bytes(data)
    assert seal.verify(record) == []


def test_a_run_that_is_resumed_meanwhile_is_not_called_changed(record: Path) -> None:
    head = str(json.loads((record / "seal.json").read_text())["journal_head"])
    done = threading.Event()

    def resumed() -> None:
        for _ in range(20):
            seal.unseal(record)
            (record / "outputs").mkdir(exist_ok=True)
            (record / "outputs/more").write_text("more")
            seal.seal(record, head)
        done.set()

    again = threading.Thread(target=resumed)
    again.start()
    said = set()
    while not done.is_set():
        said |= {(flaw.file, flaw.message) for flaw in seal.verify(record)}
        seal.signature(record)
    again.join()
    assert said <= {("seal.json", "there is no seal: the run never ended, or the seal was removed")}
    assert seal.verify(record) == []


def test_a_removed_line_is_named(record: Path) -> None:
    path = record / journal.NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    flaws = seal.verify(record)
    assert any(flaw.file == journal.NAME and flaw.event == 3 for flaw in flaws)


def test_removed_last_lines_added_and_missing_files(record: Path) -> None:
    path = record / journal.NAME
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    (record / "effects/a.txt").unlink()
    (record / "extra").write_text("x")
    said = {(flaw.file, flaw.message) for flaw in seal.verify(record)}
    assert (journal.NAME, "does not end with the event that was sealed") in said
    assert ("effects/a.txt", "missing") in said
    assert ("extra", "was added after the seal") in said


def test_a_cut_journal_reads_to_the_last_whole_event(record: Path) -> None:
    path = record / journal.NAME
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert len(journal.read(path)) == data[:size].count(b"\n")


def test_garbage_is_refused_with_its_place(record: Path) -> None:
    path = record / journal.NAME
    path.write_bytes(path.read_bytes() + b"garbage\n")
    with pytest.raises(InputError, match=r"the line at byte \d+ is no event"):
        journal.read(path)


def test_a_scan_finds_what_slipped_through(record: Path) -> None:
    redactor = Redactor()
    redactor.add("other", "evidence")
    assert seal.scan(record, redactor) == ["effects/a.txt"]


def test_a_scan_finds_a_secret_between_two_pieces_and_in_a_name(record: Path) -> None:
    redactor = Redactor()
    redactor.add("other", "evidence-value")
    (record / "outputs").mkdir()
    (record / "outputs/large.txt").write_text("x" * (1024 * 1024 - 5) + "evidence-value" + "y" * 1000)
    (record / "outputs/evidence-value.txt").write_text("harmless")
    assert seal.scan(record, redactor) == ["outputs/evidence-value.txt", "outputs/large.txt"]


def lock(target: str, run: str = "r1") -> Lock:
    return Lock(target, run, "ann@host", "Deploy", "2026-11-20T00:00:00Z")


def test_locks_exclude_prefixes_and_extensions(tmp_path: Path) -> None:
    acquire(tmp_path, [lock("dev/arcade")])
    for target in ("dev", "dev/arcade", "dev/arcade/web-1"):
        with pytest.raises(Refused, match=r"dev/arcade is locked by r1 \(ann@host\) since 2026"):
            acquire(tmp_path, [lock("prod/x", "r2"), lock(target, "r2")])
    acquire(tmp_path, [lock("dev/arcade-2", "r2")])
    assert [held.target for held in holders(tmp_path)] == ["dev/arcade", "dev/arcade-2"]
    release(tmp_path, "r1")
    assert [held.run for held in holders(tmp_path)] == ["r2"]
    assert unlock(tmp_path, "dev/arcade-2", lambda _: None).run == "r2"
    with pytest.raises(InputError, match="Nobody holds"):
        unlock(tmp_path, "dev/arcade-2", lambda _: None)


def test_a_lock_file_is_json(tmp_path: Path) -> None:
    acquire(tmp_path, [lock("dev/arcade")])
    (path,) = (tmp_path / "locks").glob("*.json")
    assert json.loads(path.read_text())["operator"] == "ann@host"
