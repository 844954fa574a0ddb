"""check --fix: it does what it says, and touches nothing else."""

import stat
from pathlib import Path

import pytest

from opsbook.core.source import notebook
from opsbook.errors import InputError
from opsbook.lint import checks, fix
from opsbook.settings import Settings
from tests.support.project import Project

PAGE = """\

---
Title: A page  # odd   spacing
kind: "Maintenance"
Owner: team
owner: team
reviewed: 2026-11-20
review-every: 9000d
unknown: x
---

# A page\t

## Parameters

```python
x: int = 1  # A "quote"\x20\x20
```

## Steps

### One
```python {timeout="30"}
print('  spaces stay  ')
```

### Two
``` python {tags=["a", "b"]  }
print(1)
```

### Three
```python {not lost}
print(2)
```
Last line without an end"""

FIXED = """\
---
title: A page  # odd   spacing
kind: "maintenance"
Owner: team
owner: team
reviewed: 2026-11-20
review_every: 9000d
unknown: x
---

# A page\t

## Parameters

```python tags=["parameters"]
x: int = 1  # A "quote"\x20\x20
```

## Steps

### One
```python timeout=30
print('  spaces stay  ')
```

### Two
``` python tags=["a", "b"]
print(1)
```

### Three
```python {not lost}
print(2)
```
Last line without an end"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "runbooks").mkdir()
    return Settings(tmp_path, tmp_path / "records", tmp_path / ".opsbook")


def put(settings: Settings, data: bytes, name: str = "page") -> Path:
    path = settings.runbooks / f"{name}.md"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_only_what_it_names_changes(settings: Settings, end: str, mark: str) -> None:
    path = put(settings, (mark + PAGE.replace("\n", end)).encode())
    done = checks.correct(settings, [])
    assert path.read_bytes().decode() == mark + FIXED.replace("\n", end)
    assert sorted(fix.code for fix in done["runbooks/page.md"]) == [
        "D002", "D002", "D003", "F002", "F002", "F003", "F005", "S003",
    ]  # fmt: skip
    assert checks.correct(settings, []) == {}


def test_mixed_line_ends_stay_mixed(settings: Settings) -> None:
    text = "---\r\nTitle: A\nkind: Check\r\n---\n\n# A\r\n\n## Steps\r\nDo.\n"
    path = put(settings, text.encode())
    checks.correct(settings, [])
    assert path.read_bytes().decode() == text.replace("Title", "title").replace("Check", "check")


def test_mode_and_links_stay(settings: Settings) -> None:
    path = put(settings, b"---\nTitle: A\n---\n", "real")
    path.chmod(0o600)
    (settings.runbooks / "link.md").symlink_to("real.md")
    checks.correct(settings, ["link"])
    assert (settings.runbooks / "link.md").is_symlink()
    assert path.read_bytes() == b"---\ntitle: A\n---\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(path.name for path in settings.runbooks.iterdir()) == ["link.md", "real.md"]


def test_only_the_named_page_is_written(settings: Settings) -> None:
    put(settings, b"---\nTitle: A\n---\n", "one")
    two = put(settings, b"---\nTitle: A\n---\n", "two")
    good = put(settings, b"---\ntitle: A\n---\n", "good")
    # Not when it was read: that is another time whenever a second begins in between.
    before = written(good)
    assert list(checks.correct(settings, ["one"])) == ["runbooks/one.md"]
    assert two.read_bytes() == b"---\nTitle: A\n---\n"
    checks.correct(settings, ["good"])
    assert written(good) == before


def written(path: Path) -> tuple[int, int]:
    return path.stat().st_ino, path.stat().st_mtime_ns


@pytest.mark.parametrize(
    "text",
    [
        "---\ntitle: A\nkind: Nonsense\n---\n",
        "---\ntitle: A\nTitel: B\n---\n",
        "---\ntitle: A\nTITLE: B\n---\n",
        '# A\n\n## Parameters\n```python name="x"\nx: int\n```\n',
        '# A\n\n## Steps\n```python timeout="soon"\n1\n```\n',
        '# A\n\n## Steps\n```python timeout="0"\n1\n```\n',
        "# A\n\n## Steps\n```ruby\n1\n```\n",
        "text\n---\nTitle: A\n---\n",
        "---\n---\n",
        "",
    ],
)
def test_what_takes_a_person_is_left_to_one(settings: Settings, text: str) -> None:
    path = put(settings, text.encode())
    assert checks.correct(settings, []) == {}
    assert path.read_bytes() == text.encode()


def test_what_cannot_be_read_is_left_alone(settings: Settings) -> None:
    put(settings, b"---\nTitle: \xff\n---\n")
    (settings.runbooks / "gone.md").symlink_to("nowhere.md")
    assert checks.correct(settings, []) == {}


def test_a_page_that_cannot_be_written(settings: Settings) -> None:
    # No name is left for the file beside it that becomes the new page.
    path = put(settings, b"---\nTitle: A\n---\n", "x" * 250)
    with pytest.raises(InputError, match="cannot be written"):
        checks.correct(settings, [])
    assert path.read_bytes() == b"---\nTitle: A\n---\n"
    assert [path] == list(settings.runbooks.iterdir())


def test_the_command_says_what_it_did(project: Project) -> None:
    project.write("runbooks/page.md", "---\nTitle: A\nowner: o\nreviewed: 2026-11-20\n---\n\n## Steps\nDo it.\n")
    assert project.opsbook("check").code == 2
    done = project.opsbook("check", "--fix")
    assert (done.code, done.out) == (0, "fixed runbooks/page.md:2 F002 Title: is now title:\n")
    again = project.opsbook("check", "--fix", "--json")
    assert (again.code, again.out) == (0, "[]\n")


@pytest.mark.parametrize(
    "front",
    [
        "kind: Maintenance\nkind: maintenance\n",
        'OWNER: z\n"owner": q\n',
        "OWNER: z\nowner : q\n",
        "OWNER: z\nOwner: q\n",
    ],
)
def test_a_key_that_is_there_twice_is_left_to_a_person(front: str) -> None:
    text = f"---\ntitle: A\n{front}---\n\n# A\n"
    once = fix.apply(text, fix.fixes(text, notebook.parse(text, "a.md")[1]))
    assert fix.fixes(once, notebook.parse(once, "a.md")[1]) == []
    assert sum(line.lower().lstrip('"').startswith(("owner", "kind")) for line in once.split("\n")) == 2
    assert once.count("owner: ") == text.count("owner: ")
