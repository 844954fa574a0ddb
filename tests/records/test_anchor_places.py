"""Where an anchor may stand: files and git branches, others who write there, and what the commands say of it."""

import fcntl
import json
import os
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.planning import context
from opsbook.errors import InputError, Refused
from opsbook.records import anchoring
from tests.support.anchors import ANEW, REMOVED, anchor, compared, lines, reseal, said
from tests.support.project import Project
from tests.support.sealed import make


def test_places_that_cannot_be(project: Project, tmp_path: Path) -> None:
    make(project, 1)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (project.root / "link").symlink_to(project.root / "records/a")
    for place, what in {
        "records/anchor.jsonl": "lies in the records' folder",
        "link": "lies in the records' folder",
        "records/2026/../x": "lies in the records' folder",
        "git:records/a.git": "lies in the records' folder",
        "git:": "names no place",
        "git:#branch": "names no place",
        "a\0b": "is no place|names no place",
        "nowhere/anchor.jsonl": "cannot be reached: No such file",
        str(tmp_path / "folder"): "cannot be reached: Is a directory",
        str(tmp_path / "pipe"): "is no file|cannot be reached",
        "git:nowhere": "cannot be reached: git ls-remote: fatal: 'nowhere' does not appear to be a git repository",
        "git:--upload-pack=/bin/false": "cannot be reached",
        "git:ext::sh -c echo": "cannot be reached: git ls-remote: fatal: transport 'ext' not allowed",
        "git:x#bad..name": "is no name of a branch",
        "git:https://me:hidden@127.0.0.1:1/x": "https://…@127.0.0.1:1/x",
    }.items():
        with pytest.raises(InputError, match=what) as error:
            anchor(project, place)
        assert error.value.hint
        assert "hidden" not in error.value.message
    with pytest.raises(InputError, match="There is no place for the anchor"):
        anchor(project, None)
    assert not list((project.root / ".opsbook").rglob("tmp*"))


def test_a_place_that_is_empty_or_gone_is_said(project: Project, place: str) -> None:
    found = compared(project, place)
    assert (found.unread, found.flaws) == (True, {})
    assert "Nothing is anchored in " in found.said
    assert anchor(project, place).records == {}
    assert not Path(place).exists()
    make(project, 1)
    anchor(project, place)
    gone = Path(place.removeprefix("git:"))
    gone.rename(gone.with_name("away"))
    assert compared(project, place).unread


def test_the_anchor_of_another_folder_is_refused(project: Project, place: str, tmp_path: Path) -> None:
    make(project, 1)
    anchor(project, place)
    other = Project(tmp_path / "other")
    other.write("opsbook.toml", "")
    make(other, 1)
    before = lines(place)
    with pytest.raises(Refused, match="is the anchor of another records folder: none of its 1 records is here"):
        anchor(other, place)
    assert lines(place) == before


def test_user_and_host_stand_in_a_place(project: Project, tmp_path: Path) -> None:
    make(project, 1)
    user, _, host = context.operator().partition("@")
    anchor(project, str(tmp_path / "{host}-{user}"))
    assert (tmp_path / f"{host}-{user}").exists()


def test_a_full_disk_leaves_the_chain_whole(project: Project) -> None:
    make(project, 1)
    with pytest.raises(InputError, match="cannot be reached: No space left on device|is no file"):
        anchor(project, "/dev/full")


