"""opsbook new: every kind of page is good from the start, and runs."""

import stat
import subprocess
import tarfile
from pathlib import Path
from typing import get_args

import pytest

from opsbook.cli import main
from opsbook.core.catalog import catalog
from opsbook.core.model.front import Kind
from opsbook.lint import checks
from opsbook.settings import Settings
from tests.support.project import Project

KINDS = get_args(Kind)


def settings(project: Project) -> Settings:
    return Settings(project.root, project.root / "records", project.root / ".opsbook")


def test_every_kind_is_good_from_the_start(project: Project) -> None:
    for kind in KINDS:
        for options in ([f"a-{kind}"], [f"by-hand-{kind}", "--procedure"]):
            assert main.main(["--project", str(project.root), "new", *options, "--kind", kind]) == 0
    assert [str(problem) for problem in checks.check(settings(project), [])] == []
    found = {entry.name: entry for entry in catalog.entries(settings(project))}
    for kind in KINDS:
        assert found[f"a-{kind}"].front.kind == found[f"by-hand-{kind}"].front.kind == kind
        assert found[f"by-hand-{kind}"].path.parent.name == "procedures"
        assert not any(step.cells for step in catalog.load(settings(project), f"by-hand-{kind}").steps())
    assert found["a-deploy"].path.parent.name == "runbooks"
    assert found["a-deploy"].title == "A deploy"
    assert not [path for path in project.root.rglob("*.md") if "__" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    ("title", "owner"),
    [
        ("Restart: the [cache] # now", 'O\'Brien, "ops": team'),
        ("null", "2026-11-20"),
        ("__OWNER__ & $x {{ y }}", "- a"),
        ("Zürich \\ ✓", "yes"),
    ],
)
def test_titles_and_owners_may_hold_anything(project: Project, title: str, owner: str) -> None:
    project.opsbook("new", "page", "--title", f"  {title}\n", "--owner", owner, check=True)
    page = catalog.load(settings(project), "page")
    assert (page.front.title, page.front.owner) == (title, owner)
    assert [str(problem) for problem in checks.check(settings(project), [])] == []


def test_the_owner_is_who_git_says(project: Project) -> None:
    config = project.write("gitconfig", "[user]\n\tname = Ada Lovelace\n")
    project.env |= {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"}
    done = project.opsbook("new", "page", check=True)
    assert catalog.load(settings(project), "page").front.owner == "Ada Lovelace"
    assert done.out.startswith(str(project.root / "runbooks/page.md"))
    assert "opsbook run page -e dev" in done.out
    project.env["PATH"] = "/nowhere"
    project.opsbook("new", "other", check=True)
    assert catalog.load(settings(project), "other").front.owner


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("two words", "is no usable name"),
        ("runbooks/x", "is no usable name"),
        ("../x", "is no usable name"),
        ("x.md", "is no usable name"),
        ("-x", "the following arguments are required"),
        ("", "is no usable name"),
        ("taken", "The name taken is taken by procedures/by/team/taken.md"),
    ],
)
def test_a_name_that_cannot_be_one_leaves_nothing(project: Project, name: str, said: str) -> None:
    project.write("procedures/by/team/taken.md", "# Taken\n")
    before = sorted(project.root.rglob("*"))
    done = project.opsbook("new", name)
    assert done.code == 2
    assert said in done.err
    assert sorted(project.root.rglob("*")) == before


def test_what_is_there_is_never_overwritten(project: Project) -> None:
    (project.root / "runbooks/page.md").symlink_to("elsewhere.md")
    (project.root / "procedures").write_text("a file")
    assert project.opsbook("new", "page").code == 2
    done = project.opsbook("new", "list", "--procedure")
    assert (done.code, (project.root / "procedures").read_text()) == (2, "a file")
    assert sorted(path.name for path in (project.root / "runbooks").iterdir()) == ["page.md"]


def ran(project: Project, kind: str, *options: str) -> None:
    project.opsbook("new", f"a-{kind}", "--kind", kind, check=True)
    project.opsbook("run", f"a-{kind}", "-e", "dev", *options, check=True)
    assert project.summary()["outcome"] == "succeeded"


@pytest.mark.slow
def test_deploying(project: Project) -> None:
    ran(project, "deploy")
    project.opsbook("run", "a-deploy", "-e", "dev", "-p", "version=1.10", check=True)
    folder = project.root / ".opsbook/a-deploy"
    assert (folder / "current").readlink() == Path("1.10")
    (folder / "2/VERSION").mkdir(parents=True)
    failed = project.opsbook("run", "a-deploy", "-e", "dev", "-p", "version=2")
    assert failed.code == 1
    assert (folder / "current").readlink() == Path("1.10")


@pytest.mark.slow
def test_an_incident_and_maintenance(project: Project, tmp_path: Path) -> None:
    logs = tmp_path / "some logs"
    logs.mkdir()
    for name in ("old.log", "new.log"):
        (logs / name).write_text(name)
    subprocess.run(["touch", "-d", "40 days ago", logs / "old.log"], check=True)
    ran(project, "maintenance", "-p", f"folder={logs}")
    assert sorted(path.name for path in logs.iterdir()) == ["new.log", "old.log.gz"]
    ran(project, "incident", "-p", f"folder={logs}")
    assert sorted(path.name for path in logs.iterdir()) == ["new.log"]


@pytest.mark.slow
def test_recovering(project: Project, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "data"
    source.mkdir()
    (source / "file").write_text("good")
    with tarfile.open(tmp_path / "backup.tar.gz", "w:gz") as archive:
        archive.add(source / "file", "file")
    target.mkdir()
    (target / "file").write_text("bad")
    ran(project, "recovery", "-p", f"backup={tmp_path / 'backup.tar.gz'}", "-p", f"folder={target}")
    assert (target / "file").read_text() == "good"
    assert (tmp_path / "data.before/file").read_text() == "bad"


@pytest.mark.slow
def test_a_new_key_is_in_no_record(project: Project) -> None:
    ran(project, "security", "--answer", "tell-whoever-uses-it=done")
    key = project.root / ".opsbook/a-security.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    text = key.read_bytes().strip()
    assert not [path for path in project.root.glob("records/**/*") if path.is_file() and text in path.read_bytes()]


@pytest.mark.slow
def test_the_other_kinds(project: Project) -> None:
    ran(project, "environment")
    assert (project.root / ".opsbook/a-environment/data").is_dir()
    ran(project, "check")
    ran(project, "capacity", "--answer", "grow-the-disk=skip")
    answers = ("first=diagnose", "find-your-way-around=done", "read-the-record=done")
    ran(project, "training", *(part for answer in answers for part in ("--answer", answer)))
    steps = ("nobody-else-is-working-on-it", "say-that-you-begin", "do-it", "say-that-it-is-over")
    ran(project, "procedure", *(part for step in steps for part in ("--answer", f"{step}=done")))
