"""Trees: what belongs to one, that what is written out is what its digest says, and that it is mended or refused."""

import os
import subprocess
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.planning import tree, tree_store
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    root = tmp_path / "project"
    for path, text in {
        "opsbook.toml": "",
        ".gitignore": ".opsbook/\nrecords/\ncollections/\nbuild/\n",
        "runbooks/page.md": "# A page\n",
        "lib/team/helper.py": "WORD = 1\n",
        "lib/team/__pycache__/helper.pyc": "bytecode",
        "roles/app/tasks/.hidden.yml": "- ping:\n",
        "collections/ansible_collections/a/b/galaxy.yml": "name: b\n",
        "scripts/say.sh": "echo it\n",
        "build/app.whl": "built",
        "records/x": "",
        ".opsbook/state": "",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "scripts/say.sh").chmod(0o755)
    (root / "scripts/again.sh").symlink_to("say.sh")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "shared.py").write_text("SHARED = 1\n")
    (elsewhere / "round").symlink_to(elsewhere)
    (root / "lib/shared").symlink_to(elsewhere)
    os.mkfifo(root / "lib/fifo")
    return settings.load(root, given=True)


def written(path: Path, text: str) -> None:
    path.chmod(0o644)
    path.write_text(text)


def linked(path: Path, where: str) -> None:
    path.unlink()
    path.symlink_to(where)


def git(project: Settings, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "core.autocrlf=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=project.root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def committed(project: Settings) -> tree.Tree:
    git(project, "init", "--quiet", "--initial-branch", "main")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "x")
    return tree.of_commit(project.root, git(project, "rev-parse", "HEAD"))


def test_what_belongs_to_the_tree_of_a_folder(project: Settings) -> None:
    without = tree.of_folder(project)
    assert set(without.files) == {
        "opsbook.toml",
        "runbooks/page.md",
        "lib/team/helper.py",
        "lib/shared/shared.py",
        "roles/app/tasks/.hidden.yml",
        "collections/ansible_collections/a/b/galaxy.yml",
        "scripts/say.sh",
        "scripts/again.sh",
    }
    assert without.files["scripts/say.sh"].startswith(tree.PROGRAM)
    assert without.files["scripts/again.sh"] == f"{tree.LINK} say.sh"
    assert {line.split(" -> ")[0] for line in without.outside} == {"lib/shared", "lib/shared/round"}
    committed(project)
    under_git = tree.of_folder(project)
    assert set(under_git.files) == {*without.files, ".gitignore"}, "build/ is ignored, and no folder that a run reads"


def test_names_that_are_no_text(project: Settings) -> None:
    (project.root / os.fsdecode(b"lib/caf\xe9.py")).write_text("WORD = 2\n")
    for then in (tree.of_folder(project), committed(project)):
        out = tree_store.written_out(project, then)
        assert (out.root / os.fsdecode(b"lib/caf\xe9.py")).read_text() == "WORD = 2\n"
        assert tree_store.stored(project, then.digest) == tree.Tree(then.files, project.root, then.commit)
    one, other = {"a": f"{tree.LINK} x", "b\nc": "e"}, {"a": f"{tree.LINK} x\nb", "c": "e"}
    assert tree.Tree(one, project.root).digest != tree.Tree(other, project.root).digest


def test_every_change_is_another_digest(project: Settings, tmp_path: Path) -> None:
    seen = {tree.of_folder(project).digest}
    for change in (
        lambda: (project.root / "roles/app/tasks/.hidden.yml").write_text("- debug:\n"),
        lambda: (project.root / "scripts/say.sh").chmod(0o644),
        lambda: (project.root / "lib/new.py").write_text(""),
        lambda: (project.root / "lib/new.py").rename(project.root / "lib/other.py"),
        lambda: (tmp_path / "elsewhere/shared.py").write_text("SHARED = 2\n"),
        lambda: linked(project.root / "scripts/again.sh", "other"),
    ):
        change()
        seen.add(tree.of_folder(project).digest)
    assert len(seen) == 7


