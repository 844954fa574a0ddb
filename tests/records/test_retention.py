"""What is kept, what may go, and that nothing goes that somebody may still need."""

import fcntl
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from opsbook import files, settings
from opsbook.core.locks import lock
from opsbook.core.record import logbook, step_timings
from opsbook.incidents import acting, facts
from opsbook.incidents import store as incidents
from opsbook.records import retention
from tests.support.project import Project, Terminal, until
from tests.support.sealed import make

pytestmark = pytest.mark.slow

YEAR = '[retention]\nkeep = "365d"\nkeep_failed = "730d"\nkeep_last = 1\n'
OLD_FORMAT = Path(__file__).parents[1] / "data/records-format-1.tar.gz"


def policy(project: Project, text: str = YEAR) -> None:
    project.write("opsbook.toml", 'records = "records"\n' + text)


def prune(project: Project, *options: str) -> list[str]:
    """The runs that prune names."""
    result = project.opsbook("records", "prune", "--json", *options, check=True)
    return [one["run"] for one in json.loads(result.out)["records"]]


def left(project: Project) -> set[str]:
    return {one["run"] for one in json.loads(project.opsbook("records", "list", "--limit", "99", "--json").out)}


def gone(project: Project) -> list[dict[str, Any]]:
    path = project.root / "records/pruned.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_nothing_is_ever_removed_without_a_policy(project: Project) -> None:
    make(project, 5000)
    result = project.opsbook("records", "prune", "--yes")
    assert result.code == 2
    assert "opsbook.toml has no [retention]: every record is kept." in result.err
    policy(project, "[retention]\nkeep_last = 0\n")
    assert prune(project, "--yes") == []
    assert len(left(project)) == 1


def test_it_shows_first_and_removes_then(project: Project) -> None:
    policy(project)
    old, new = make(project, 366), make(project, 1)
    seal_digest = files.sha256(old / "seal.json")
    said = project.opsbook("records", "prune", check=True).out
    assert f"{old.name}  dev          succeeded  keep = 365d" in said
    assert "1 records would be removed; opsbook records prune --yes removes them." in said
    assert (old.exists(), gone(project)) == (True, [])
    assert "1 records removed." in project.opsbook("records", "prune", "--yes", check=True).out
    assert left(project) == {new.name}
    assert not old.exists()
    assert not list((project.root / "records/.pruning").iterdir())
    (line,) = gone(project)
    assert (line["run"], line["seal"], line["outcome"], line["rule"]) == (
        old.name,
        seal_digest,
        "succeeded",
        "keep = 365d",
    )
    assert line["by"].count("@") == 1
    shown = project.opsbook("records", "show", old.name)
    assert shown.code == 2
    assert "Its record was pruned on 20" in shown.err
    assert "Every record is kept." in project.opsbook("records", "prune", check=True).out


def test_failures_have_a_time_of_their_own(project: Project) -> None:
    policy(project)
    make(project, 1)
    outcomes = ("succeeded", "refused", "checked", "failed", "rolled-back", "rollback-failed", "cancelled", "waiting")
    young = {outcome: make(project, 400, outcome).name for outcome in outcomes}
    old = {outcome: make(project, 800, outcome).name for outcome in outcomes}
    well = ("succeeded", "refused", "checked")
    assert set(prune(project)) == {young[outcome] for outcome in well} | set(old.values())
    policy(project, '[retention]\nkeep = "365d"\nkeep_last = 1\n')
    assert set(prune(project)) == {each[outcome] for outcome in well for each in (young, old)}


def test_the_newest_of_each_runbook_and_environment_stay(project: Project) -> None:
    policy(project, '[retention]\nkeep = "1d"\nkeep_last = 2\n')
    places = [("page", "dev"), ("page", "prod"), ("other", "dev")]
    made = {place: [make(project, age, "succeeded", *place).name for age in (10, 20, 30)] for place in places}
    assert set(prune(project)) == {runs[2] for runs in made.values()}


