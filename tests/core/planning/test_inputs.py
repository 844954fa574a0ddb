"""Wrong input: exit 2, every problem at once, one sentence each, no traceback and no record."""

import tempfile
from pathlib import Path

import psutil
import pytest

from tests.support.project import Project, until

PAGE = """\
## Parameters

```python tags=["parameters"]
from typing import Annotated, Literal
from opsbook.params import Between, Release, Secret, Service

service: Service = "arcade"  # What to deploy
version: Release  # A version that was built
percent: Annotated[int, Between(1, 50)] = 10
mode: Literal["fast", "slow"] = "fast"
```

## Prerequisites

### Ask first

```python
from opsbook import confirm
confirm("go", "Shall we?")
```

## Steps

### By hand
Do something.
"""


@pytest.fixture
def page(project: Project) -> Project:
    project.page(PAGE)
    project.page("## Steps\n### One\nDo it.\n", "broken", "onwer: x\n")
    return project


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["page", "-e", "dev", "-p", "version=9.9.9"], ["Parameter version: there is no release '9.9.9' in dev."]),
        (["page", "-e", "dev"], ["Parameter version is missing: a release; give -p version=…."]),
        (["page", "-e", "dev", "-p", "version=1.10", "-p", "percent=51"], ["51 is not between 1 and 50."]),
        (
            ["page", "-e", "dev", "-p", "versoin=1.10"],
            ["no parameter versoin. Did you mean version?", "version is missing"],
        ),
        (["page", "-e", "dve", "-p", "version=1.10"], ["There is no environment dve. Did you mean dev?"]),
        (["paeg", "-e", "dve"], ["no runbook or procedure named paeg. Did you mean page?", "no environment dve"]),
        (["broken", "-e", "dev"], ["runbooks/broken.md:6:1 F002 unknown key onwer. Did you mean owner?"]),
        (["runbooks/page.md", "-e", "dev"], ["runbooks/page.md is a path; a runbook is called by its name."]),
        (["../page", "-e", "dev"], ["is a path"]),
        (["page", "-e", "dev", "-p", "version"], ["'version' is not NAME=VALUE."]),
        (["page", "-e", "dev", "-p", "version=1.10", "--params-file", "nowhere.yml"], ["nowhere.yml cannot be read"]),
        (["page", "-e", "dev", "-p", "version=1.10", "-p", "mode=medium"], ["'medium' is not one of fast, slow."]),
        (
            ["page", "-e", "dev", "-p", "version=1.10"],
            ["answer go (Shall we?); give --answer go=yes.", "answer by-hand (By hand); give --answer by-hand=done."],
        ),
        (
            ["page", "-e", "dev", "-p", "version=1.10", "--answer", "go=maybe", "--answer", "by-hand=done"],
            ["'maybe' does not answer go: it takes yes, no."],
        ),
        (
            ["page", "-e", "dev", "-p", "version=1.10", "--answer", "goo=yes", "--answer", "by-hand=done"],
            ["There is no question goo. Did you mean go?"],
        ),
    ],
)
def test_refused_before_anything(page: Project, arguments: list[str], said: list[str]) -> None:
    result = page.opsbook("run", *arguments)
    assert result.code == 2, result
    for sentence in said:
        assert sentence in result.err
    assert result.out == ""
    assert page.records() == []


def test_a_params_file_keeps_text_as_typed(page: Project) -> None:
    page.write("values.yml", "version: 1.10\npercent: 7\n")
    result = page.opsbook("plan", "page", "-e", "dev", "--params-file", "values.yml", "--json", check=True)
    assert '"version": "1.10"' in result.out
    assert '"percent": 7' in result.out


