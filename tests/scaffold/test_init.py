"""opsbook init: a repository of one's own, made and used with nothing but the wheel."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from opsbook.scaffold import adding, origin
from tests.support import ROOT
from tests.support.project import Project

SCAFFOLD = ROOT / "lib/opsbook/scaffold"


def test_it_makes_what_it_says_and_checks_clean(project: Project) -> None:
    done = project.opsbook("init", "new/my ops", check=True)
    folder = project.root / "new/my ops"
    made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert made == sorted(line.strip() for line in done.out.split("\n\n")[0].splitlines())
    assert "cd 'new/my ops' && opsbook check" in done.out
    assert not [name for name in made if re.search("__[A-Z]", (folder / name).read_text(encoding="utf-8"))]
    checked = project.opsbook("--project", str(folder), "check", "--json", check=True)
    assert json.loads(checked.out) == []


def test_it_says_nothing_of_arcade_and_its_files_are_what_they_seem(project: Project) -> None:
    project.opsbook("init", "ops", check=True)
    folder = project.root / "ops"
    for path in (path for path in folder.rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8")
        assert "arcade" not in text.lower()
        if path.suffix in (".yml", ".yaml"):
            assert yaml.safe_load(text)
        if path.suffix == ".toml":
            assert tomllib.loads(text)
    hook = yaml.safe_load((folder / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"][0]
    ours = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]
    assert {key: hook[key] for key in ("id", "entry", "files")} == {key: ours[key] for key in ("id", "entry", "files")}


def test_nothing_that_is_there_is_touched(project: Project) -> None:
    mine = {"README.md": "mine", "runbooks/post-notice.md": "mine", "mine.txt": "mine", "requirements.txt": "flask\n"}
    for name, text in mine.items():
        project.write(f"ops/{name}", text)
    folder = project.root / "ops"
    (folder / ".gitignore").symlink_to("nowhere")
    done = project.opsbook("init", "ops", check=True)
    assert {name: (folder / name).read_text(encoding="utf-8") for name in mine} == mine
    assert (folder / ".gitignore").is_symlink() and not (folder / "nowhere").exists()
    written, left, add = done.out.split("\n\n")[:3]
    assert left.splitlines()[1:] == [f"  {name}" for name in sorted([".gitignore", *mine]) if name != "mine.txt"]
    assert "  mkdocs.yml" in written and (folder / "mkdocs.yml").is_file()
    assert add.splitlines()[0] == "Add to your requirements.txt:" and "  mkdocs-material>=9.7" in add
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    assert "Nothing is missing in " in project.opsbook("init", "ops", check=True).out
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_folder_in_the_way_of_a_file_leaves_nothing(project: Project) -> None:
    (project.root / "ops/README.md").mkdir(parents=True)
    (project.root / "else").mkdir()
    (project.root / "ops/docs").symlink_to(project.root / "else")
    done = project.opsbook("init", "ops")
    assert done.code == 2
    assert "README.md is a folder, and a file is needed there." in done.err
    assert f"docs leads out of {project.root / 'ops'}; nothing is written elsewhere." in done.err
    assert sorted(path.name for path in (project.root / "ops").iterdir()) == ["README.md", "docs"]
    assert list((project.root / "else").iterdir()) == []


class Race(dict[str, str]):
    """Files, of which somebody else writes one before it is our turn."""

    def __init__(self, files: Mapping[str, str], path: Path) -> None:
        super().__init__(files)
        self.path = path

    def items(self) -> Any:
        for name, text in super().items():
            if name == self.path.name:
                self.path.write_text("theirs", encoding="utf-8")
            yield name, text


def test_a_file_that_appears_meanwhile_is_left(tmp_path: Path) -> None:
    added = adding.add(tmp_path, Race({"a": "ours", "b": "ours", "c/d": "ours"}, tmp_path / "b"))
    assert (added.written, added.left) == (["a", "c/d"], ["b"])
    assert (tmp_path / "b").read_text(encoding="utf-8") == "theirs"


def test_a_disk_without_room_leaves_nothing(project: Project) -> None:
    # No file can be longer than one block of 1024 bytes; some of these are.
    project.write("ops/mine.txt", "mine")
    command_ = ["bash", "-c", 'ulimit -f 1; exec "$@"', "-", *project.command("init", "ops")]
    done = subprocess.run(
        command_, cwd=project.root, env=project.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "No file was left behind." in done.stderr, done.stderr
    assert [path.name for path in (project.root / "ops").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("direct_url", "expected"),
    [
        (None, "opsbook==1.2"),
        (
            '{"url": "file:///w/opsbook-1.2-py3-none-any.whl", "archive_info": {}}',
            "file:///w/opsbook-1.2-py3-none-any.whl",
        ),
        ('{"url": "file:///a%20b", "dir_info": {"editable": true}}', "file:///a%20b"),
        (
            '{"url": "https://me:pass@git.example/o.git", "vcs_info": {"vcs": "git", "commit_id": "ab12"}}',
            "git+https://git.example/o.git@ab12",
        ),
        (
            '{"url": "ssh://git@git.example/o", "vcs_info": {"vcs": "git", "commit_id": "ab12"}, "subdirectory": "py"}',
            "git+ssh://git@git.example/o@ab12#subdirectory=py",
        ),
        ("[1", "opsbook==1.2"),
        ('{"archive_info": {}}', "opsbook==1.2"),
    ],
)
def test_the_requirement_says_where_opsbook_came_from(direct_url: str | None, expected: str) -> None:
    said = origin.line(direct_url, "1.2")
    assert said == (expected if expected.startswith("opsbook==") else f"opsbook @ {expected}")
    assert Requirement(said).name == "opsbook"
    assert Requirement(origin.line(direct_url, "1.2", "site")).extras == {"site"}


def test_a_file_in_the_way_of_a_folder_leaves_nothing(project: Project) -> None:
    project.write("ops/runbooks", "a file")
    done = project.opsbook("init", "ops")
    assert done.code == 2
    assert [path.name for path in (project.root / "ops").rglob("*") if path.is_file()] == ["runbooks"]


def test_the_present_folder_and_no_home(project: Project) -> None:
    (project.root / "empty").mkdir()
    project.env |= {"HOME": str(project.root / "empty"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    folder = project.root / "ops"
    folder.mkdir()
    done = subprocess.run(
        project.command("init"), cwd=folder, env=project.environment(), capture_output=True, text=True, check=True
    )
    assert "\n  opsbook check\n" in done.stdout
    assert (folder / ".gitignore").is_file()


@pytest.mark.slow
def test_its_documentation_builds(project: Project) -> None:
    project.opsbook("init", "ops", check=True)
    # MkDocs and its plugins warn of what is none of ours.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONWARNINGS"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        command, cwd=project.root / "ops", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for page, said in (("manual", "opsbook list"), ("runbooks/post-notice", "opsbook run post-notice")):
        assert said in (project.root / f"ops/site/{page}.html").read_text(encoding="utf-8")


def wheel(folder: Path) -> Path:
    """The wheel of this project, built without a network."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def installed(folder: Path, built: Path) -> Path:
    """The bin folder of an environment with the wheel; what opsbook depends on comes from this environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(built)], check=True)
    # A folder named in a .pth file is searched, but its own .pth files, ours among them, are not read.
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    # An installation of ansible-core would have made this.
    script = folder / "bin/ansible-playbook"
    script.write_text(f"#!{python}\nimport sys\nfrom ansible.cli.playbook import main\nsys.exit(main())\n")
    script.chmod(0o755)
    return folder / "bin"


def command(place: Path, environment: Mapping[str, str], *words: str) -> str:
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_wheel_is_enough(tmp_path: Path) -> None:
    built = wheel(tmp_path)
    names = set(zipfile.ZipFile(built).namelist())
    templates = {str(path.relative_to(ROOT / "lib")) for path in SCAFFOLD.rglob("*") if path.suffix not in ("", ".pyc")}
    assert templates <= names
    assert "opsbook/scaffold/project/dot-gitignore" in names

    binaries = installed(tmp_path / "venv", built)
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    environment = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    work, opsbook = tmp_path / "work", str(binaries / "opsbook")
    where = command(work, environment, str(binaries / "python"), "-c", "import opsbook; print(opsbook.__file__)")
    assert where.startswith(str(tmp_path / "venv"))

    command(work, environment, opsbook, "init", "ops")
    ops = work / "ops"
    wanted = (ops / "requirements.txt").read_text(encoding="utf-8")
    assert f"\nopsbook @ {built.as_uri()}\n" in wanted
    (ops / "requirements.txt").write_text(wanted.replace("mkdocs-material", "# "), encoding="utf-8")
    pip = ("-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", "--force-reinstall", "-r")
    assert "Would install opsbook-" in command(ops, environment, sys.executable, *pip, "requirements.txt")
    assert "post-notice" in command(ops, environment, opsbook, "list")
    assert json.loads(command(ops, environment, opsbook, "check", "--json")) == []
    assert "PATH" in command(ops, environment, opsbook, "run", "post-notice", "-e", "local", "-p", "text=PATH is here")
    assert (ops / ".opsbook/notice.txt").read_text() == "PATH is here\n"
    steps = ("both-are-present", "what-is-going-on", "what-is-coming", "the-pager", "announce-it")
    answers = [part for step in steps for part in ("--answer", f"{step}=done")]
    command(ops, environment, opsbook, "run", "hand-over", "-e", "local", *answers)
    command(ops, environment, opsbook, "new", "restart-cache", "--kind", "deploy")
    command(ops, environment, opsbook, "run", "restart-cache", "-e", "local")
    command(ops, environment, opsbook, "records", "verify", "--all")
    assert len(list(ops.glob("records/**/seal.json"))) == 3
    assert str(ROOT) not in "".join(path.read_text(errors="replace") for path in ops.glob("records/**/*.json"))


@pytest.mark.slow
def test_a_step_that_fails_puts_the_old_notice_back(project: Project) -> None:
    project.opsbook("init", "ops", check=True)
    ops = Project(project.root / "ops", project.env)
    ops.opsbook("run", "post-notice", "-e", "local", "-p", "text=first", check=True)
    page = ops.root / "runbooks/post-notice.md"
    page.write_text(page.read_text(encoding="utf-8").replace("said == text", "said == 'else'"), encoding="utf-8")
    assert ops.opsbook("run", "post-notice", "-e", "local", "-p", "text=second").code == 1
    assert ops.summary()["outcome"] == "rolled-back"
    assert (ops.root / ".opsbook/notice.txt").read_text() == "first\n"
