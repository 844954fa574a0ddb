"""Files that somebody or something broke: one sentence with the file's name, exit 2, and all others still work."""

import json
import os
from pathlib import Path

import pytest

from opsbook.core.locks import lock
from opsbook.errors import Refused
from tests.support.project import Project

BY_HAND = "## Steps\n\n### By hand\nDo something.\n"


# -- opsbook.toml


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("records = 5", "records: Input should be a valid string"),
        ('records = ""', "records: String should have at least 1 character"),
        ("keep_environment = 5", "keep_environment: Input should be a valid list"),
        ("keep_environment = [1]", "keep_environment.0: Input should be a valid string"),
        ("vault_password_file = 5", "vault_password_file: Input should be a valid string"),
        ('records = "/dev/null/x"', "records: /dev/null is not a folder."),
        ('state = "/dev/null/x/y"', "state: /dev/null is not a folder."),
        ('state = "opsbook.toml"', "opsbook.toml is not a folder."),
        ('state = "a\\u0000b"', "state: "),
        (f'records = "{"x" * 300}"', "records: "),
        ('recrods = "x"', "unknown setting recrods."),
        ("records = ", "not valid TOML"),
        ("records = " + "[" * 100_000, "not valid TOML"),
    ],
)
def test_settings(project: Project, text: str, said: str) -> None:
    project.write("opsbook.toml", text)
    for command in (["list"], ["run", "page", "-e", "dev"]):
        result = project.opsbook(*command)
        assert (result.code, result.out) == (2, "")
        assert "opsbook.toml" in result.err
        assert said in result.err


def test_settings_that_cannot_be_read(project: Project) -> None:
    (project.root / "mkdocs.yml").touch()
    (project.root / "opsbook.toml").unlink()
    (project.root / "opsbook.toml").symlink_to("nowhere")
    result = project.opsbook("list")
    assert result.code == 2
    assert "opsbook.toml cannot be read" in result.err


# -- documents and environments


def test_one_broken_page_hides_no_other(project: Project) -> None:
    project.page(BY_HAND)
    project.page(BY_HAND, "dated").write_text("---\nreviewed: 2026-02-30\n---\n" + BY_HAND)
    (project.root / "runbooks/gone.md").symlink_to("nowhere.md")
    (project.root / "runbooks/dir.md").mkdir()
    listed = json.loads(project.opsbook("list", "--json", check=True).out)
    assert [entry["name"] for entry in listed] == ["dated", "page"]
    checked = project.opsbook("check")
    assert checked.code == 2
    assert "runbooks/gone.md:1:1 D006 cannot be read" in checked.out
    assert "runbooks/dir.md:1:1 D006 cannot be read" in checked.out
    assert "runbooks/dated.md:2:1 F003 reviewed" in checked.out
    for name in ("gone", "dir", "dated"):
        result = project.opsbook("run", name, "-e", "dev")
        assert result.code == 2
        assert f"runbooks/{name}.md" in result.err
    assert project.opsbook("check", "page").code == 0


def test_one_broken_environment_hides_no_other(project: Project) -> None:
    project.page(BY_HAND)
    project.write("playbooks/inventories/bad/hosts.yml", "all:\n  hosts: 5\n")
    result = project.opsbook("env", "list")
    assert result.code == 2
    assert "Development" in result.out
    assert "bad/hosts.yml: all.hosts: " in result.err
    assert project.opsbook("plan", "page", "-e", "dev").code == 0
    assert "bad/hosts.yml" in project.opsbook("plan", "page", "-e", "bad").err


# -- locks


def _lock(target: str, run: str = "r1") -> lock.Lock:
    return lock.Lock(target, run, "ann@host", "Deploy", "2026-11-20T00:00:00Z")


@pytest.mark.parametrize("content", ["{}", "", "garbage", "[1]", '{"target": 5}', "[" * 100_000, "\xff"])
def test_a_damaged_lock_is_still_a_lock(project: Project, content: str) -> None:
    (project.root / ".opsbook/locks").mkdir(parents=True)
    (project.root / ".opsbook/locks/dev+app.json").write_bytes(content.encode("latin-1"))
    shown = project.opsbook("locks", check=True).out
    assert "dev/app" in shown
    assert "the lock file dev+app.json is damaged" in shown
    with pytest.raises(Refused, match="dev/app is locked by unknown"):
        lock.acquire(project.root / ".opsbook", [_lock("dev/app/web-1")])
    lock.acquire(project.root / ".opsbook", [_lock("dev/db")])
    freed = project.opsbook("unlock", "dev/app", "--reason", "nothing works on it", check=True)
    assert "dev/app is free again" in freed.out
    lock.acquire(project.root / ".opsbook", [_lock("dev/app/web-1")])


def test_a_lock_that_is_no_file(project: Project) -> None:
    folder = project.root / ".opsbook/locks"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "a.json")
    (folder / "b.json").symlink_to("nowhere")
    (folder / "c.json").mkdir()
    assert [held.target for held in lock.holders(folder.parent)] == ["a", "b", "c"]
    assert project.opsbook("unlock", "a", "--reason", "x").code == 0
    assert project.opsbook("unlock", "b", "--reason", "x").code == 0
    assert "c.json cannot be removed" in project.opsbook("unlock", "c", "--reason", "x").err


def test_lock_files_of_long_and_odd_targets(tmp_path: Path) -> None:
    long = ["dev/" + "x" * 300, "dev/" + "x" * 301, "dev/" + "/".join("y" * 50 for _ in range(20))]
    odd = ["dev/a+b", "dev/a/b2", "dev/a b", "dev/a_b", "dev/ä", ".."]
    for number, target in enumerate(long + odd):
        lock.acquire(tmp_path, [_lock(target, f"r{number}")])
    assert {held.target for held in lock.holders(tmp_path)} == {*long, *odd}
    assert (tmp_path / "locks/dev+a+b2.json").is_file()
    for number, target in enumerate(long + odd):
        with pytest.raises(Refused):
            lock.acquire(tmp_path, [_lock(target, "other")])
        lock.release(tmp_path, f"r{number}")
    assert lock.holders(tmp_path) == []


def test_a_damaged_lock_of_a_long_target_still_holds_it(tmp_path: Path) -> None:
    target = "dev/" + "x" * 300
    lock.acquire(tmp_path, [_lock(target)])
    (path,) = (tmp_path / "locks").glob("*.json")
    path.write_text("{}")
    for wanted in (target, "dev"):
        with pytest.raises(Refused, match="damaged"):
            lock.acquire(tmp_path, [_lock(wanted, "r2")])
    lock.unlock(tmp_path, lock.holders(tmp_path)[0].target, lambda _: None)
    lock.acquire(tmp_path, [_lock(target, "r2")])


def test_a_run_without_locks_needs_no_place_for_them(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    lock.acquire(tmp_path / "state", [])
    lock.release(tmp_path / "state", "r1")
    with pytest.raises(Refused, match="No lock can be taken"):
        lock.acquire(tmp_path / "state", [_lock("dev")])
