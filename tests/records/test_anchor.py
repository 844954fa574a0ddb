"""An anchor notices what a seal cannot: that a record is gone, or that somebody sealed it again."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from opsbook import files, settings
from opsbook.core.planning import context
from opsbook.core.record import journal, logbook, seal
from opsbook.errors import InputError
from opsbook.incidents import acting
from opsbook.incidents import store as incidents
from opsbook.records import keeping
from tests.support.anchors import ANEW, REMOVED, anchor, compared, go_on, lines, reseal, said
from tests.support.project import Project
from tests.support.sealed import make


def test_a_chain_of_what_is_new(project: Project, place: str) -> None:
    first, second = make(project, 2), make(project, 1)
    done = anchor(project, place)
    assert (done.seq, set(done.records)) == (1, {first.name, second.name})
    assert anchor(project, place).records == {}
    third = make(project, 0)
    assert anchor(project, place).seq == 2
    one, two = lines(place)
    assert list(one) == ["seq", "time", "by", "prev", "records"]
    assert one["prev"] == "0" * 64
    assert two["prev"] == hashlib.sha256((json.dumps(one, separators=(",", ":")) + "\n").encode()).hexdigest()
    assert two["records"] == {third.name: files.sha256(third / "seal.json")}
    assert said(project, place) == {}
    assert f": 3 records ({'git:' if place.startswith('git:') else place}" in compared(project, place).said
    make(project, 0)
    assert ": 3 records, 1 record not yet (" in compared(project, place).said


def test_what_somebody_did_to_the_records_is_found(project: Project, place: str) -> None:
    removed, changed, cut, kept, here, there = (make(project, days) for days in range(6))
    anchor(project, place)
    shutil.rmtree(removed)
    (changed / "record.json").write_text("{}")
    reseal(changed)
    book = cut / journal.NAME
    book.write_bytes(b"".join(book.read_bytes().splitlines(keepends=True)[:-1]))
    reseal(cut)
    shutil.move(here, here.with_name("x"))
    shutil.move(there, here)
    shutil.move(here.with_name("x"), there)
    reseal(here)
    reseal(there)
    anew = [f"seal.json {ANEW}".removesuffix(" on ")]
    wanted = {run.name: anew for run in (changed, cut, here, there)} | {
        removed.name: [f" {REMOVED}".removesuffix(" on ")]
    }
    assert said(project, place) == wanted
    # It stays found, whatever is anchored later.
    done = anchor(project, place)
    assert set(done.unlike) == set(wanted)
    assert set(done.records) == {run.name for run in (changed, cut, here, there)}
    assert said(project, place) == wanted
    assert kept.exists()


def test_a_record_that_went_on_is_as_it_was_anchored(project: Project, file: str) -> None:
    folder = make(project, 1)
    anchor(project, file)
    go_on(folder)
    assert said(project, file) == {}
    assert set(anchor(project, file).records) == {folder.name}
    go_on(folder)
    seal.unseal(folder)
    assert said(project, file) == {}
    (folder / "seals/1.json").unlink()
    assert said(project, file) == {folder.name: ["seal.json was sealed anew after it was anchored"]}


def test_incidents_are_anchored_with_runs(project: Project, file: str) -> None:
    """One that goes on is as it was anchored; one that is gone, cut or sealed anew is not."""
    make(project, 1)
    here = settings.load(project.root, given=True)
    for title in ("removed", "changed", "noted", "open"):
        path = incidents.exact(here, acting.open_(here, acting.Opening(title, environment="dev")).id)
        if title != "open":
            acting.Acting(here, path.name).resolve("it went away", anyway=False)
    assert len(anchor(project, file).records) == 4
    folders = {incidents.load(path).title: path for path in incidents.every(here.records)}
    acting.Acting(here, folders["noted"].name).note("looked at again")
    assert said(project, file) == {}
    assert set(anchor(project, file).records) == {folders["noted"].name}
    shutil.rmtree(folders["removed"])
    book = folders["changed"] / journal.NAME
    book.write_bytes(b"".join(book.read_bytes().splitlines(keepends=True)[:-1]))
    reseal(folders["changed"])
    assert said(project, file) == {
        folders["removed"].name: [f" {REMOVED}".removesuffix(" on ")],
        folders["changed"].name: [f"seal.json {ANEW}".removesuffix(" on ")],
    }
    book = folders["noted"] / journal.NAME
    book.write_bytes(book.read_bytes().replace(b"looked at again", b"looked at never"))
    told = project.opsbook("records", "verify", "--all", "--anchor", file)
    assert told.code == 1
    assert f"{folders['noted'].name}: journal.jsonl: " in told.out
    assert f"{folders['removed'].name}: the record was removed" in told.out


def test_evidence_cannot_be_changed_behind_an_earlier_seal(project: Project, file: str) -> None:
    folder = make(project, 1)
    (folder / "effects/0001-a.txt").write_text("what was seen")
    (folder / "outputs/0001.txt").write_text("what was said")
    reseal(folder)
    anchor(project, file)
    (folder / "effects/0001-a.txt").write_text("nothing")
    (folder / "outputs/0001.txt").unlink()
    go_on(folder)
    assert seal.verify(folder) == []
    assert said(project, file) == {
        folder.name: [
            f"{name} was changed after it was anchored" for name in ("effects/0001-a.txt", "outputs/0001.txt")
        ]
    }


def test_what_was_pruned_is_not_missed(project: Project, file: str) -> None:
    project.write("opsbook.toml", '[retention]\nkeep = "30d"\nkeep_last = 0\n')
    old, older = make(project, 40), make(project, 50)
    anchor(project, file)
    again = older.with_name("copy")
    shutil.copytree(older, again)
    found = settings.load(project.root, given=True)
    keeping.prune(found, remove=True)
    shutil.move(again, project.root / "back")
    make(project, 1)
    assert said(project, file) == {}
    done = anchor(project, file)
    assert sorted(done.pruned) == sorted([old.name, older.name])
    told = lines(file)[-1]["pruned"][old.name]
    assert (told["rule"], told["by"]) == ("keep = 30d", context.operator())
    # The anchor has it now: the list beside the records is no longer needed.
    (found.records / logbook.PRUNED).unlink()
    assert said(project, file) == {}
    # A record that comes back is new again, and an old entry does not excuse that it goes.
    shutil.copytree(project.root / "back", older)
    assert set(anchor(project, file).records) == {older.name}
    gone = {"run": older.name, "seal": "0" * 64, "time": "2000-01-01T00:00:00.000Z", "by": "", "rule": ""}
    logbook.append(found.records / logbook.PRUNED, gone)
    shutil.rmtree(older)
    assert said(project, file) == {older.name: [" the record was removed after it was anchored"]}


def test_quarantine_and_runs_without_a_seal(project: Project, file: str) -> None:
    secret, lost = make(project, 2), make(project, 1)
    (lost / "seal.json").unlink()
    anchor(project, file)
    (project.root / "records/quarantine").mkdir()
    secret.rename(project.root / "records/quarantine" / secret.name)
    assert said(project, file) == {}
    assert list(lines(file)[0]["records"]) == [secret.name]


@pytest.mark.parametrize(
    ("change", "line", "what"),
    [
        (lambda data: data[:-1], 3, "is not whole"),
        (lambda data: data[:-20], 3, "is not whole"),
        (lambda data: data.replace(b'"seq":2', b'"seq":5'), 2, "does not follow the line before it"),
        (lambda data: data.replace(b'"by":"', b'"by":"x'), 2, "does not follow the line before it"),
        (lambda data: b"".join(data.splitlines(keepends=True)[1:]), 1, "does not follow the line before it"),
        (lambda data: b"".join(data.splitlines(keepends=True)[::2]), 2, "does not follow the line before it"),
        (lambda data: data + b"\n", 4, "is no line of an anchor"),
        (lambda data: data + b"[]\n", 4, "is no line of an anchor"),
        (lambda data: b"\xff" + data, 1, "is no line of an anchor"),
        (lambda data: data + b"[" * 100_000 + b"\n", 4, "is no line of an anchor"),
    ],
)
def test_a_broken_chain_is_named_and_never_repaired(
    project: Project, file: str, change: Callable[[bytes], bytes], line: int, what: str
) -> None:
    for days in (3, 2, 1):
        make(project, days)
        anchor(project, file)
    broken = change(Path(file).read_bytes())
    Path(file).write_bytes(broken)
    make(project, 0)
    with pytest.raises(InputError, match=f"line {line} {what}"):
        anchor(project, file)
    (own,) = compared(project, file).own
    assert (own.file, own.event) == (file, line)
    assert own.message == f"the chain of the anchor is broken: line {line} {what}"
    assert Path(file).read_bytes() == broken


def test_every_byte_of_an_anchor_but_the_last_line_matters(project: Project, file: str) -> None:
    for days in (2, 1):
        make(project, days)
        anchor(project, file)
    data = Path(file).read_bytes()
    first = data.index(b"\n") + 1
    for at in range(0, first, 2):
        Path(file).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert compared(project, file).own, at


def test_a_flipped_byte_of_every_file_is_found(project: Project, file: str) -> None:
    folder = make(project, 1)
    for number in range(4):
        (folder / f"effects/{number}.txt").write_text("evidence")
    (folder / "inbox/late.json").write_text("{}")
    reseal(folder)
    anchor(project, file)
    tried = found = 0
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        for at in range(0, len(data), max(1, len(data) // 10)):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            tried += 1
            found += bool(seal.verify(folder))
        path.write_bytes(data)
        if path.name not in ("seal.json", journal.NAME):
            # Also by the anchor alone, where somebody sealed it again.
            original = (folder / "seal.json").read_bytes()
            path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
            reseal(folder)
            tried += 1
            found += bool(said(project, file))
            path.write_bytes(data)
            (folder / "seal.json").write_bytes(original)
    assert (found, seal.verify(folder), said(project, file)) == (tried, [], {})
    assert tried > 60
