"""Building the site: what a reader would stumble over ends it, and another generator builds the same pages."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from tests.site.conftest import SMALL_FRONT as FRONT
from tests.support import ROOT
from tests.support.project import Project, until
from tests.support.site import config

pytestmark = pytest.mark.slow


def test_nothing_runs_and_nothing_is_written_but_the_site(small: Project) -> None:
    before = {path for path in small.root.rglob("*") if path.is_file()}
    told = json.loads(small.opsbook("site", "build", "--json", check=True).out)
    new = {path for path in small.root.rglob("*") if path.is_file()} - before
    assert new and all(path.is_relative_to(small.root / "site") for path in new)
    assert told["files"] == len(new)


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("runbooks/two.md", "## Steps\n\n### A\nSee [it](gone.md).\n", "runbooks/two.md:11:10 L002"),
        ("runbooks/two.md", "## Steps\n\n### A\nSee [it](../docs/gone.md).\n", "runbooks/two.md:11:10 L001"),
        ("docs/manual.md", "# Manual\n\nSee [it](gone.md).\n", "docs/manual.md:3:10 L001"),
        ("docs/manual.md", "# Manual\n\nSee [it](runbooks/gone.md).\n", "docs/manual.md:3:10 L001"),
        ("docs/trees/t.md", "- A?\n    - yes: [x](../runbooks/gone.md)\n    - no: y\n", "docs/trees/t.md:2:16 L001"),
        ("docs/manual.md", "# Manual\n\nSee [it](runbooks/one.md#gone).\n", "gone"),
    ],
)
def test_what_leads_nowhere_ends_the_build(small: Project, path: str, text: str, said: str) -> None:
    small.write(path, (FRONT.format(title="Two") if path.startswith("runbooks") else "") + text)
    done = small.opsbook("site", "build")
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    "out", ["runbooks", "runbooks/site", "docs", "records", ".opsbook", ".", "..", "notes", "mkdocs.yml"]
)
def test_a_folder_with_something_in_it_is_never_emptied(small: Project, out: str) -> None:
    small.write("notes/mine.md", "Mine.\n")
    small.write("records/2026/11/x/journal.jsonl", "")
    before = {path for path in small.root.rglob("*") if path.is_file()}
    done = small.opsbook("site", "build", "--out", out)
    assert done.code == 2, done.out
    assert {path for path in small.root.rglob("*") if path.is_file()} == before


def test_what_an_earlier_build_made_is_written_again(small: Project) -> None:
    """Also by a version that left no marker; and mkdocs itself refuses what `site build` refuses."""
    small.opsbook("site", "build", check=True)
    stray = small.write("site/stray.html", "old")
    small.opsbook("site", "build", check=True)
    assert not stray.exists()
    (small.root / "site/.opsbook-site").unlink()
    small.opsbook("site", "build", check=True)
    small.write("notes/mine.md", "Mine.\n")
    program = [sys.executable, "-m", "mkdocs", "build", "-q", "-d", "notes"]
    done = subprocess.run(program, cwd=small.root, capture_output=True, text=True, check=False)
    assert done.returncode and "no site of ours" in done.stderr
    assert (small.root / "notes/mine.md").is_file()


def test_without_a_configuration_it_says_what_to_do(small: Project) -> None:
    (small.root / "mkdocs.yml").unlink()
    done = small.opsbook("site", "build")
    assert done.code == 2 and "There is no mkdocs.yml" in done.err


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("docs/index.md", "docs/index.md:1:1 the site makes index.md itself; give"),
        ("docs/README.md", "docs/README.md:1:1 the site makes index.md itself; give"),
        ("docs/runbooks/one.md", "docs/runbooks/one.md:1:1 the site makes runbooks/one.md itself of the document"),
        ("docs/runbooks/one.html", "docs/runbooks/one.html:1:1 the site makes runbooks/one.md"),
        ("docs/assets/opsbook/opsbook.css", "the site makes assets/opsbook/opsbook.css itself"),
    ],
)
@pytest.mark.parametrize("tree", [(), ("--tree", "new")])
def test_no_page_takes_the_place_of_another(small: Project, path: str, said: str, tree: tuple[str, ...]) -> None:
    small.write(path, "# Mine\n")
    done = small.opsbook("site", "build", *tree)
    assert done.code == 2 and said in done.err, done.err


def test_pages_as_others_write_them(small: Project) -> None:
    """What check accepts is built: pages of folders, images in HTML, names, lists, and links that lead nowhere."""
    small.write("runbooks/README.md", "# About these\n\nSee [one](one.md#nope).\n")
    small.write("runbooks/db/README.md", "# About the database\n\n```bash\ntrue\n```\n")
    link = '<a href="../opsbook.toml">settings</a> and [gone](gone.md) and [about](README.md)'
    small.write("runbooks/x.html.md", f'# Odd\n\n## Look\n\n<img src="pics/b.png" alt="x"> {link}\n\nDo it.\n')
    (small.root / "runbooks/pics").mkdir()
    (small.root / "runbooks/pics/b.png").write_bytes(b"\x89PNG")
    first = "1. First:\n\n   ```console\n   $ a\n   ```\n"
    second = "2. Second:\n   - inner\n\n   ```bash\n   true\n   ```"
    lists = f"{first}\n{second}\nDo:\n* x\n\nText\n\n3. third\n"
    small.write("runbooks/lists.md", f"# Lists\n\n## 停止する\n\n{lists}")
    assert small.opsbook("check").code == 0
    small.opsbook("site", "build", check=True)
    site = small.root / "site/runbooks"
    assert (site / "pics/b.png").read_bytes() == b"\x89PNG"
    assert "About these" in (site / "readme.html").read_text() and "readme.html" in (site / "index.html").read_text()
    assert "ob-card" not in (site / "readme.html").read_text()
    assert "About the database" in (site / "db/index.html").read_text()
    assert 'href="readme.html"' in (site / "x.html.html").read_text()
    shown = (site / "lists.html").read_text()
    assert shown.count("<ol>") == 1 and '<ol start="3">' in shown and 'id="停止する"' in shown
    assert shown.index("First:") < shown.rindex("true</") < shown.index("</ol>", shown.index("First:"))


def test_a_folder_of_trees_may_have_a_page_of_its_own(small: Project) -> None:
    small.write("docs/trees/README.md", "# How to write one\n")
    small.opsbook("site", "build", check=True)
    assert "How to write one" in (small.root / "site/trees/index.html").read_text()


DEEP = "\n".join(f"{'  ' * n}- {'yes: ' if n else ''}A?" for n in range(400))


@pytest.mark.parametrize(
    ("path", "text", "arguments", "said"),
    [
        ("x", "", ["site", "serve", "--port", "99999"], "a number from 1 to 65535"),
        ("x", "", ["site", "build", "--tree", "x"], "x is a file"),
        ("x", "", ["site", "build", "--tree", "x/y"], "cannot be"),
        ("x", "", ["site", "build", "--out", "x"], "x is a file"),
        ("x", "", ["site", "build", "--out", "x/y"], "cannot be"),
        ("x", "", ["site", "build", "--tree", "/proc/x"], "cannot be written"),
        ("x", "", ["site", "build", "--out", "/proc/x"], "cannot be written"),
        ("mkdocs.yml", "a: [\n", ["site", "build", "--tree", "new"], "mkdocs.yml:2: not valid YAML"),
        ("mkdocs.yml", "- a\n", ["site", "build", "--tree", "new"], "mkdocs.yml:1: it is not"),
        ("mkdocs.yml", "a: [\n", ["site", "build"], "mkdocs.yml"),
        ("mkdocs.yml", "- a\n", ["site", "build"], "The site was not built: "),
        ("docs/trees/t.md", DEEP, ["site", "build"], "docs/trees/t.md:32: the list is more than 30 deep"),
        ("docs/x.md", "no", ["--project", "gone", "site", "build"], "gone"),
    ],
)
def test_mistakes_are_told_in_words(small: Project, path: str, text: str, arguments: list[str], said: str) -> None:
    small.write(path, text)
    done = small.opsbook(*arguments)
    assert (done.code, "fault" in done.err) == (2, False), done.err
    assert said in done.err
    assert not (small.root / "new").exists()


def test_without_a_configuration_there_is_no_tree(small: Project) -> None:
    (small.root / "mkdocs.yml").unlink()
    done = small.opsbook("site", "build", "--tree", "new")
    assert done.code == 2 and "There is no mkdocs.yml" in done.err and not (small.root / "new").exists()


def test_a_port_that_is_taken_is_told_at_once(small: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = small.opsbook("site", "serve", "--port", str(taken.getsockname()[1]))
    assert done.code == 2 and "cannot be used" in done.err


def test_a_tree_keeps_what_the_author_configured(small: Project) -> None:
    more = "extra_css: [mine.css]\nextra_javascript: [mine.js]\ncopyright: !ENV [WHO, me]\n"
    small.write("mkdocs.yml", config().replace("  - opsbook\n", "  - opsbook\n  - tags: {}\n") + more)
    small.opsbook("site", "build", "--tree", "new", check=True)
    text = (small.root / "new/mkdocs.yml").read_text()
    assert "copyright: !ENV" in text
    told = yaml.safe_load(text.replace("!ENV", ""))
    assert told["extra_css"] == ["assets/opsbook/opsbook.css", "mine.css"]
    assert told["extra_javascript"] == ["assets/opsbook/opsbook.js", "mine.js"]
    assert told["plugins"] == ["search", {"tags": {}}]


def test_a_tree_is_never_written_over_something(small: Project) -> None:
    done = small.opsbook("site", "build", "--tree", str(small.root / "docs"))
    assert done.code == 0, "an empty folder is none"
    again = small.opsbook("site", "build", "--tree", str(small.root / "docs"))
    assert again.code == 2 and "There is something in" in again.err


def test_another_generator_builds_the_same_pages(tmp_path: Path) -> None:
    """Zensical, from the pages of this project, with every link looked at."""
    project = Project(tmp_path / "project")
    for name in ("runbooks", "procedures", "playbooks", "services", "docs", "mkdocs.yml", "opsbook.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project.root / name)
    project.opsbook("site", "build", check=True)
    project.opsbook("site", "build", "--tree", str(tmp_path / "tree"), check=True)
    program = str(Path(sys.executable).parent / "zensical")
    built = subprocess.run([program, "build"], cwd=tmp_path / "tree", capture_output=True, text=True, check=False)
    assert built.returncode == 0, re.sub(r"\x1b\[[0-9;]*m", "", built.stdout + built.stderr)
    ours, theirs = (pages(root / "site") for root in (project.root, tmp_path / "tree"))
    assert ours == theirs
    for path in (tmp_path / "tree/site").rglob("*.html"):
        assert not re.search(r"<p>[^<]*(```|~~~)", path.read_text(encoding="utf-8")), path


def pages(site: Path) -> set[str]:
    return {str(path.relative_to(site)) for path in site.rglob("*.html")}


def test_serve_shows_what_is_written(small: Project) -> None:
    """A page that is edited is new at once, without a word; the server listens on this machine alone, and ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/runbooks/one.html"
    server = small.start("site", "serve", "--port", str(port))
    try:
        until(lambda: "Turn the key" in got(url), "the page")
        small.write("runbooks/one.md", FRONT.format(title="One") + "## Steps\n\n### Do it\nPush the button.\n")
        until(lambda: "Push the button" in got(url), "the new page")
        severity = '[[severity]]\nname = "SEV1"\nmeans = "All is lost"\nrespond = "now"\n'
        small.write("opsbook.toml", f'records = "records"\n{severity}')
        until(lambda: "All is lost" in got(f"http://127.0.0.1:{port}/index.html"), "the new settings")
        listens = [each.laddr.ip for each in psutil.Process(server.pid).net_connections() if each.status == "LISTEN"]
        assert listens == ["127.0.0.1"]
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=180)


def got(url: str) -> str:
    try:
        return httpx.get(url, trust_env=False).text
    except httpx.TransportError:
        return ""


@pytest.mark.parametrize("name", ["page.md", "data.txt", "folder"])
def test_nothing_from_outside_of_the_project_is_published(project: Project, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret")
    project.write("docs/index.md", "# Home\n")
    (project.root / "docs" / name).symlink_to(secret if name == "folder" else secret / "file")
    project.write("mkdocs.yml", "site_name: x\n")
    done = project.opsbook("site", "build", "--tree", str(tmp_path / "tree"))
    assert done.code == 2
    assert f"docs/{name}:1:1 D006 cannot be published: it is a link that leads out of the project" in done.err
    assert not (tmp_path / "tree").exists()
