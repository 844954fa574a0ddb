"""Trees that ask a page of the kind check: it is run once, decides what it can, and changes nothing."""

import json

import pytest

from opsbook import settings
from opsbook.core.planning import environment
from opsbook.diagnose import diagnosing, trees
from opsbook.diagnose.diagnosing import Answered
from opsbook.errors import InputError
from tests.support.project import Project, Terminal

TREE = """\
- Is it well? `run health`
    - yes: All is well.
    - no: What does it say? `run health says`
        - web-1 is slow: [Restart it](../runbooks/restart.md)
        - is slow: Wait.
        - something else: Read it.
"""
HEALTH = """\
---
title: Health
kind: {kind}
owner: team
reviewed: 2026-11-20
{front}---

# Health

## Parameters

```python tags=["parameters"]
host: str{default}   # What to look at
```

## Validation

### It is well

```python
import os
from pathlib import Path
found = Path("found.txt").read_text()
if found == "the end":
    os.kill(os.getpid(), 9)
assert not found, found
```
"""


def page(project: Project, kind: str = "check", default: str = ' = "web-1"', front: str = "") -> None:
    project.write("docs/trees/what.md", TREE)
    project.write("runbooks/health.md", HEALTH.format(kind=kind, default=default, front=front))


def walked(project: Project, found: str) -> tuple[list[str], str]:
    """The tree's answers and its advice, where the page finds this."""
    project.write("found.txt", found)
    told = json.loads(project.opsbook("diagnose", "what", "-e", "dev", "--json", check=True).out)
    assert all(found in step["seen"] for step in told["steps"])
    return [step["answer"] for step in told["steps"]], told["advice"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("found", "answers", "advice"),
    [
        ("", ["yes"], "All is well."),
        ("web-1 is slow", ["no", "web-1 is slow"], "Restart it"),
        ("web-2 is slow", ["no", "is slow"], "Wait."),
        ("web-1 burns", ["no", "something else"], "Read it."),
    ],
)
def test_a_page_decides_and_is_run_once(project: Project, found: str, answers: list[str], advice: str) -> None:
    page(project)
    assert walked(project, found) == (answers, advice)
    assert len(project.records()) == 1
    assert project.summary()["mode"] == "check"


@pytest.mark.slow
def test_a_page_that_cannot_be_run_says_neither_yes_nor_no(project: Project) -> None:
    page(project, front="environments: [production]\n")
    alone = project.opsbook("diagnose", "what", "-e", "dev", "--json")
    assert alone.code == 2
    why, asked = json.loads(alone.err)["error"]
    assert why.startswith("health could not be run: ") and "production" in why
    assert asked == "Somebody has to say: Is it well? (yes, no)"
    terminal = Terminal(project.command("diagnose", "what", "-e", "dev"), project)
    terminal.wait_for("health is run as a check …")
    terminal.wait_for("health could not be run: ")
    terminal.wait_for("Is it well? [yes/no]")
    terminal.type("no\n")
    terminal.wait_for("What does it say? [web-1 is slow/is slow/something else]")
    terminal.type("is\n")
    assert terminal.wait() == 0
    assert "Wait." in terminal.screen and not project.records()


@pytest.mark.slow
def test_a_page_whose_kernel_dies_says_neither_yes_nor_no(project: Project) -> None:
    page(project)
    project.write("found.txt", "the end")
    alone = project.opsbook("diagnose", "what", "-e", "dev", "--json")
    why, asked = json.loads(alone.err)["error"]
    assert why.startswith("health could not be run: ") and "the kernel was killed" in why
    assert (alone.code, asked) == (2, "Somebody has to say: Is it well? (yes, no)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("assert not found, fuond", "health could not be run: "),
        (
            "from opsbook import confirm\nconfirm('sure', 'Sure?')\nassert not found",
            "health did not look at everything: ",
        ),
    ],
)
def test_a_page_that_did_not_look_says_neither_yes_nor_no(project: Project, cell: str, said: str) -> None:
    page(project)
    health = project.root / "runbooks/health.md"
    health.write_text(health.read_text().replace("assert not found, found", cell))
    project.write("found.txt", "web-1 is slow" if "fuond" in cell else "")
    alone = project.opsbook("diagnose", "what", "-e", "dev", "--json")
    why, asked = json.loads(alone.err)["error"]
    assert why.startswith(said) and (alone.code, asked) == (2, "Somebody has to say: Is it well? (yes, no)")