def test_what_is_never_removed(project: Project) -> None:
    policy(project, '[retention]\nkeep = "1d"\nkeep_failed = "1d"\nkeep_last = 0\n')
    normal = make(project, 100)
    held, locking, lost, damaged, secret = (make(project, 100) for _ in range(5))
    project.opsbook("records", "hold", held.name, "--reason", "Court case 12", check=True)
    lock.acquire(
        project.root / ".opsbook", [lock.Lock("dev/x", locking.name, "ann@host", "why", "2026-01-01T00:00:00Z")]
    )
    (lost / "seal.json").unlink()
    (damaged / "record.json").write_text("[]")
    (project.root / "records/quarantine").mkdir()
    secret.rename(project.root / "records/quarantine" / secret.name)
    running = make(project, 100)
    (running / "seal.json").unlink()
    kept = {held.name, locking.name, lost.name, damaged.name, secret.name, running.name}
    with (running / "journal.jsonl").open() as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        assert prune(project) == [normal.name]
        assert prune(project, "--yes") == [normal.name]
    assert left(project) == kept
    assert [line["run"] for line in gone(project)] == [normal.name]


def test_a_record_that_a_process_still_holds_stays(project: Project) -> None:
    policy(project, '[retention]\nkeep = "1d"\nkeep_last = 0\n')
    busy = make(project, 100)
    with (busy / "journal.jsonl").open() as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        said = project.opsbook("records", "prune", "--yes", check=True).out
    assert said == f"{busy.name} is in use and stays.\n0 records removed.\n"
    assert prune(project, "--yes") == [busy.name]


def test_what_an_incident_without_a_closed_review_names_is_kept(project: Project) -> None:
    policy(project, '[retention]\nkeep = "1d"\nkeep_last = 0\n')
    named, other = make(project, 9), make(project, 8)
    here = settings.load(project.root, given=True)
    found = acting.open_(here, acting.Opening("It is down")).id
    attached = facts.RunAttached(run=named.name, runbook="page", by="ann")
    incidents.change(here, incidents.exact(here, found), lambda _: [attached])
    acting.Acting(here, found).resolve("mended", anyway=False)
    assert prune(project, "--yes") == [other.name]
    project.opsbook("incident", "review", "last", check=True)
    page = project.root / f"reviews/{found}.md"
    page.write_text(page.read_text().replace("TODO", "done"))
    project.opsbook("incident", "review", "last", "--close", check=True)
    assert prune(project, "--yes") == [named.name]
    assert project.opsbook("records", "verify", "--all").code == 0


def test_a_lock_of_nobody_knows_whom_keeps_everything(project: Project) -> None:
    policy(project, '[retention]\nkeep = "1d"\nkeep_last = 0\n')
    make(project, 100)
    project.write(".opsbook/locks/dev+x.json", "{")
    result = project.opsbook("records", "prune", "--yes")
    assert result.code == 4
    assert "dev/x is locked, and the lock file dev+x.json is damaged: any record may belong to it." in result.err


def test_a_hold_lies_outside_the_record(project: Project) -> None:
    policy(project, '[retention]\nkeep = "1d"\nkeep_last = 0\n')
    record = make(project, 100)
    before = sorted(record.rglob("*"))
    project.opsbook("records", "hold", "last", "--reason", "Court case 12", check=True)
    assert sorted(record.rglob("*")) == before
    assert project.opsbook("records", "verify", "last").code == 0
    shown = project.opsbook("records", "show", "last", check=True).out
    assert "held by" in shown
    assert "Court case 12" in shown
    again = project.opsbook("records", "hold", "last", "--reason", "Another")
    assert again.code == 2
    assert "Court case 12" in again.err
    assert prune(project) == []
    for reason in ("", "  "):
        assert project.opsbook("records", "release", record.name, "--reason", reason).code == 2
    said = project.opsbook("records", "release", record.name[:20], "--reason", "Settled", check=True).out
    assert "Court case 12" in said
    assert prune(project) == [record.name]
    lines = [json.loads(line) for line in (project.root / "records/holds.jsonl").read_text().splitlines()]
    assert [(line["action"], line["run"], line["reason"]) for line in lines] == [
        ("hold", record.name, "Court case 12"),
        ("release", record.name, "Settled"),
    ]
    assert all(line["by"] and line["time"] for line in lines)
    assert project.opsbook("records", "release", record.name, "--reason", "x").code == 2
    assert project.opsbook("records", "hold", "nothing", "--reason", "x").code == 2


