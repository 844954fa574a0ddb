"""A past run, walked through in JupyterLab: nothing behind it, its questions asked again, its times shown."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, browser
from tests.support.lab import notebook, opened
from tests.support.project import Project

chromium = browser.chromium
pytestmark = pytest.mark.slow


PAGE = """\
## Parameters

```python tags=["parameters"]
word: str = "one"  # What to write
```

## Prerequisites

### Be ready
```python
from opsbook import ask, command, confirm, done
```

## Steps

### Choose
```python
colour = ask("colour", "Which?", ["red", "green"])
sure = confirm("sure", "Sure?")
```

### Write it
```python
command(["sh", "-c", f"echo {word} {colour} {sure} >> written"])
print("as", colour, sure)
```

### Go wrong
```python
command(["sh", "-c", "cat written; exit 3"])
```

## Validation

### Look
```python
command(["cat", "written"], changes=False)
```

## Rollback

### Take it back
```python
if done("Write it"):
    command(["rm", "written"])
```
"""


@pytest.fixture
def past(project: Project) -> Project:
    """A project in which a run went wrong and was rolled back; nothing but its record is left."""
    project.page(PAGE, "incident", "rollback: automatic\n")
    run = ("run", "incident", "-e", "dev", "-p", "word=two", "--answer", "colour=red", "--answer", "sure=yes")
    done = project.opsbook(*run)
    assert done.code == 1, done.out + done.err
    assert not (project.root / "written").exists()
    return project


def test_a_rolled_back_run_with_its_questions(past: Project, chromium: Any) -> None:
    with opened(past, "incident", "--replay", "last") as lab, notebook(chromium, lab) as book:
        assert "which ended rolled-back" in book.page.locator(".jp-MarkdownCell").first.inner_text()
        for text in ("# Parameters", "from opsbook import ask"):
            book.run(text)
            book.wait()
        asked = book.answer_all("colour = ask", "green", "yes")
        assert "then, otherwise: red, by" in asked
        assert "then, the same: yes, by" in asked
        assert len(re.findall(r"at \d\d:\d\d:\d\dZ, took [\d.]+ s", asked)) == 2
        book.run('print("as"')
        book.wait()
        written = book.output('print("as"')
        assert "as red True" in written, "it goes on with what was answered then"
        assert re.search(r"at \d\d:\d\d:\d\dZ, took", written)
        assert not (past.root / "written").exists()
        book.run("cat written; exit 3")
        book.wait()
        assert "exit code 3" in book.output("cat written; exit 3")
        book.run('["cat", "written"]')
        book.wait()
        assert "is not in the recording" in book.output('["cat", "written"]')
        book.rewrite("roll_back = False", "roll_back = True")
        book.run("roll_back = True")
        book.run("if done(")
        book.wait()
        assert "rm written -> 0" in book.output("if done(")
        # Once more, as a trainee does: the same answer.
        book.run('print("as"')
        book.wait()
        assert "as red True" in book.output('print("as"')


@pytest.mark.soak
def test_a_recording_is_walked_through_too(past: Project, chromium: Any) -> None:
    assert past.opsbook("records", "export", "last", "--recording", "bad").code == 0
    path = past.root / "runbooks/recordings/incident.bad.json"
    with opened(past, "incident", "--replay", str(path)) as lab, notebook(chromium, lab) as book:
        for text in ("# Parameters", "from opsbook import ask"):
            book.run(text)
            book.wait()
        assert "then, the same: red, by" in book.answer_all("colour = ask", "red", "yes")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("incident", "--replay", "nothing"), "nothing"),
        (("incident", "--replay", "last", "-p", "word=x"), "A replay has its environment and its values."),
        (("incident", "--replay", "nowhere.json"), "nowhere.json cannot be read"),
        (("other", "--replay", "last"), "is of incident, not of other"),
    ],
)
def test_what_cannot_be_replayed(past: Project, arguments: tuple[str, ...], says: str) -> None:
    past.page(PAGE, "other")
    with tempfile.TemporaryDirectory(prefix="ob") as place:
        done = Project(past.root, {"XDG_RUNTIME_DIR": place}).opsbook("lab", *arguments, "--no-browser")
        assert done.code == 2
        assert says in done.err
        assert list(Path(place).iterdir()) == []


@pytest.mark.soak
def test_the_deploy_of_this_project_that_was_rolled_back(tmp_path: Path, chromium: Any) -> None:
    for name in ("runbooks", "playbooks", "lib/arcade_ops"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "opsbook.toml", tmp_path)
    recording = tmp_path / "runbooks/recordings/deploy-service.rolled-back.json"
    with (
        opened(Project(tmp_path), "deploy-service", "--replay", str(recording)) as lab,
        notebook(chromium, lab) as book,
    ):
        book.run_all()
        book.wait()
        assert "playbook switch.yml: changed" in book.output("switch.yml")
        assert "answered 500, expected 200" in book.output("Leaderboard")
        assert book.output("retire.yml") == "", "Run All stops where the deploy went wrong"
        book.rewrite("roll_back = False", "roll_back = True")
        for text in ("roll_back = True", "revert.yml", "def serves"):
            book.run(text)
            book.wait()
        assert "playbook revert.yml: changed" in book.output("revert.yml")
    assert not any((tmp_path / name).exists() for name in (".opsbook/env", "records"))
