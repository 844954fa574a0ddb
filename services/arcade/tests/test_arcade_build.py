"""`arcade check`, `arcade build`, and the variants."""

import ast
import hashlib
import json
import os
import re
import shutil
import sys
import tarfile
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
import variants
from arcade_process import SOURCE, run_arcade

from arcade.checks import check
from arcade.errors import ArcadeError, BuildError
from arcade.manifest import read_needs, sbom
from arcade.release import build, collect


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the source that a test may break."""
    variants.make(SOURCE, tmp_path / "source", "stock")
    return tmp_path / "source"


def test_check_counts_handlers_and_tests() -> None:
    done = run_arcade("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"handlers": 7, "tests": 15}


def test_check_names_file_and_line(source: Path) -> None:
    (source / "handlers" / "score.lua").write_text("local a = 1\nlocal b = = 2\n")
    (source / "handlers" / "ping.lua").write_text("return {}\n")
    done = run_arcade("check", tree=source)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("handlers/ping.lua:1: a handler file must return")
    assert lines[1] == "handlers/score.lua:2: unexpected symbol near '='"


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        (
            "handlers/tests/x.lua",
            "return {\n x = function(t) t.equal(1, 2, 'n') end }",
            ":2: n: expected 2, got 1",
        ),
        ("handlers/tests/x.lua", "return {}", ":1: a test file must return"),
        (
            "handlers/tests/x.lua",
            "return { x = function(t)\nt.refused({ Action = 'Ping' }) end }",
            ":2: the mess",
        ),
        (
            "handlers/tests/x.lua",
            "return { x = function(t)\nwhile true do end end }",
            ":2: the handler runs too",
        ),
        ("handlers/x.lua", "return { action = 'Ping', handle = function() end }", ":1: the action 'Ping' is"),
        ("handlers/x.lua", "\nwhile true do end", ":2: the handler runs too long"),
        ("handlers/x.lua", "\nerror('no')", ":2: no"),
    ],
)
def test_check_finds_problems(source: Path, file: str, text: str, problem: str) -> None:
    (source / file).write_text(text)
    problems = check(source).problems
    assert [line for line in problems if line.startswith(file + problem)], problems


def test_build_refuses_a_broken_handler(source: Path, tmp_path: Path) -> None:
    (source / "handlers" / "score.lua").write_text("return {\n  action = 'Score' handle = 1\n}\n")
    output = tmp_path / "out"
    done = run_arcade("build", "--source", str(source), "--version", "1.0.0", "--output", str(output))
    assert done.returncode == 1
    assert done.stderr.startswith("handlers/score.lua:2: ")
    assert not output.exists()


@pytest.mark.parametrize("version", ["", "1", "v1.0", "1.0/..", "../1.0", "1.0 ", "1.0\n", "1.2.3.4.5", "1.0-A"])
def test_build_refuses_odd_versions(tmp_path: Path, version: str) -> None:
    with pytest.raises(BuildError, match="is no version"):
        build(SOURCE, version, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_build_is_reproducible(source: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "copy"
    old_mask = os.umask(0o077)
    try:
        shutil.copytree(source, moved, copy_function=shutil.copyfile)
        (moved / "arcade" / "__pycache__").mkdir()
        (moved / "arcade" / "__pycache__" / "x.pyc").write_bytes(b"x")
        for path in moved.rglob("*"):
            os.utime(path, (1, 1))
        strict = build(moved, "1.0.0", tmp_path / "out-1")
        os.umask(0)
        (source / "arcade" / "web.py").chmod(0o777)
        open_mask = build(source, "1.0.0", tmp_path / "out-2")
    finally:
        os.umask(old_mask)
    assert strict.sha256 == open_mask.sha256 == hashlib.sha256(Path(strict.path).read_bytes()).hexdigest()
    assert build(source, "1.0.1", tmp_path / "out-1").sha256 != strict.sha256


def test_a_version_is_never_rebuilt_with_other_content(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    first, again = build(source, "1.0.0", output), build(source, "1.0.0", output)
    assert (first.unchanged, again.unchanged, first.sha256) == (False, True, again.sha256)
    before = Path(first.path).read_bytes()
    with pytest.raises(BuildError, match="never rebuilt"):
        build(SOURCE, "1.0.0", output)
    assert Path(first.path).read_bytes() == before
    assert [path.name for path in output.iterdir()] == ["1.0.0.tar.gz"]


def test_a_release_is_complete_and_runs(tmp_path: Path) -> None:
    done = run_arcade("build", "--source", str(SOURCE), "--version", "1.0.0", "--output", str(tmp_path))
    report = json.loads(done.stdout)
    with tarfile.open(report["path"]) as archive:
        members = archive.getmembers()
        archive.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(0, 0, 0)}
    assert {member.mode for member in members} == {0o644, 0o755}
    top = tmp_path / "arcade-1.0.0"
    assert sorted(path.name for path in top.iterdir()) == [
        "MANIFEST.json", "SBOM.cdx.json", "VERSION", "arcade", "handlers", "migrations", "ui",
    ]  # fmt: skip
    told = json.loads((top / "MANIFEST.json").read_text())
    digests = told["files"]
    files = [path for path in top.rglob("*") if path.is_file() and path.name != "MANIFEST.json"]
    assert len(files) + 1 == report["files"]
    for path in files:
        assert digests[path.relative_to(top).as_posix()] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert run_arcade("check", tree=top).returncode == 0


@pytest.mark.parametrize("folder", ["handlers", "migrations", "ui"])
def test_build_refuses_an_incomplete_source(source: Path, tmp_path: Path, folder: str) -> None:
    shutil.rmtree(source / folder)
    with pytest.raises(BuildError, match=f"no folder {folder}"):
        build(source, "1.0.0", tmp_path / "out")


def test_build_refuses_links_and_odd_migrations(source: Path, tmp_path: Path) -> None:
    (source / "ui" / "link").symlink_to("/etc/hostname")
    with pytest.raises(BuildError, match="no regular file"):
        build(source, "1.0.0", tmp_path / "out")
    (source / "ui" / "link").unlink()
    (source / "migrations" / "3_x.sql").write_text("")
    with pytest.raises(ArcadeError, match="no migration name"):
        build(source, "1.0.0", tmp_path / "out")


def test_usage_errors_have_no_traceback(tmp_path: Path) -> None:
    assert run_arcade("build").returncode == 2
    assert run_arcade("nothing").returncode == 2
    file = tmp_path / "file"
    file.touch()
    done = run_arcade("build", "--source", str(SOURCE), "--version", "1.0", "--output", str(file))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_variants_refuse_what_they_cannot_do(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no variant"):
        variants.make(SOURCE, tmp_path / "x", "other")
    with pytest.raises(ValueError, match="exactly once"):
        variants.make(source, tmp_path / "x", "stock")
    with pytest.raises(FileExistsError):
        variants.make(SOURCE, source, "stock")
    assert variants.main(["stock"]) == 2
    assert variants.main(["faulty", str(source)]) == 1


def test_a_release_says_what_it_is_made_of_and_what_it_needs(source: Path) -> None:
    before = json.loads(collect(source, "1.0.0")["MANIFEST.json"])
    assert before["needs"] == {"postgresql": ">=14", "services": {}}
    assert before["schema"] == {"from": 0, "to": 2}
    (source / "handlers" / "ping.lua").write_text((SOURCE / "handlers/ping.lua").read_text() + "-- another one\n")
    (source / "migrations" / "0001_players_and_scores.sql").unlink()
    after = json.loads(collect(source, "1.0.0")["MANIFEST.json"])
    assert after["schema"] == {"from": 1, "to": 2}
    changed = {name for name, digest in after["components"].items() if before["components"][name] != digest}
    assert changed == {"handlers", "migrations"}


def test_the_packages_are_those_that_the_code_imports(source: Path) -> None:
    named = read_needs(SOURCE)["packages"]
    told = sbom("1.0.0", named)
    known = {each["name"]: each["version"] for each in told["components"]}
    assert known["starlette"] == version("starlette")
    assert "anyio" in known, "what a package needs in turn"
    assert "psycopg-binary" in known, "what an extra needs"
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.5")
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else each.name).partition(".")[0]
        for path in (SOURCE / "arcade").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for each in node.names
    }
    others = imported - set(sys.stdlib_module_names) - {"arcade", "packaging"}
    assert set(named) == {name for name in named if importable(name) & others}
    assert others <= {each for name in named for each in importable(name)}


def importable(package: str) -> set[str]:
    """What a package lets import, at the top."""
    files = distribution(package.partition("[")[0]).files or []
    return {file.parts[0].removesuffix(".py") for file in files}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "needs.json: "),
        ("[]", "it has to say postgresql, services, packages, and nothing else"),
        ('{"postgresql": 14, "services": {}, "packages": []}', "postgresql has to be a text"),
        ('{"postgresql": "new", "services": {}, "packages": []}', "postgresql: 'new' is no range of versions"),
        ('{"postgresql": "", "services": {"scores": 1}, "packages": []}', "scores: 1 is no range"),
        ('{"postgresql": "", "services": {}, "packages": ["no-such-thing"]}', "'no-such-thing' is not installed"),
        (None, "has no needs.json"),
    ],
)
def test_build_refuses_wrong_needs(source: Path, tmp_path: Path, text: str | None, said: str) -> None:
    (source / "needs.json").unlink()
    if text is not None:
        (source / "needs.json").write_text(text)
    with pytest.raises(BuildError, match=re.escape(said)):
        build(source, "1.0.0", tmp_path / "out")
    assert not (tmp_path / "out").exists()