def test_a_branch_of_something_else_is_left_alone(project: Project, tmp_path: Path) -> None:
    make(project, 1)
    repository = tmp_path / "work"
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", "-b", "main", repository], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    with pytest.raises(InputError, match=r"has no file anchor.jsonl"):
        anchor(project, f"git:{repository}#main")
    # What else lies on the anchor's own branch stays.
    anchor(project, f"git:{repository}")
    subprocess.run([*git, "checkout", "-q", "opsbook-anchor"], check=True)
    (repository / "README").write_text("What this is.")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "Say what this is"], check=True)
    subprocess.run([*git, "checkout", "-q", "main"], check=True)
    make(project, 0)
    anchor(project, f"git:{repository}")
    shown = subprocess.run(
        [*git, "log", "--format=%an <%ae> %s", "opsbook-anchor"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    user = context.operator().partition("@")[0]
    ours = f"{user} <{context.operator()}> Anchor what is sealed"
    assert shown == [ours, "a <a@b> Say what this is", ours]
    tree = subprocess.run(
        [*git, "ls-tree", "--name-only", "opsbook-anchor"], capture_output=True, text=True, check=True
    )
    assert tree.stdout.split() == ["README", "anchor.jsonl"]


def test_git_needs_nothing_of_the_user(project: Project, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from a hook of another repository."""
    make(project, 1)
    for name, value in {
        "HOME": "/nonexistent",
        "GIT_DIR": "/nonexistent",
        "GIT_INDEX_FILE": "/nonexistent",
        "GIT_WORK_TREE": "/nonexistent",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert anchor(project, place).seq == 1


def test_a_hook_that_refuses_is_told_at_once(project: Project, tmp_path: Path) -> None:
    make(project, 1)
    repository = tmp_path / "anchor.git"
    subprocess.run(["git", "init", "-q", "--bare", repository], check=True)
    hook = repository / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho asked >> asked; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(InputError, match="git push: .*pre-receive hook declined"):
        anchor(project, f"git:{repository}")
    assert (repository / "asked").read_text() == "asked\n"


HASTY = """\
#!/bin/sh
# Whoever pushes finds that somebody was faster, as often as `count` says.
cd "$GIT_DIR"; unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
read -r left < count
test "$left" -gt 0 || exit 0
echo $((left - 1)) > count
tip=$(git rev-parse -q --verify refs/heads/opsbook-anchor)
faster=$(git commit-tree "$tip^{tree}" -p "$tip" -m faster)
git update-ref refs/heads/opsbook-anchor "$faster"
"""


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 4, 9])
def test_somebody_who_is_faster_is_followed_and_never_overwritten(project: Project, tmp_path: Path, times: int) -> None:
    repository = tmp_path / "anchor.git"
    subprocess.run(["git", "init", "-q", "--bare", repository], check=True)
    git = ["git", "-C", str(repository)]
    make(project, 1)
    anchor(project, f"git:{repository}")
    for key, value in {"user.name": "a", "user.email": "a@b"}.items():
        subprocess.run([*git, "config", key, value], check=True)
    (repository / "count").write_text(f"{times}\n")
    hook = repository / "hooks/pre-receive"
    hook.write_text(HASTY)
    hook.chmod(0o755)
    make(project, 0)
    if times > 5:
        with pytest.raises(InputError, match="others were faster 5 times"):
            anchor(project, f"git:{repository}")
    else:
        assert anchor(project, f"git:{repository}").seq == 2
    log = subprocess.run([*git, "log", "--format=%s", "opsbook-anchor"], capture_output=True, text=True, check=True)
    assert log.stdout.split("\n").count("faster") == min(times, 5)
    assert len(lines(f"git:{repository}")) == (1 if times > 5 else 2)


@pytest.mark.slow
def test_many_at_once_end_in_one_chain(project: Project, place: str) -> None:
    """Six processes, while records come in."""
    first = make(project, 1)
    anchor(project, place)
    made = {first.name}
    started = []
    for number in range(6):
        made.add(make(project, number / 10).name)
        started.append(project.start("records", "anchor", "--to", place))
    ends = [(process.communicate()[0], process.returncode) for process in started]
    assert {code for _, code in ends} <= ({0} if not place.startswith("git:") else {0, 2}), ends
    anchor(project, place)
    assert said(project, place) == {}
    written = [run for line in lines(place) for run in line["records"]]
    assert sorted(written) == sorted(made)


def test_a_lock_on_the_file_is_waited_for(project: Project, file: str) -> None:
    make(project, 2)
    anchor(project, file)
    make(project, 1)
    with Path(file).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = project.start("records", "anchor", "--to", file)
        time.sleep(0.3)
        assert len(lines(file)) == 1
        fcntl.flock(held, fcntl.LOCK_UN)
    assert "1 record anchored in " in process.communicate()[0]
    assert len(lines(file)) == 2


# -- the commands


@pytest.mark.slow
def test_verify_says_what_the_anchor_says(project: Project, tmp_path: Path) -> None:
    project.write("opsbook.toml", 'anchor = "../anchor.jsonl"\n')
    first, second = make(project, 2), make(project, 1)
    nothing = project.opsbook("records", "verify", "--all")
    assert nothing.code == 1
    assert f"Nothing is anchored in {tmp_path / 'anchor.jsonl'} yet" in nothing.out
    assert project.opsbook("records", "verify", "last").code == 0
    done = project.opsbook("records", "anchor", check=True).out
    assert done == f"2 records anchored in {tmp_path / 'anchor.jsonl'}, line 1\n"
    assert "Nothing is new since 20" in project.opsbook("records", "anchor", check=True).out
    assert json.loads(project.opsbook("records", "anchor", "--json").out)["records"] == {}
    good = project.opsbook("records", "verify", "--all", check=True).out
    assert f": 2 records ({tmp_path / 'anchor.jsonl'})" in good
    assert "anchored until 20" in good
    shutil.rmtree(first)
    (second / "record.json").write_text("{}")
    reseal(second)
    bad = project.opsbook("records", "verify", "--all")
    assert bad.code == 1
    assert f"{first.name}: {REMOVED}20" in bad.out
    assert f"{second.name}: seal.json: {ANEW}20" in bad.out
    assert "0 records are as they were sealed" in bad.out
    assert ", 2 are not\n" in bad.out
    told = json.loads(project.opsbook("records", "verify", "--all", "--json").out)
    assert (set(told), told["anchor"]) == ({first.name, second.name, "anchor"}, [])
    assert REMOVED in project.opsbook("records", "verify", first.name).out
    assert project.opsbook("records", "verify", first.name).code == 1
    assert project.opsbook("records", "verify", "20000101T000000Z-page-aaaa").code == 2
    (tmp_path / "anchor.jsonl").write_text("{}\n")
    broken = project.opsbook("records", "verify", "--all")
    assert broken.code == 1
    assert f"{tmp_path / 'anchor.jsonl'}: the chain of the anchor is broken: line 1 is no line" in broken.out
    (told,) = json.loads(project.opsbook("records", "verify", "last", "--json").out)["anchor"]
    assert told["event"] == 1
    elsewhere = project.opsbook("records", "verify", "--all", "--anchor", "git:nowhere")
    assert elsewhere.code == 1
    assert "cannot be reached" in elsewhere.out


def test_without_an_anchor_verify_says_nothing_of_one(project: Project) -> None:
    make(project, 1)
    assert "anchor" not in project.opsbook("records", "verify", "--all", check=True).out
    assert anchoring.against_anchor(settings.load(project.root, given=True), None) is None


def test_clocks_do_not_matter_for_the_chain(project: Project, file: str) -> None:
    """A record may be older or newer than any line."""
    make(project, -1)
    anchor(project, file)
    assert datetime.fromisoformat(lines(file)[0]["time"]) - datetime.now(UTC) < timedelta(seconds=5)
    assert said(project, file) == {}
