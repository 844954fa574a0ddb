"""Records that leave in an archive, and come into another folder as they were."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from opsbook import files, settings
from opsbook.core.planning import context
from opsbook.core.record import seal, store
from opsbook.errors import InputError, Refused
from opsbook.incidents import acting
from opsbook.records import archives
from opsbook.records import export as manifest
from opsbook.training import trained
from tests.support.project import Project, Terminal, until
from tests.support.sealed import make
from tests.support.trained import GOOD


def quiet(_done: int, _all: int) -> None:
    pass


@pytest.fixture
def other(project: Project, tmp_path: Path) -> Project:
    """A second project, where records come in."""
    made = Project(tmp_path / "other")
    made.write("opsbook.toml", 'records = "kept"\n')
    return made


def export(project: Project, name: str = "out.tar.gz", *runs: str, force: bool = False, **chosen: object) -> Path:
    path = project.root / name
    choice = archives.Chosen(runs, **chosen)  # type: ignore[arg-type]
    archives.export_records(settings.load(project.root, given=True), choice, path, quiet, force=force)
    return path


def take(project: Project, archive: Path) -> dict[str, str]:
    """Import; what became of each run."""
    found = archives.import_records(settings.load(project.root, given=True), archive, quiet)
    return {one.run: f"{one.result} {one.why}".strip() for one in found}


def members(path: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(path) as archive:
        return archive.getmembers()


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_records_arrive_as_they_left(project: Project, other: Project) -> None:
    made = [make(project, days) for days in (40, 3, 2)]
    (project.root / "records/pruned.jsonl").write_text("")
    assert set(take(other, export(project)).values()) == {"imported"}
    for folder in made:
        arrived = store.place(other.root / "kept", folder.name)
        assert content(arrived) == content(folder)
        assert seal.verify(arrived) == []
        assert all((arrived / part).is_dir() for part in store.PARTS)
    assert {path.name for path in (other.root / "kept").iterdir() if not path.name.isdigit()} == {
        ".import-guard",
        "imported",
    }


def reviewed(project: Project, folder: Path, note: str = "Fine.") -> None:
    """Say something of a record; the signature is one of nobody."""
    told = {"run": folder.name, "seal": files.sha256(folder / "seal.json"), "note": note}
    project.write(f"records/reviews/{folder.name}.json", json.dumps(told))
    project.write(f"records/reviews/{folder.name}.sig", f"of {note}")


def drilled(project: Project, folder: Path) -> None:
    seal = files.sha256(folder / "seal.json")
    trained.write(project.root / "records", replace(GOOD, run=folder.name, seal=seal))


def said(project: Project) -> dict[str, str]:
    """What the other project has beside its records."""
    folders = [project.root / "kept" / folder for folder in ("reviews", "training")]
    return {f"{path.parent.name}/{path.name}": path.read_text() for folder in folders for path in folder.glob("*")}


def test_what_is_said_of_a_record_comes_along(project: Project, other: Project) -> None:
    first, left = (make(project, days) for days in (4, 2))
    for folder in (first, left):
        reviewed(project, folder)
        drilled(project, folder)
    archive = export(project, without=[left.name])
    assert all(left.name not in each.name for each in members(archive))
    assert set(take(other, archive).values()) == {"imported"}
    run = first.name
    assert set(said(other)) == {f"reviews/{run}.json", f"reviews/{run}.sig", f"training/{run}.json"}
    assert said(other)[f"reviews/{run}.sig"] == "of Fine."
    # What comes later, and what a crash left out, comes with the next import.
    project.write(f"records/training/{run}.sign-off", "signed")
    (other.root / f"kept/reviews/{run}.sig").unlink()
    assert set(take(other, export(project, "second", run)).values()) == {"there already"}
    assert len(said(other)) == 4


def test_what_is_here_stays_and_is_said(project: Project, other: Project) -> None:
    folder = make(project, 4)
    run = folder.name
    reviewed(project, folder)
    take(other, export(project))
    before = said(other)
    reviewed(project, folder, "Not at all.")
    drilled(project, folder)
    (other.root / "kept/training").write_text("in the way")
    second = export(project, "second")
    differs = f"reviews/{run}.json is here already, and is another one"
    assert take(other, second)[run] == f"there already {differs}; training/ cannot take anything in: File exists"
    assert said(other) == before
    (other.root / "kept/training").unlink()
    (other.root / f"kept/reviews/{run}.json").unlink()
    os.mkfifo(other.root / f"kept/reviews/{run}.json")
    assert "is another one" in take(other, second)[run], "nobody waits for what is no file"


def test_what_says_nothing_of_the_record_stays_out(project: Project, other: Project) -> None:
    one, two, three = (make(project, days) for days in (4, 3, 2))
    drilled(project, one)
    path = trained.path(project.root / "records", one.name)
    path.write_text(path.read_text().replace('"par":120.0', '"par":NaN'))
    reviewed(project, two)
    of_another = (project.root / f"records/reviews/{two.name}.json").read_text()
    project.write(f"records/reviews/{three.name}.json", of_another)
    project.write(f"records/training/{two.name}.json", "[" * 100_000)
    found = take(other, export(project))
    assert found[one.name] == f"imported training/{one.name}.json says nothing of this record"
    assert found[two.name] == f"imported training/{two.name}.json says nothing of this record"
    assert found[three.name] == f"imported reviews/{three.name}.json says nothing of this record"
    assert set(said(other)) == {f"reviews/{two.name}.json", f"reviews/{two.name}.sig"}


def test_an_archive_says_nothing_of_this_machine_but_who_made_it(project: Project) -> None:
    folder = make(project, 2)
    found = members(export(project))
    assert [member.name for member in found[:2]] == ["export.json", f"{store.place(Path(), folder.name)}/journal.jsonl"]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mode) for m in found} == {(0, 0, "", "", 0o644)}
    sealed = json.loads((folder / "seal.json").read_text())["sealed"]
    assert {member.mtime for member in found} == {int(datetime.fromisoformat(sealed).timestamp())}
    with tarfile.open(project.root / "out.tar.gz") as archive:
        told = json.load(archive.extractfile("export.json"))  # type: ignore[arg-type]
    assert told["by"] == context.operator()
    assert told["records"] == {folder.name: {"seal": files.sha256(folder / "seal.json"), "signature": None}}


def test_the_same_records_give_the_same_bytes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795000000")
    for days in (1, 2, 3):
        make(project, days)
    first = export(project, "a.tar.gz").read_bytes()
    for path in (project.root / "records").rglob("*"):
        os.utime(path, (0, 0))
    assert export(project, "b.tar.gz").read_bytes() == first


def test_what_is_chosen(project: Project) -> None:
    old, new = make(project, 40), make(project, 1)
    lost, secret = make(project, 2), make(project, 3)
    (lost / "seal.json").unlink()
    (project.root / "records/quarantine").mkdir()
    secret.rename(project.root / "records/quarantine" / secret.name)

    def runs(name: str, *given: str, **chosen: Any) -> set[str]:
        return {m.name.split("/")[2] for m in members(export(project, name, *given, **chosen)) if "/" in m.name}

    assert runs("all") == {old.name, new.name}
    assert runs("since", since=(datetime.now(UTC) - timedelta(days=10)).date()) == {new.name}
    assert runs("without", without=[new.name]) == {old.name}
    assert runs("named", old.name[:12]) == {old.name}
    for run, said in ((lost, "has no seal: it is lost"), (secret, "is in quarantine")):
        with pytest.raises(InputError, match=said):
            export(project, "refused", run.name)
    with pytest.raises(InputError, match="no sealed record to export"):
        export(project, "refused", without=[old.name, new.name])
    with pytest.raises(InputError, match="RUN excludes --since and --without"):
        export(project, "refused", old.name, without=[new.name])
    assert not (project.root / "refused").exists()


def test_a_damaged_record_is_named_and_nothing_is_written(project: Project) -> None:
    good, bad, worse = make(project, 1), make(project, 2), make(project, 3)
    (bad / "record.json").write_text("{}")
    (worse / "extra").write_text("x")
    with pytest.raises(InputError) as refused:
        export(project)
    assert refused.value.problems == (
        f"{worse.name} is not as it was sealed: extra: was added after the seal.",
        f"{bad.name} is not as it was sealed: record.json: was changed after the seal.",
    )
    assert not list(project.root.glob("*out.tar.gz*"))
    export(project, "good.tar.gz", without=[bad.name, worse.name])
    assert good.name in str(members(project.root / "good.tar.gz"))


def test_a_record_that_changes_meanwhile_leaves_no_archive(project: Project) -> None:
    folder = make(project, 1)

    def change(done: int, total: int) -> None:
        if done == total // 2:
            (folder / "record.json").write_text("{}")

    with pytest.raises(InputError, match="was changed while it was exported"):
        archives.export_records(
            settings.load(project.root, given=True), archives.Chosen(), project.root / "out", change, force=False
        )
    assert not list(project.root.glob("*out*"))


def test_a_file_that_is_there_stays(project: Project) -> None:
    make(project, 1)
    path = export(project)
    first = path.read_bytes()
    with pytest.raises(InputError, match=r"out.tar.gz is there already"):
        export(project)
    assert path.read_bytes() == first
    make(project, 2)
    assert export(project, force=True).read_bytes() != first
    with pytest.raises(InputError, match="lies in the records' folder"):
        export(project, "records/2026/out.tar.gz")
    with pytest.raises(InputError, match="There is no folder"):
        export(project, "nowhere/out.tar.gz")
    assert [p.name for p in project.root.iterdir() if "tar" in p.name] == ["out.tar.gz"]


def test_a_signature_is_named_by_the_manifest(project: Project) -> None:
    folder = make(project, 1)
    (folder / store.SIGNATURE).write_text("signed")
    assert manifest.sealed(folder).signature == files.sha256(folder / store.SIGNATURE)


def test_what_is_there_already_is_not_touched(project: Project, other: Project) -> None:
    same, differs, new = make(project, 1), make(project, 2), make(project, 3)
    take(other, export(project, "first.tar.gz", same.name, differs.name))
    here = store.place(other.root / "kept", differs.name)
    (here / "record.json").write_text("{}")
    (here / "seal.json").unlink()
    seal.seal(here, json.loads((differs / "seal.json").read_text())["journal_head"])
    before = content(here)
    project.write(f"records/reviews/{differs.name}.json", "{}")
    assert take(other, export(project, "second.tar.gz")) == {
        same.name: "there already",
        differs.name: "refused it is here with another seal",
        new.name: "imported",
    }
    assert content(here) == before
    assert not (other.root / "kept/reviews").exists(), "nothing is said of a record that is refused"
    (here / "seal.json").unlink()
    assert take(other, project.root / "second.tar.gz")[differs.name] == "refused it is here, and it is lost"
    (other.root / "kept/quarantine").mkdir()
    here.rename(other.root / "kept/quarantine" / differs.name)
    assert take(other, project.root / "second.tar.gz")[differs.name] == "refused it is here, in quarantine"


def test_leftovers_of_a_crash_go_with_the_next_import(project: Project, other: Project) -> None:
    folder = make(project, 1)
    left = other.root / "kept/.importing/archive/records" / folder.name
    shutil.copytree(folder, left)
    (left / "effects/journal.jsonl").write_text("")
    assert list(store.records(other.root / "kept")) == []
    assert take(other, export(project)) == {folder.name: "imported"}
    assert not (other.root / "kept/.importing").exists()


@pytest.mark.slow
def test_the_commands(project: Project, other: Project) -> None:
    first, second = make(project, 2), make(project, 1)
    out = str(project.root / "out.tar.gz")
    said = json.loads(project.opsbook("records", "export", "--to", out, "--json", check=True).out)
    assert (said["file"], said["records"]) == (out, [first.name, second.name])
    assert project.opsbook("records", "export", "--to", out).code == 2
    assert "2 records in " in project.opsbook("records", "export", "--to", out, "--force", check=True).out
    assert "is no date" in project.opsbook("records", "export", "--to", out, "--since", "soon").err
    assert other.opsbook("records", "import", out).out == "2 imported, 0 there already, 0 refused\n"
    assert "there already" in other.opsbook("records", "import", out, check=True).out
    listed = json.loads(other.opsbook("records", "list", "--json", check=True).out)
    assert [row["run"] for row in listed] == [second.name, first.name]
    (store.place(other.root / "kept", first.name) / "seal.json").unlink()
    refused = other.opsbook("records", "import", out, "--json")
    assert refused.code == 1
    assert [(one["run"], one["result"], one["why"]) for one in json.loads(refused.out)] == [
        (first.name, "refused", "it is here, and it is lost"),
        (second.name, "there already", ""),
    ]
    assert "is no file" in other.opsbook("records", "import", "/dev/zero").err


@pytest.mark.slow
def test_a_terminal_shows_how_far_it_is(project: Project) -> None:
    for days in range(30):
        make(project, days)
    shell = Terminal(project.command("records", "export", "--to", "out.tar.gz"), project)
    assert shell.wait() == 0
    assert "exporting" in shell.screen
    assert "30 records in" in shell.screen


def large(project: Project, count: int) -> None:
    """Records with evidence that takes its time."""
    for days in range(count):
        folder = make(project, days)
        head = json.loads((folder / "seal.json").read_text())["journal_head"]
        for number in range(20):
            (folder / f"effects/{number:04}.bin").write_bytes(os.urandom(50_000))
        (folder / "seal.json").unlink()
        seal.seal(folder, head)


def _reached(process: "subprocess.Popen[str]", folder: Path, pattern: str) -> bool:
    return next(folder.glob(pattern), None) is not None or process.poll() is not None


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["unpacking", "moving"])
def test_a_killed_import_leaves_no_half_record(project: Project, other: Project, moment: str) -> None:
    large(project, 40)
    archive = export(project)
    kept = other.root / "kept"
    marks = {"unpacking": ".importing/archive/records/*/seal.json", "moving": "[0-9]*/*/*/seal.json"}
    # It may be past the moment before the kill: then once more, from the beginning.
    for _ in range(5):
        shutil.rmtree(kept, ignore_errors=True)
        process = other.start("records", "import", str(archive))
        until(partial(_reached, process, kept, marks[moment]), f"the middle of {moment}")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        present = list(store.records(kept))
        if len(present) < (40 if moment == "moving" else 1):
            break
    assert (kept / ".importing").exists()
    assert len(present) < 40
    assert (moment == "moving") == bool(present)
    assert [seal.verify(record.folder) for record in present] == [[]] * len(present)
    found = list(take(other, archive).values())
    assert (found.count("there already"), found.count("imported")) == (len(present), 40 - len(present))
    assert not (kept / ".importing").exists()
    assert all(seal.verify(record.folder) == [] for record in store.records(kept))


@pytest.mark.slow
def test_two_imports_at_once_wait_for_each_other(project: Project, other: Project) -> None:
    large(project, 10)
    archive = str(export(project))
    both = [other.start("records", "import", archive, "--json") for _ in range(2)]
    results = sorted(one["result"] for process in both for one in json.loads(process.communicate()[0]))
    assert results == ["imported"] * 10 + ["there already"] * 10


@pytest.mark.slow
@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.soak)])
def test_many_records_take_seconds(project: Project, other: Project, count: int) -> None:
    for number in range(count):
        make(project, number / 10)
    began = time.monotonic()
    archive = export(project)
    exported = time.monotonic()
    assert set(take(other, archive).values()) == {"imported"}
    taken = exported - began, time.monotonic() - exported
    assert max(taken) < 600, taken
    with gzip.open(archive) as packed:
        assert len(packed.read(1024)) == 1024


def test_incidents_leave_and_arrive_and_who_changes_one_adopts_it(project: Project, other: Project) -> None:
    here, there = (settings.load(each.root, given=True) for each in (project, other))
    run = make(project, 2).name
    over, open_ = (acting.open_(here, acting.Opening(title)).id for title in ("It is down", "It is slow"))
    acting.Acting(here, over).resolve("mended", anyway=False)
    archive = export(project)
    assert take(other, archive) == {run: "imported", over: "imported"}
    assert content(store.place(there.records, over)) == content(store.place(here.records, over))
    assert project.opsbook("records", "verify", over).code == 0
    assert set(take(other, archive).values()) == {"there already"}
    with pytest.raises(Refused, match="was imported"):
        acting.Acting(there, over).note("seen from here")
    with pytest.raises(InputError, match=f"{open_} has no seal: it is open"):
        export(project, "open.tar.gz", open_)
    acting.Acting(here, over).note("more is known")
    refused, yesterday = {over: "refused it is here with another seal"}, datetime.now(UTC).date() - timedelta(days=1)
    assert take(other, export(project, "later.tar.gz", over)) == refused
    assert take(other, export(project, "since.tar.gz", since=yesterday)) == refused