def test_the_tree_of_a_commit_is_what_was_committed(project: Settings) -> None:
    (project.root / ".gitattributes").write_text("*.py filter=other\n*.sh export-ignore\n")
    then = committed(project)
    git(project, "config", "filter.other.clean", "sed s/1/2/")
    git(project, "config", "filter.other.smudge", "sed s/1/3/")
    out = tree_store.written_out(project, then)
    assert (out.root / "lib/team/helper.py").read_text() == "WORD = 1\n"
    assert os.access(out.root / "scripts/say.sh", os.X_OK)
    assert (out.root / ".opsbook").resolve() == project.state
    assert "collections/ansible_collections/a/b/galaxy.yml" not in out.files
    assert [line.partition(" -> ")[0] for line in tree_store.ways_out(out)] == ["lib/shared"]
    (project.root / "lib/team/helper.py").write_text("WORD = 9\n")
    assert tree_store.differing(project, then.files) == [
        "collections/ansible_collections/a/b/galaxy.yml",
        "lib/shared",
        "lib/shared/shared.py",
        "lib/team/helper.py",
    ]


@pytest.mark.parametrize("of", ["folder", "commit"])
def test_what_was_written_out_is_mended_or_refused(project: Settings, of: str) -> None:
    then = committed(project) if of == "commit" else tree.of_folder(project)
    out = tree_store.written_out(project, then)
    helper = out.root / "lib/team/helper.py"
    for harm in (
        lambda: written(helper, "WORD = 7\n"),
        helper.unlink,
        lambda: linked(helper, "/etc/passwd"),
        lambda: (out.root / "lib/json.py").write_text("evil"),
        lambda: (out.root / "scripts/say.sh").chmod(0o444),
        (out.root / ".opsbook").unlink,
        lambda: (out.root / "roles").rename(out.root / "moved"),
    ):
        for folder, _, _ in os.walk(out.root):
            Path(folder).chmod(0o755)
        harm()
        assert tree_store.written_out(project, then).root == out.root
        assert helper.read_text() == "WORD = 1\n"
        assert not (out.root / "lib/json.py").exists()
    if of == "folder":
        for each in (project.state / "trees/objects").glob("*/*"):
            each.write_text("other")
        helper.parent.chmod(0o755)
        helper.unlink()
        with pytest.raises(Refused, match="its content is not there any more"):
            tree_store.written_out(project, then)


def test_a_list_of_files_is_what_its_name_says(project: Settings) -> None:
    then = tree.of_folder(project)
    tree_store.keep(project, then)
    place = project.state / "trees" / f"{then.digest}.json"
    assert tree_store.stored(project, then.digest) is not None
    place.write_text(place.read_text().replace("lib/team/helper.py", "lib/team/other.py"))
    assert tree_store.stored(project, then.digest) is None
    for content in ("", "[]", '{"files": 1}', '{"files": {}}'):
        place.write_text(content)
        assert tree_store.stored(project, then.digest) is None
    place.unlink()
    os.mkfifo(place)
    assert tree_store.stored(project, then.digest) is None


def test_a_forged_list_of_known_files_changes_nothing_that_is_stored(project: Settings) -> None:
    then = tree.of_folder(project)
    tree_store.keep(project, then)
    known = project.state / "trees/known.json"
    known.write_text("{}")
    helper = project.root / "lib/team/helper.py"
    helper.write_text("WORD = 8\n")
    about = helper.stat()
    lie = [about.st_ctime_ns, about.st_ino, about.st_size, then.files["lib/team/helper.py"].rpartition(":")[2]]
    known.write_text(f'{{"{project.root}": {{"lib/team/helper.py": {str(lie).replace(chr(39), chr(34))}}}}}')
    lied = tree.of_folder(project)
    assert lied.digest == then.digest
    assert (tree_store.written_out(project, lied).root / "lib/team/helper.py").read_text() == "WORD = 1\n"


def test_a_tree_can_be_exported(project: Settings, tmp_path: Path) -> None:
    then = tree.of_folder(project)
    tree_store.keep(project, then)
    target = tmp_path / "out"
    tree_store.export(project, then, target)
    assert (target / "scripts/again.sh").read_text() == "echo it\n"
    with pytest.raises(InputError, match="is there already"):
        tree_store.export(project, then, target)


def test_old_trees_are_swept(project: Settings) -> None:
    first = tree.of_folder(project)
    tree_store.written_out(project, first)
    store = project.state / "trees"
    old = store / f"{first.digest}.json"
    for number in range(21):
        (project.root / "lib/new.py").write_text(f"# {number}\n")
        tree_store.keep(project, tree.of_folder(project))
    assert old.exists(), "it was used today"
    os.utime(old, (0, 0))
    (project.root / "lib/new.py").write_text("# last\n")
    tree_store.keep(project, tree.of_folder(project))
    assert not old.exists() and not (store / first.digest).exists()
    assert len([path for path in store.glob("*.json") if path.stem != "known"]) == 22
