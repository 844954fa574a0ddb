"""Every rule: its examples go through the real check, and the reference says what is true."""

import ast
import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import opsbook
from opsbook.cli import main
from opsbook.core.rules import code
from opsbook.core.rules.lint import SOFT
from opsbook.core.source.problem import Problem
from opsbook.lint import checks, documented
from opsbook.lint.documented import FAMILIES, Example, Rule, rules
from opsbook.settings import Settings
from tests.support import ROOT

RULES = rules()
TODAY = datetime.now(UTC).date().isoformat()

FRAME = f"""\
---
title: Example
kind: maintenance
owner: platform
reviewed: {TODAY}
---

# Example

"""
"""Before an example that is part of a page; every page needs steps behind it."""

STEPS = "\n## Steps\n\n### Act on it\nDo it by hand.\n"


def written(root: Path, example: Example) -> Settings:
    """A project with the example in it. Bytes that are no UTF-8 stand as surrogates."""
    files = {"runbooks/example.md": example} if isinstance(example, str) else example
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(page(name, text).replace("2026-11-20", TODAY).encode("utf-8", "surrogateescape"))
    return Settings(root, root / "records", root / ".opsbook")


def page(name: str, text: str) -> str:
    if not name.endswith(".md") or text.lstrip().startswith("---"):
        return text
    return FRAME + text + ("" if "## Steps" in text else STEPS)


def found(root: Path, example: Example) -> list[Problem]:
    return checks.check(written(root, example), [])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_the_bad_example_shows_it(tmp_path: Path, rule: Rule) -> None:
    problems = [problem for problem in found(tmp_path, rule.bad) if problem.code == rule.code]
    assert problems
    assert {problem.warning for problem in problems} == {rule.warning}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_the_good_example_is_all_good(tmp_path: Path, rule: Rule) -> None:
    assert found(tmp_path, rule.good) == []


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.fix], ids=lambda rule: rule.code)
def test_what_is_fixable_can_be_fixed(tmp_path: Path, rule: Rule) -> None:
    settings = written(tmp_path, rule.bad)
    checks.correct(settings, [])
    assert [problem for problem in checks.check(settings, []) if problem.code == rule.code] == []


def test_what_is_not_said_to_be_fixable_stays_as_it_is(tmp_path: Path) -> None:
    for rule in RULES:
        if not rule.fix:
            assert checks.correct(written(tmp_path / rule.code, rule.bad), []) == {}, rule.code


@pytest.mark.parametrize("rule", [rule for rule in RULES if isinstance(rule.bad, str)], ids=lambda rule: rule.code)
def test_without_front_matter_customs_are_warnings(tmp_path: Path, rule: Rule) -> None:
    """What stays an error there is what cannot run, or what nobody can mean."""
    bare = re.sub(r"\A\s*---\n.*?\n---\n", "", str(rule.bad), flags=re.DOTALL)
    (tmp_path / "procedures").mkdir()
    (tmp_path / "procedures/bare.md").write_text(bare + "\n", encoding="utf-8")
    firm = {rule.code for rule in RULES if not (rule.soft or rule.warning)}
    problems = checks.check(Settings(tmp_path, tmp_path / "records", tmp_path / ".opsbook"), [])
    assert {problem.code for problem in problems if not problem.warning} <= firm


def _emitted() -> Iterator[tuple[str, str]]:
    """Every code that a module of opsbook names, with the module; lint.py only lists some."""
    for path in (ROOT / "lib/opsbook").rglob("*.py"):
        if path.name == "lint.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            said = node.value if isinstance(node, ast.Constant) else None
            if isinstance(said, str) and re.fullmatch(f"[{''.join(FAMILIES)}][0-9]{{3}}", said):
                yield said, path.name


def test_every_code_is_documented_and_emitted() -> None:
    emitted = dict(_emitted())
    documented = [rule.code for rule in RULES]
    assert sorted(emitted) == sorted(documented)
    assert len(set(documented)) == len(documented)
    assert len({rule.name for rule in RULES}) == len(documented)


def test_the_engine_knows_which_rules_are_soft() -> None:
    assert {rule.code for rule in RULES if rule.soft} == SOFT


