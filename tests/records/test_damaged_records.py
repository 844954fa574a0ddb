"""Records that somebody or something damaged: named, never a crash, and never in the way of the others."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opsbook.core.model.redact import Redactor
from opsbook.core.record import journal, seal, store, summary, summary_file
from opsbook.errors import InputError
from tests.support.project import Project

pytestmark = pytest.mark.slow

BY_HAND = "## Steps\n\n### By hand\nDo something.\n"


def _event(folder: Path, kind: str, data: Any) -> None:
    """Append an event that fits the chain, whatever its data is."""
    head, seq = journal.START, 0
    for event, digest in journal.chain(folder / journal.NAME):
        head, seq = digest, event.seq
    line = {"seq": seq + 1, "time": "2026-11-20T00:00:00.000Z", "type": kind, "data": data, "prev": head}
    with (folder / journal.NAME).open("a") as file:
        file.write(json.dumps(line) + "\n")


def _record(project: Project, minute: int) -> Path:
    """A sealed record, as a run leaves one."""
    folder = store.create(project.root / "records", f"20261120T00{minute:02}00Z-page-aaaa")
    book = journal.Journal(folder, Redactor())
    step = {"step": "one", "title": "One", "section": "Steps"}
    started = {"run": folder.name, "runbook": "page", "title": "A page", "environment": "dev", "operator": "ann@host"}
    book.put("run-started", {**started, "parameters": {"version": "1.10"}})
    book.put("step-started", step)
    book.put("step-finished", {"step": "one", "status": "succeeded", "seconds": 1.5})
    book.put("run-finished", {"outcome": "succeeded", "reason": "It went well.", "exit_code": 0, "seconds": 2.0})
    book.close()
    (folder / "record.json").write_text(json.dumps(summary.of(book_events(folder))))
    (folder / "effects/0001-log.jsonl").write_text("{}\n")
    seal.seal(folder, book.head)
    return folder


def book_events(folder: Path) -> list[Any]:
    return journal.read(folder / journal.NAME)


def test_a_record_as_it_was_sealed(project: Project) -> None:
    folder = _record(project, 1)
    assert seal.verify(folder) == []
    assert store.find(project.root / "records", "last").summary()["seconds"] == 2.0
    assert "1.5 s" in project.opsbook("records", "show", "last", check=True).out


@pytest.mark.parametrize(
    ("add", "said"),
    [
        (lambda f: (f / "evil").symlink_to("/etc/passwd"), ("evil", "is a link, which is never part of a record")),
        (lambda f: (f / "effects/dir").symlink_to("/etc"), ("effects/dir", "is a link, which is never")),
        (lambda f: os.mkfifo(f / "outputs/pipe"), ("outputs/pipe", "is a pipe, which is never part of a record")),
        (lambda f: (f / "extra").mkdir(), ("extra", "is a folder that the seal does not know")),
        (lambda f: (f / "effects/extra").mkdir(), ("effects/extra", "is a folder that the seal does not know")),
        (lambda f: (f / "inbox/late.json").touch(), ("inbox/late.json", "was added after the seal")),
        (lambda f: os.mknod(f / os.fsdecode(b"\xff")), (r"\xff", "was added after the seal")),
        (lambda f: (f / "effects/0001-log.jsonl").unlink(), ("effects/0001-log.jsonl", "missing")),
    ],
)
def test_verify_notices_everything_that_is_there(
    project: Project, add: Callable[[Path], Any], said: tuple[str, str]
) -> None:
    folder = _record(project, 1)
    add(folder)
    (flaw,) = seal.verify(folder)
    assert flaw.file == said[0]
    assert flaw.message.startswith(said[1])
    assert project.opsbook("records", "verify", "last").code == 1


def test_empty_usual_folders_may_be_missing(project: Project) -> None:
    folder = _record(project, 1)
    (folder / "inbox").rmdir()
    (folder / "outputs").rmdir()
    assert seal.verify(folder) == []


def test_the_inbox_is_sealed_with_the_rest(project: Project) -> None:
    folder = _record(project, 1)
    (folder / "seal.json").unlink()
    (folder / "inbox/left.json").write_text("{}")
    (folder / "inbox/odd" / os.fsdecode(b"\xff")).mkdir(parents=True)
    os.mkfifo(folder / "inbox/pipe.json")
    (folder / "inbox/link.json").symlink_to("/etc/passwd")
    head = [digest for _, digest in journal.chain(folder / journal.NAME)][-1]
    seal.seal(folder, head)
    assert [path.name for path in (folder / "inbox").iterdir()] == ["left.json"]
    assert seal.verify(folder) == []
    (folder / "inbox/left.json").write_text("{ }")
    assert [(flaw.file, flaw.message) for flaw in seal.verify(folder)] == [
        ("inbox/left.json", "was changed after the seal")
    ]


def _swap(path: Path, make: Callable[[Path], Any]) -> None:
    path.unlink()
    make(path)


def _resealed(folder: Path, **changes: Any) -> None:
    """A seal that is right but for its shape."""
    content = json.loads((folder / "seal.json").read_text()) | changes
    (folder / "seal.json").write_bytes(seal._render(content))


SEALS: list[tuple[str, Callable[[Path], Any]]] = [
    ("seal.json", lambda f: _swap(f / "seal.json", Path.mkdir)),
    ("seal.json", lambda f: _swap(f / "seal.json", os.mkfifo)),
    ("seal.json", lambda f: _swap(f / "seal.json", lambda p: p.symlink_to("/dev/zero"))),
    ("seal.json", lambda f: (f / "seal.json").write_text("[" * 200_000)),
    ("seal.json", lambda f: (f / "seal.json").write_text("5")),
    ("seal.json", lambda f: (f / "seal.json").write_bytes(b"\xff")),
    ("seal.json", lambda f: _resealed(f, files={"journal.jsonl": 5})),
    ("seal.json", lambda f: _resealed(f, files=[["a", "b"]])),
    ("seal.json", lambda f: _resealed(f, run=5)),
    ("seal.json", lambda f: _resealed(f, journal_head=None)),
]

JOURNALS: list[tuple[str, Callable[[Path], Any]]] = [
    ("journal.jsonl", lambda f: (f / "journal.jsonl").unlink()),
    ("journal.jsonl", lambda f: _swap(f / "journal.jsonl", os.mkfifo)),
    ("journal.jsonl", lambda f: _swap(f / "journal.jsonl", Path.mkdir)),
    ("journal.jsonl", lambda f: _swap(f / "journal.jsonl", lambda p: p.symlink_to("/dev/zero"))),
    ("journal.jsonl", lambda f: (f / "journal.jsonl").write_text("[" * 200_000 + "\n")),
    ("journal.jsonl", lambda f: (f / "journal.jsonl").write_text("5\n")),
    ("journal.jsonl", lambda f: (f / "journal.jsonl").write_bytes(b"\xff\n")),
    ("journal.jsonl", lambda f: _event(f, "step-started", "no object")),
    ("journal.jsonl", lambda f: _event(f, "run-finished", None)),
    ("journal.jsonl", lambda f: _event(f, 5, {})),  # type: ignore[arg-type]
]

SUMMARIES: list[tuple[str, Callable[[Path], Any]]] = [
    ("record.json", lambda f: (f / "record.json").unlink()),
    ("record.json", lambda f: _swap(f / "record.json", Path.mkdir)),
    ("record.json", lambda f: _swap(f / "record.json", os.mkfifo)),
    ("record.json", lambda f: (f / "record.json").write_text("[]")),
    ("record.json", lambda f: (f / "record.json").write_text("{}")),
    ("record.json", lambda f: (f / "record.json").write_text("[" * 200_000)),
    ("record.json", lambda f: (f / "record.json").write_bytes(b'"\xff')),
    ("record.json", lambda f: _changed(f, steps=[5])),
    ("record.json", lambda f: _changed(f, steps=None)),
    ("record.json", lambda f: _changed(f, seconds="long")),
    ("record.json", lambda f: _changed(f, parameters=[1])),
    ("record.json", lambda f: _changed(f, effects=[{"changes": True}])),
]


def _changed(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "record.json").read_text()) | changes
    (folder / "record.json").write_text(json.dumps(content))


@pytest.mark.parametrize(("name", "damage"), [*SEALS, *JOURNALS, *SUMMARIES])
def test_verify_names_every_damage_and_ends(project: Project, name: str, damage: Callable[[Path], Any]) -> None:
    folder = _record(project, 1)
    damage(folder)
    assert name in {flaw.file for flaw in seal.verify(folder)}


@pytest.mark.parametrize(("name", "damage"), [JOURNALS[1], JOURNALS[4], *SUMMARIES[1:5], SEALS[0], SEALS[3]])
def test_the_command_line_with_a_damaged_record(project: Project, name: str, damage: Callable[[Path], Any]) -> None:
    _record(project, 1)
    damaged = _record(project, 2)
    damage(damaged)
    result = project.opsbook("records", "verify", "--all", "--json")
    assert result.code == 1
    assert {run: bool(flaws) for run, flaws in json.loads(result.out).items()}[damaged.name]
    listed = json.loads(project.opsbook("records", "list", "--json", check=True).out)
    assert {one["run"]: one["outcome"] for one in listed}[damaged.name] in ("damaged", "succeeded")
    assert [one["outcome"] for one in listed if one["run"] != damaged.name] == ["succeeded"]
    assert project.opsbook("records", "list").code == 0


@pytest.mark.parametrize(("name", "damage"), SUMMARIES)
def test_a_damaged_summary_is_shown_as_such(project: Project, name: str, damage: Callable[[Path], Any]) -> None:
    good, damaged = _record(project, 1), _record(project, 2)
    damage(damaged)
    told = {one.id: one.glance()["outcome"] for one in store.records(project.root / "records")}
    assert told == {good.name: "succeeded", damaged.name: "damaged"}
    with pytest.raises(InputError, match=name):
        store.find(project.root / "records", damaged.name).summary()


def test_records_show_of_a_damaged_record(project: Project) -> None:
    damaged = _record(project, 1)
    (damaged / "record.json").write_text("{}")
    result = project.opsbook("records", "show", "last")
    assert result.code == 2
    assert f"{damaged}/record.json is damaged." in result.err
    assert "opsbook records verify" in result.err
    assert damaged.name in project.opsbook("records", "list", "--outcome", "damaged", check=True).out


@pytest.mark.parametrize(("name", "damage"), JOURNALS[1:])
def test_a_lost_run_with_a_damaged_journal(project: Project, name: str, damage: Callable[[Path], Any]) -> None:
    folder = _record(project, 1)
    (folder / "seal.json").unlink()
    damage(folder)
    (one,) = store.records(project.root / "records")
    assert (one.state, one.glance()["outcome"]) == ("lost", "damaged")
    with pytest.raises(InputError, match=name):
        one.summary()


KINDS = ("run-started", "run-finished", "step-started", "step-finished", "effect-intent", "effect-result", "output-gap")


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, True, float("inf"), float("nan"), 10**400, {"changed": "x"}])
def test_a_lost_run_is_summed_up_whatever_its_events_say(project: Project, value: Any) -> None:
    keys = "run title environment operator parameters outcome reason seconds step status section summary changes intent"
    for number, data in enumerate(({}, dict.fromkeys([*keys.split(), "result", "missing", "key"], value))):
        folder = store.create(project.root / "records", f"20261120T00{number:02}00Z-page-aaaa")
        (folder / journal.NAME).touch()
        for kind in (*KINDS, *KINDS):
            _event(folder, kind, data)
    shown = json.loads(project.opsbook("records", "list", "--json", check=True).out)
    assert [one["outcome"] for one in shown] == ["lost", "lost"]
    for record in store.records(project.root / "records"):
        summary_file.read(json.dumps(record.summary()).encode())
        assert project.opsbook("records", "show", record.id).code == 0


def test_a_removed_journal_does_not_hide_the_record(project: Project) -> None:
    folder = _record(project, 1)
    (folder / "journal.jsonl").unlink()
    assert folder.name in project.opsbook("records", "list", check=True).out
    assert "journal.jsonl" in project.opsbook("records", "verify", "--all").out


def test_filters_of_the_list(project: Project) -> None:
    folders = [_record(project, minute) for minute in range(3)]
    for limit in ("0", "-1"):
        result = project.opsbook("records", "list", "--limit", limit)
        assert result.code == 2
        assert f"--limit {limit} would show nothing." in result.err
    one = json.loads(project.opsbook("records", "list", "--limit", "1", "--json", check=True).out)
    assert [told["run"] for told in one] == [folders[2].name]
    assert "No record fits." in project.opsbook("records", "list", "--outcome", "failed", check=True).out
    wrong = project.opsbook("records", "list", "--outcome", "succeded")
    assert wrong.code == 2
    assert "Did you mean succeeded?" in wrong.err


def test_no_place_for_records(project: Project) -> None:
    project.page(BY_HAND)
    shutil.rmtree(project.root / "records", ignore_errors=True)
    (project.root / "records").mkdir()
    (project.root / f"records/{datetime.now(UTC):%Y}").touch()
    result = project.opsbook("run", "page", "-e", "dev", "--answer", "by-hand=done")
    assert result.code == 2
    assert "No record can be made in" in result.err