@pytest.mark.parametrize(
    ("name", "text", "printed"),
    [
        ("values.yml", "reason: ~\nday: 'null'\n", "None 'null' None"),
        ("values.yml", "reason:\nday: ''\ncount: null\n", "None '' None"),
        ("values.json", '{"reason": null, "day": "~", "count": null}', "None '~' None"),
        ("values.json", '{"reason": "null", "day": null, "count": null}', ""),
        ("values.yml", "day: ~\n", ""),
        ("values.yml", "day:\n", ""),
    ],
)
def test_null_is_nothing_or_refused(project: Project, name: str, text: str, printed: str) -> None:
    values = 'reason: str | None = "x"\nday: str = "y"\ncount: int | None = None\n'
    tags = '```python tags=["parameters"]\n'
    project.page(
        f"## Parameters\n\n{tags}{values}```\n\n## Steps\n\n```python\nprint(repr(reason), repr(day), count)\n```\n"
    )
    project.write(name, text)
    result = project.opsbook("run", "page", "-e", "dev", "--params-file", name)
    if printed:
        assert f"    | {printed}\n" in result.out
    else:
        assert (result.code, project.records()) == (2, [])
        assert "Parameter day: null is no value for it; it takes text." in result.err


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: {b: c}\n", "a: [\n", "just text\n"])
def test_a_params_file_of_another_shape(page: Project, text: str) -> None:
    page.write("values.yml", text)
    result = page.opsbook("run", "page", "-e", "dev", "--params-file", "values.yml")
    assert result.code == 2
    assert "values.yml" in result.err


def test_a_secret_is_never_an_argument(project: Project) -> None:
    project.page(
        """\
        ## Parameters

        ```python tags=["parameters"]
        from opsbook.params import Secret
        token: Secret
        ```

        ## Steps

        ### One
        ```python
        print(token)
        ```
        """
    )
    result = project.opsbook("run", "page", "-e", "dev", "-p", "token=hunter2hunter2")
    assert result.code == 2
    assert "never the value itself" in result.err
    assert "hunter2" not in result.err
    missing = project.opsbook("run", "page", "-e", "dev")
    assert "give -p token=env:NAME or file:PATH" in missing.err
    unset = project.opsbook("run", "page", "-e", "dev", "-p", "token=env:NOT_SET_HERE")
    assert unset.code == 2
    assert "NOT_SET_HERE is not set" in unset.err
    assert project.records() == []


def test_a_plan_is_stable_and_says_what_changed(page: Project) -> None:
    def digest() -> str:
        return page.opsbook("plan", "page", "-e", "dev", "-p", "version=1.10", "--json", check=True).out

    before = digest()
    assert digest() == before
    page.write("playbooks/new.yml", "- hosts: all\n")
    changed = digest()
    assert changed != before
    page.write("lib/team/helper.py", "x = 1\n")
    assert digest() != changed
    assert page.records() == []


def test_no_project(tmp_path: "object") -> None:
    result = Project(tmp_path).opsbook("list")  # type: ignore[arg-type]
    assert result.code == 2
    assert "No opsbook project" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lsit"], "There is no command lsit. Did you mean list?"),
        (["records", "show", "last"], "No run has left a record yet."),
        (["records", "verify"], "Which record?"),
        (["unlock", "dev/x", "--reason", "y"], "Nobody holds dev/x."),
        (["cancel", "last"], "There is no run last."),
        (["env", "show", "prod"], "There is: dev."),
        (["show", "pgae"], "Did you mean page?"),
    ],
)
def test_other_commands(page: Project, arguments: list[str], said: str) -> None:
    result = page.opsbook(*arguments)
    assert result.code == 2
    assert said in result.err


def test_empty_states(project: Project) -> None:
    assert "Write one as runbooks/NAME.md" in project.opsbook("list", check=True).out
    assert "No run has left a record here yet" in project.opsbook("records", "list", check=True).out
    assert "Nothing is locked." in project.opsbook("locks", check=True).out


def test_errors_as_json(page: Project) -> None:
    import json

    result = page.opsbook("run", "page", "-e", "dev", "--json")
    assert json.loads(result.err)["exit_code"] == 2


def test_a_literal_choice_is_checked_ahead(project: Project) -> None:
    body = 'from opsbook import ask\nask("color", "Which?", ["red", "blue"])'
    project.page(f"## Steps\n\n```python\n{body}\n```\n")
    result = project.opsbook("run", "page", "-e", "dev", "--answer", "color=green")
    assert result.code == 2
    assert "'green' does not answer color: it takes red, blue." in result.err
    assert project.records() == []


def test_a_kernel_started_too_early_leaves_nothing(project: Project) -> None:
    """The kernel starts before the arguments are read; where they are wrong, it goes away by itself."""

    def left() -> list[str]:
        commands = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
        return [command for command in commands if "-nothing-of-this-name-" in command]

    # Its path is short, or it would not be taken.
    with tempfile.TemporaryDirectory(prefix="ob") as place:
        project.env["XDG_RUNTIME_DIR"] = place
        assert project.opsbook("run", "nothing-of-this-name", "-e", "dev").code == 2
        until(lambda: not left(), "the end of its processes")
        until(lambda: not list(Path(place).iterdir()), "the end of its folder")