def test_the_reference_is_what_the_rules_say() -> None:
    text = (ROOT / "docs/lint.md").read_text(encoding="utf-8")
    assert text == documented.whole(), f"docs/lint.md is old; write it anew: {documented.RENEW}"


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["check", "--explain", "c005"]) == 0
    assert capsys.readouterr().out.startswith("### C005\n\n**changes-where-it-reads**")
    assert main.main(["check", "--explain", "C05"]) == 2
    assert "Did you mean C005?" in capsys.readouterr().err


DEFINED = """
## Parameters
```python tags=["parameters"]
from opsbook.params import Group

group: Group  # Which hosts
```

## Steps

### First
```python
import json as text, os.path
from opsbook import http, playbook

def later(number, *more, key=None, **other):
    return [made_later + each for each in more if (half := number / 2) and other and key]

try:
    with open(os.path.join("a", "b")) as file:
        rows = {name: value for name, value in text.load(file).items()}
except OSError as error:
    print(error, __name__, group)
match rows:
    case {"a": found, **rest} | {"b": [found, *rest]}:
        print(found, rest)
class Kept:
    size: int = 1
    def both(self) -> "Unknown":
        return self.size, lambda one: one
```

### Second
```python
made_later = In, Out, _, __, _3, _i4, display, at_first
for each in (later, Kept, rows): print(each)
```

## Prerequisites

### They run first
```python
at_first = 1
```

## Background

```python
example(of_something)
```
"""


def test_a_name_that_is_there_is_not_complained_about(tmp_path: Path) -> None:
    assert [problem for problem in found(tmp_path, DEFINED) if problem.code == "C013"] == []


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("playbook('a.yml')", "no cell defines playbook: from opsbook import playbook"),
        ("size: Group = 1", "no cell defines Group: from opsbook.params import Group"),
        ("size: Literal[1] = 1", "no cell defines Literal: from typing import Literal"),
        ("from opsbook import Group", "opsbook has no Group: from opsbook.params import Group"),
        ("servers = []\nprint(server)", "no cell defines server. Did you mean servers?"),
        ("def act():\n    return missing", "no cell defines missing"),
    ],
)
def test_a_name_that_is_nowhere_is_an_error_with_a_way_out(tmp_path: Path, cell: str, text: str) -> None:
    problems = found(tmp_path, f"## Steps\n\n### Act\n```python\n{cell}\n```\n")
    assert [(each.message, each.warning) for each in problems if each.code == "C013"] == [(text, False)]


def test_what_effects_take_is_what_their_code_says() -> None:
    effects = {
        name: getattr(opsbook, name) for name in opsbook.__all__ if name.islower() and name not in ("effect", "here")
    }
    taken = {
        name: {
            each.name for each in inspect.signature(effect).parameters.values() if each.kind is not each.VAR_POSITIONAL
        }
        for name, effect in effects.items()
    }
    assert taken == code._ARGUMENTS


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("http('GET', 'http://x', params={})", "http() takes no params. There is: changes, data, "),
        ("playbook('a.yml', var={})", "playbook() takes no var. Did you mean vars?"),
        ("playbook('a.yml', **more)", ""),
        ("wait_until('it', print, timeout=3)", ""),
    ],
)
def test_an_argument_that_an_effect_does_not_take(tmp_path: Path, cell: str, text: str) -> None:
    page = f"## Steps\n\n### Act\n```python\nfrom opsbook import http, playbook, wait_until\nmore = {{}}\n{cell}\n```\n"
    said = [each.message for each in found(tmp_path, page) if each.code == "C014"]
    assert len(said) == bool(text)
    assert "".join(said).startswith(text)
    for old, new in (
        ("from opsbook", "from team_effects"),
        ("import http,", "import http as web,"),
        ("more = {}", "more = {}\n\ndef http(*a, **b): ...\n\ndef playbook(*a, **b): ..."),
    ):
        other = page.replace(old, new).replace("playbook('a.yml', var", "print('a.yml', var")
        assert other != page
        assert not [each for each in found(tmp_path, other) if each.code == "C014"]


@pytest.mark.parametrize(
    "cell", ["from os import *", "globals()['name'] = 1", "exec('name = 1')", "from __future__ import annotations"]
)
def test_names_that_may_come_from_elsewhere_are_not_looked_for(tmp_path: Path, cell: str) -> None:
    example = f"## Steps\n\n### Act\n```python\n{cell}\nprint(name)\n```\n"
    assert [each for each in found(tmp_path, example) if each.code == "C013"] == []
