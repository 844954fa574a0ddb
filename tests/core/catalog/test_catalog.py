"""The documents of a project when some of them are broken: the others must not suffer."""

import os
from pathlib import Path

import pytest

from opsbook.core.catalog import catalog
from opsbook.core.model.front import split
from opsbook.core.source.page_name import name_of
from opsbook.errors import InputError
from opsbook.lint import checks
from opsbook.settings import Settings

BODY = "# Good\n\n## Steps\n\n### One\nDo it.\n"
GOOD = "---\ntitle: Good\nkind: maintenance\nowner: team\nreviewed: 2026-11-20\n---\n\n" + BODY


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks/good.md").write_text(GOOD)
    return Settings(tmp_path, tmp_path / "records", tmp_path / ".opsbook")


def _problems(settings: Settings) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for problem in checks.check(settings, []):
        if not problem.warning:
            found.setdefault(Path(problem.path).name, []).append(f"{problem.line} {problem.code} {problem.message}")
    return found


def test_what_cannot_be_read_is_reported_and_hides_nothing(settings: Settings) -> None:
    (settings.runbooks / "gone.md").symlink_to("nowhere.md")
    (settings.runbooks / "dir.md").mkdir()
    os.mkfifo(settings.runbooks / "pipe.md")
    assert _problems(settings) == {
        "gone.md": ["1 D006 cannot be read: No such file or directory"],
        "dir.md": ["1 D006 cannot be read: it is not a file"],
        "pipe.md": ["1 D006 cannot be read: it is not a file"],
    }
    assert [entry.name for entry in catalog.entries(settings)] == ["good"]
    with pytest.raises(InputError, match="runbooks/gone.md:1:1 D006 cannot be read"):
        catalog.load(settings, "gone")
    assert catalog.load(settings, "good").title == "Good"


@pytest.mark.parametrize("name", ["two words", "-e", "a.b", "x" * 81, "ümlaut", "a\nb"])
def test_a_name_that_cannot_be_one(settings: Settings, name: str) -> None:
    (settings.runbooks / f"{name}.md").write_text(GOOD)
    (found,) = _problems(settings)[f"{name}.md"]
    assert found.startswith("1 D007 this is no usable name")
    with pytest.raises(InputError, match="D007"):
        catalog.load(settings, name_of(Path(f"{name}.md")))


def test_a_page_of_another_tool_gets_a_name_that_can_be_one(settings: Settings) -> None:
    (settings.runbooks / "two words.html.md").write_text("# Two\n\n```bash\ntrue\n```\n")
    (settings.runbooks / "README.md").write_text("# About these\n\nHow to use them.\n")
    assert [entry.name for entry in catalog.entries(settings)] == ["good", "two-words"]
    assert catalog.load(settings, "two-words").title == "Two"
    path = settings.runbooks / "two words.html.md"
    _, problems = catalog.document(path, settings.root, catalog.known(settings))
    (found,) = [problem for problem in problems if problem.code == "D007"]
    assert found.warning and "so the page is called two-words" in found.message


@pytest.mark.parametrize("name", ["Restart_2", "7", "x" * 80])
def test_a_name_that_can(settings: Settings, name: str) -> None:
    (settings.runbooks / f"{name}.md").write_text(GOOD)
    assert _problems(settings) == {}
    assert catalog.load(settings, name).name == name


def test_a_page_that_is_not_utf8(settings: Settings) -> None:
    (settings.runbooks / "latin.md").write_bytes(GOOD.encode() + "Zur\u00fcck\n".encode("latin-1"))
    assert _problems(settings) == {"latin.md": ["14 D008 not UTF-8, first bad byte at line 14"]}
    assert [entry.name for entry in catalog.entries(settings)] == ["good", "latin"]
    with pytest.raises(InputError, match="D008"):
        catalog.load(settings, "latin")


def test_code_that_no_parser_takes(settings: Settings) -> None:
    (settings.runbooks / "deep.md").write_text(GOOD + "\n### Two\n\n```python\nx = " + "-" * 20_000 + "1\n```\n")
    assert _problems(settings) == {"deep.md": ["1 D006 cannot be read: its code is nested too deeply"]}


def test_a_byte_order_mark_is_no_part_of_the_page(settings: Settings) -> None:
    (settings.runbooks / "windows.md").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert _problems(settings) == {}
    assert catalog.load(settings, "windows").front.owner == "team"
    assert {entry.front.owner for entry in catalog.entries(settings)} == {"team"}
    assert split("\ufeff" + GOOD) == split(GOOD)


def test_a_byte_order_mark_before_a_page_without_front_matter(settings: Settings) -> None:
    (settings.runbooks / "plain.md").write_text("\ufeff# Plain\n\n## Steps\n\n### One\nDo it.\n")
    assert catalog.load(settings, "plain").title == "Plain"


def test_blank_lines_before_the_front_matter(settings: Settings) -> None:
    (settings.runbooks / "late.md").write_text("\n \n" + GOOD)
    (found,) = _problems(settings)["late.md"]
    assert found.startswith("3 F005 the front matter does not begin on the first line")


def test_a_rule_is_no_front_matter(settings: Settings) -> None:
    (settings.runbooks / "rule.md").write_text("\n---\n\nA line.\n\n---\n\n# Rule\n\n## Steps\n\n### One\nDo it.\n")
    assert _problems(settings) == {}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("reviewed: 2026-02-30", "F003 reviewed: input should be a valid date"),
        ("reviewed: !!timestamp x", "F003 reviewed: input should be a valid date"),
        ("title: !!bool maybe", "F001 the front matter is not valid YAML: a value cannot be read"),
        ("title: !!int ''", "F001"),
        ("title: " + "[" * 100_000, "F001"),
        ("title: " + "[" * 500 + "]" * 500, "F001 the front matter is not valid YAML: it is nested too deeply"),
        ("title: \x00", "F001"),
        ("alerts: &a [*a]", "F003 alerts"),
        ("5: x", "F00"),
    ],
)
def test_front_matter_that_no_yaml_reader_takes(settings: Settings, line: str, said: str) -> None:
    (settings.runbooks / "bad.md").write_text(GOOD.replace("reviewed: 2026-11-20", line).replace("title: Good", "#"))
    assert said in " ".join(_problems(settings)["bad.md"])
    assert [entry.name for entry in catalog.entries(settings)] == ["bad", "good"]


def test_a_date_in_the_front_matter_is_a_date(settings: Settings) -> None:
    reviewed = catalog.load(settings, "good").front.reviewed
    assert reviewed is not None
    assert reviewed.isoformat() == "2026-11-20"