def test_an_unreadable_list_of_holds_keeps_everything(project: Project) -> None:
    policy(project, '[retention]\nkeep = "1d"\nkeep_last = 0\n')
    make(project, 100)
    for text in ("{", "5\n", '{"run": 5}\n', '{"by": "x"}\n', "\xff", "[" * 200_000):
        (project.root / "records/holds.jsonl").write_text(text, encoding="latin-1")
        result = project.opsbook("records", "prune", "--yes")
        assert result.code == 2, text[:20]
        assert "holds.jsonl" in result.err
        assert project.opsbook("records", "show", "last").code == 0
    assert len(left(project)) == 1


def test_a_list_whose_last_line_was_cut_short_keeps_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    logbook.append(path, {"run": "a"})
    with path.open("a") as file:
        file.write('{"run": "b')
    logbook.append(path, {"run": "c"})
    assert path.read_text().splitlines() == ['{"run": "a"}', '{"run": "b', '{"run": "c"}']


@pytest.mark.parametrize(
    "crash", ["before the rename", "before the line", "before the end", "in the middle of deleting"]
)
def test_a_crash_leaves_no_half_record(project: Project, crash: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was reached: the record is whole in its place, or away, explained, and gone after the next pruning."""
    policy(project, '[retention]\nkeep = "1d"\nkeep_last = 0\n')
    folder = make(project, 100)
    root = project.root / "records"
    old = retention.Old(folder.name, folder, "page", "dev", "succeeded", "keep = 1d")

    class PowerCut(BaseException):
        pass

    def cut(*_: object, **__: object) -> None:
        raise PowerCut

    def half(path: Path) -> None:
        (path / "plan.json").unlink(missing_ok=True)
        (path / "seal.json").unlink()
        raise PowerCut

    where: dict[str, tuple[Any, str, Any]] = {
        "before the rename": (Path, "rename", cut),
        "before the line": (logbook, "append", cut),
        "before the end": (shutil, "rmtree", cut),
        "in the middle of deleting": (shutil, "rmtree", half),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*where[crash])
        with pytest.raises(PowerCut):
            retention.remove(root, old, "ann@host")
    whole = crash == "before the rename"
    assert folder.exists() == whole
    assert (folder.name in left(project)) == whole
    if whole:
        assert project.opsbook("records", "verify", folder.name).code == 0
    prune(project, "--yes")
    assert [line["run"] for line in gone(project)] == [folder.name]
    assert not folder.exists()
    assert not list((root / ".pruning").iterdir())


def test_wrong_policies_are_named(project: Project) -> None:
    for text, said in (
        ('keep = "1y"', "retention.keep: Value error, write days, such as 365d"),
        ("keep = 365", "retention.keep: Input should be a valid string"),
        ('keep = "0d"', "write days, such as 365d"),
        ("keep_last = -1", "retention.keep_last: Input should be greater than or equal to 0"),
        ('kept = "1d"', "retention.kept: Extra inputs are not permitted"),
    ):
        policy(project, f"[retention]\n{text}\n")
        result = project.opsbook("records", "prune")
        assert result.code == 2
        assert said in result.err


def test_two_at_once(project: Project) -> None:
    policy(project, '[retention]\nkeep = "1d"\nkeep_last = 0\n')
    made = {make(project, 100 + n).name for n in range(20)}
    both = [project.start("records", "prune", "--yes") for _ in range(2)]
    for process in both:
        out, _ = process.communicate(timeout=180)
        assert process.returncode == 0, out
    assert left(project) == set()
    assert sorted(line["run"] for line in gone(project)) == sorted(made)


# -- records of an earlier version


@pytest.fixture
def old_format(project: Project) -> Project:
    """Two records that the engine of version 0.1.0 made: seal format 1, a deployment of 1.0.0 and one of 1.10."""
    with tarfile.open(OLD_FORMAT) as archive:
        # The filter came with Python 3.11.4.
        options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(project.root / "records", **options)
    return project


def test_records_of_format_1_still_verify(old_format: Project) -> None:
    said = old_format.opsbook("records", "verify", "--all", check=True).out
    assert said.startswith("2 records are as they were sealed")
    for record in old_format.records():
        assert json.loads((record / "seal.json").read_text())["format"] == 1
    (old_format.records()[0] / "plan.json").write_text("{}")
    assert old_format.opsbook("records", "verify", "--all").code == 1


def test_records_of_format_1_are_listed_shown_and_compared(old_format: Project) -> None:
    rows = json.loads(old_format.opsbook("records", "list", "--json", check=True).out)
    assert [(row["runbook"], row["outcome"]) for row in rows] == [("write-it", "succeeded")] * 2
    shown = old_format.opsbook("records", "show", "last", check=True).out
    assert "Steps / Write it" in shown
    assert "version=1.10" in shown
    found = json.loads(old_format.opsbook("records", "diff", "last", "--json", check=True).out)
    assert found["parameters"] == [{"what": "version", "before": "1.0.0", "after": "1.10"}]
    assert [step["step"] for step in found["steps"] if step["effects"]] == ["write-it"]
    assert step_timings.seconds(old_format.root / "records", "write-it", "dev").keys() == {
        "look-first",
        "write-it",
        "tell-the-team",
    }


def test_records_of_format_1_can_be_pruned(old_format: Project) -> None:
    policy(old_format, '[retention]\nkeep = "1d"\nkeep_last = 1\n')
    first, second = (record.name for record in old_format.records())
    if prune(old_format, "--yes"):  # They are of 2026-11-21: on that day they are too young.
        assert left(old_format) == {second}
        assert [line["run"] for line in gone(old_format)] == [first]


# -- how long steps usually take


def test_the_usual_time_is_the_median_of_the_last_good_runs(project: Project) -> None:
    root = project.root / "records"
    assert step_timings.seconds(root, "page", "dev") == {}
    for days, seconds in enumerate((2, 4, 100, 6, 8)):
        make(project, days + 1, seconds=seconds)
    make(project, 0.1, "failed", seconds=999)
    make(project, 0.2, environment="prod", seconds=999)
    make(project, 0.3, runbook="a-page", seconds=999)
    (make(project, 0.4, seconds=999) / "record.json").write_text("{}")
    (make(project, 0.5, seconds=999) / "record.json").unlink()
    os.mkfifo(project.records()[-1] / "pipe")
    assert step_timings.seconds(root, "page", "dev") == {"one": 6}
    for days in range(10):
        make(project, 0.6 + days / 100, seconds=3)
    assert step_timings.seconds(root, "page", "dev") == {"one": 3}


def test_a_run_says_what_is_usual(project: Project) -> None:
    project.page("## Steps\n\n### One\n```python\nprint('x')\n```\n\n### New\n```python\npass\n```\n")
    make(project, 1, seconds=25)
    said = project.opsbook("run", "page", "-e", "dev", check=True).out
    assert "Steps / One  step 1 of 2  (usually 25 s)\n" in said
    assert "Steps / New  step 2 of 2\n" in said


def test_a_terminal_shows_what_is_usual_beside_the_time_so_far(project: Project) -> None:
    waits = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.05)"
    project.page(f"## Steps\n\n### One\n```python\n{waits}\n```\n")
    make(project, 1, seconds=25)
    terminal = Terminal(project.command("run", "page", "-e", "dev", "--yes"), project)
    until(lambda: " s (usually 25 s)" in terminal.screen, "the usual time")
    project.write("go", "")
    assert terminal.wait() == 0
