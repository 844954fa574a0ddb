"""An anchor notices what a seal cannot: that a record is gone, or that somebody sealed it again."""

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.sealed import make

from opsbook import files, flow, settings
from opsbook.errors import InputError, Refused
from opsbook.model.redact import Redactor
from opsbook.record import journal, logbook, seal
from tests.conftest import Project

REMOVED = "the record was removed after it was anchored on "
ANEW = "was sealed anew after it was anchored on "


@pytest.fixture(params=["file", pytest.param("git", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Both kinds of places."""
    if request.param == "file":
        return str(tmp_path / "anchor.jsonl")
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "anchor.git"], check=True)
    return f"git:{tmp_path / 'anchor.git'}"


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "anchor.jsonl")


def anchor(project: Project, place: str | None) -> flow.Anchored:
    return flow.anchor(settings.load(project.root, given=True), place)


def lines(place: str) -> list[dict[str, Any]]:
    if place.startswith("git:"):
        command = ["git", "--git-dir", place[4:], "cat-file", "blob", "opsbook-anchor:anchor.jsonl"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    else:
        text = Path(place).read_text()
    return [json.loads(line) for line in text.splitlines()]


def compared(project: Project, place: str) -> flow.Compared:
    found = flow.against_anchor(settings.load(project.root, given=True), place)
    assert found is not None
    return found


def said(project: Project, place: str) -> dict[str, list[str]]:
    """What the anchor says of each run, without the time."""
    found = compared(project, place)
    assert not (found.own or found.unread), found
    return {run: [f"{f.file} {f.message.partition(' on 2')[0]}" for f in flaws] for run, flaws in found.flaws.items()}


def reseal(folder: Path) -> None:
    """What somebody does who owns the folder: seal it as it is now."""
    (folder / "seal.json").unlink(missing_ok=True)
    *_, (_, head) = journal.chain(folder / journal.NAME)
    seal.seal(folder, head)
    assert seal.verify(folder) == []


def go_on(folder: Path) -> None:
    """What a resume does to a record."""
    seal.unseal(folder)
    book = journal.Journal(folder, Redactor(), again=True)
    book.write("run-resumed", {})
    book.close()
    (folder / "record.json").write_text("{}")
    seal.seal(folder, book.head)


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
    assert two["prev"] == journal.hashlib.sha256((json.dumps(one, separators=(",", ":")) + "\n").encode()).hexdigest()
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
    flow.prune(found, remove=True)
    shutil.move(again, project.root / "back")
    make(project, 1)
    assert said(project, file) == {}
    done = anchor(project, file)
    assert sorted(done.pruned) == sorted([old.name, older.name])
    told = lines(file)[-1]["pruned"][old.name]
    assert (told["rule"], told["by"]) == ("keep = 30d", flow.operator())
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
    with pytest.raises(InputError, match="Nobody said where to"):
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
    user, _, host = flow.operator().partition("@")
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
    user = flow.operator().partition("@")[0]
    ours = f"{user} <{flow.operator()}> Anchor what is sealed"
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
    assert flow.against_anchor(settings.load(project.root, given=True), None) is None


def test_clocks_do_not_matter_for_the_chain(project: Project, file: str) -> None:
    """A record may be older or newer than any line."""
    make(project, -1)
    anchor(project, file)
    assert datetime.fromisoformat(lines(file)[0]["time"]) - datetime.now(UTC) < timedelta(seconds=5)
    assert said(project, file) == {}