@pytest.mark.slow
def test_the_name_of_a_step_answers_nothing(project: Project) -> None:
    page(project)
    health = project.root / "runbooks/health.md"
    health.write_text(health.read_text().replace("### It is well", "### Nothing is slow"))
    answers, advice = walked(project, "it burns")
    assert (answers[-1], advice) == ("something else", "Read it.")


@pytest.mark.parametrize(
    ("kind", "default", "name", "said"),
    [
        (
            "maintenance",
            ' = "web-1"',
            "health",
            "its kind is maintenance, and a tree runs pages of the kind check only",
        ),
        ("check", "", "health", "it needs a value for host"),
        ("check", ' = "web-1"', "helth", "there is no page of this name"),
    ],
)
def test_only_a_page_that_looks_may_be_run(project: Project, kind: str, default: str, name: str, said: str) -> None:
    page(project, kind, default)
    project.write("docs/trees/what.md", TREE.replace("run health says", f"run {name} says"))
    line = 1 if name == "health" else 3
    problem = f"`run {name}`: {said}"
    checked = project.opsbook("check")
    assert checked.code == 2 and f"docs/trees/what.md:{line}:1 L007 {problem}" in checked.out
    done = project.opsbook("diagnose", "what", "-e", "dev")
    assert done.code == 2 and f"docs/trees/what.md:{line}: {problem}." in done.err
    assert ("Did you mean health?" in done.err) is (name != "health")


@pytest.mark.parametrize("written", ["run health well", "run health says slow", "run health is 200"])
def test_what_is_no_check_is_refused(written: str) -> None:
    with pytest.raises(InputError, match="is no check"):
        trees.parse(TREE.replace("run health says", written), "what.md")


def test_whether_it_is_well_is_yes_or_no() -> None:
    with pytest.raises(InputError, match="a check answers yes or no"):
        trees.parse(TREE.replace("run health says", "run health"), "what.md")


@pytest.mark.parametrize(
    ("seen", "answer", "line"),
    [
        ("health: web-9 burns; web-2 does not answer; x", "does not answer", "-p host=web-2 -p how=…"),
        ("health: no host does not answer", "does not answer", "-p host=… -p how=…"),
        ("health: $(x) is slow", "is slow", "-p host=… -p how=…"),
        ("health: all is well", "something else", "-p host=… -p how=…"),
    ],
)
def test_the_line_has_the_host_that_was_found(project: Project, seen: str, answer: str, line: str) -> None:
    parameters = "from opsbook.params import Host\nhost: Host  # Which\nhow: str  # How\nwhen: str = 'now'  # When\n"
    project.page(
        f'## Parameters\n\n```python tags=["parameters"]\n{parameters}```\n\n## Steps\n\n### A\n\nDo it.\n', "restart"
    )
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text().replace("choices:\n", "choices:\n  Host: [web-1, web-2]\n"))
    here = settings.load(project.root, given=True)
    place = environment.load(here, "dev")
    found = diagnosing.command(here, "restart", place, Answered("What?", answer, seen))
    assert found == f"opsbook run restart -e dev {line}"


def test_a_page_with_steps_that_change_is_not_asked(project: Project) -> None:
    page(project)
    health = project.root / "runbooks/health.md"
    health.write_text(health.read_text().replace("## Validation", "## Steps\n\n### Do\n\nBy hand.\n\n## Validation"))
    with pytest.raises(InputError, match=r"`run health`: it has steps that change something"):
        trees.load(settings.load(project.root, given=True), "what")


def test_a_tree_that_leads_to_no_page_is_named_and_helps_all_the_same(project: Project) -> None:
    page(project)
    project.write(
        "docs/trees/what.md", "- Is it on?\n    - yes: [See](../runbooks/helth.md).\n    - no: [Go](../x.md).\n"
    )
    checked = project.opsbook("check")
    said = "docs/trees/what.md:2:1 L007 there is no page helth. Did you mean health?"
    assert (checked.code, said in checked.out) == (2, True)
    assert "Is it on?" in project.opsbook("diagnose", "what", "-e", "dev").err
