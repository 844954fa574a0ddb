"""Documents: what is read, and every problem lint finds in them."""

from pathlib import Path

import jupytext
import pytest

from opsbook.core.model.runbook import Role
from opsbook.core.rules import lint
from opsbook.core.source import notebook
from tests.support import ROOT

KNOWN = lint.Known(frozenset({"release.yml", "switch.yml"}))

GOOD = """\
---
title: Deploy
kind: deploy
owner: team
reviewed: 2026-11-20
lock: ["{environment}/{service}"]
rollback: automatic
---

# Deploy

## Overview
Text.

## Parameters

```python tags=["parameters"]
service: str = "arcade"
```

## Prerequisites

### It answers

```python
from opsbook import done, http, playbook
before = http("GET", "http://x/version").json
```

## Steps

### Unpack
Expected: it is
there.

```python timeout=120
playbook("release.yml", vars={"service": service})
```

### Tell somebody
Call them.

```console
$ not a cell
```

## Validation

### Works

```python
http("GET", "http://x/readyz", expect=200)
```

## Rollback

### Back

```python
if done("Unpack"):
    playbook("switch.yml", vars={"version": before})
```

## Contacts
Nobody.
"""


def problems(text: str) -> list[str]:
    runbook, found = notebook.parse(text, "runbooks/page.md")
    return [str(problem) for problem in sorted(found + lint.problems(runbook, (), KNOWN))]


def codes(text: str) -> set[str]:
    return {problem.split()[1] for problem in problems(text)}


def test_a_good_page() -> None:
    runbook, found = notebook.parse(GOOD, "runbooks/page.md")
    assert found == []
    assert lint.problems(runbook, (), KNOWN) == []
    assert [step.id for step in runbook.forward()] == ["it-answers", "unpack", "tell-somebody", "works"]
    assert [step.id for step in runbook.undo()] == ["back"]
    unpack = next(step for step in runbook.steps() if step.id == "unpack")
    assert unpack.expected == "it is there."
    assert unpack.cells[0].timeout == 120
    assert unpack.cells[0].line == GOOD.split("\n").index('playbook("release.yml", vars={"service": service})') + 1
    manual = next(step for step in runbook.steps() if step.id == "tell-somebody")
    assert manual.manual and "$ not a cell" in manual.prose
    assert [section.role for section in runbook.sections if section.title == "Contacts"] == [Role.PROSE]


def test_prerequisites_come_first_wherever_they_stand() -> None:
    text = "# P\n\n## Steps\n\n### One\nDo it.\n\n## Prerequisites\n\n### Zero\nLook.\n"
    runbook, _ = notebook.parse(text, "procedures/p.md")
    assert [step.id for step in runbook.forward()] == ["zero", "one"]


PAGES = [path for folder in ("runbooks", "procedures") for path in (ROOT / folder).rglob("*.md")]


@pytest.mark.parametrize("path", sorted(PAGES), ids=lambda p: p.name)
def test_jupytext_sees_the_same_cells(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    runbook, _ = notebook.parse(text, path.name)
    ours = [cell.source for section in runbook.sections for step in section.steps for cell in step.cells]
    assert ours == [cell.source for cell in jupytext.reads(text, fmt="md").cells if cell.cell_type == "code"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("title: Deploy", "titel: Deploy", "F002"),
        ("kind: deploy", "kind: deplyo", "F003"),
        ("title: Deploy", "title: [", "F001"),
        ("reviewed: 2026-11-20", "reviewed: yesterday", "F003"),
        ('"{environment}/{service}"', '"{environment}/{servce}"', "F004"),
        ("## Contacts", "```python\nx = 1\n", "D001"),
        ('tags=["parameters"]', '{tags=["parameters"]}', "D002"),
        ("timeout=120", 'timeout="soon"', "D003"),
        ("```console\n$ not a cell", "```ruby\nputs 1", "D004"),
        ('service: str = "arcade"', "service = 3", "P002"),
        ('service: str = "arcade"', "service: =", "P001"),
        ("## Rollback", "## Contact", "S001"),
        ("## Contacts\nNobody.", "## Contacts\n```python\nx = 1\n```", "S002"),
        (' tags=["parameters"]', "", "S003"),
        ("### Tell somebody", "### Unpack", "S004"),
        ("### Tell somebody", "### Parameters", "S004"),
        ("## Contacts", "## steps\n\n### More\nDo it.\n\n## Contacts", "S005"),
        ("## Overview", "```python\nx = 1\n```\n\n## Overview", "S002"),
        ("owner: team\n", "", "M001"),
        ("reviewed: 2026-11-20\n", "", "M002"),
        ("before = http", "before == = http", "C001"),
        ("from opsbook import done", "import sys\nsys.exit(0)\nfrom opsbook import done", "C002"),
        ("from opsbook import done", "import subprocess\nsubprocess.run([])\nfrom opsbook import done", "C003"),
        ("from opsbook import done", "open('x', 'w')\nfrom opsbook import done", "C003"),
        ("from opsbook import done", "import time\nt = time.time()\nfrom opsbook import done", "C004"),
        ('http("GET", "http://x/readyz"', 'http("POST", "http://x/readyz"', "C005"),
        ("release.yml", "relaese.yml", "C006"),
        ('http("GET", "http://x/readyz", expect=200)', "ask(name, 'Go?')", "C007"),
        ('http("GET", "http://x/readyz"', 'http("POST", "http://x/readyz", changes=False', "C008"),
        ("```console\n$ not a cell", "```bash\n$ uptime", "C009"),
        ("```console\n$ not a cell", "```sh\n# uptime", "C009"),
        ("```console\n$ not a cell", "```bash\nkubectl -n <name-space> get pods", "C009"),
        ("```console\n$ not a cell", '```bash tags=["read"]\nuptime', "C008"),
        ('"version": before', '"version": after', "C013"),
        ('done("Unpack")', 'done("Unpakc")', "R002"),
    ],
)
def test_each_rule(old: str, new: str, code: str) -> None:
    assert old in GOOD
    assert code in codes(GOOD.replace(old, new))


def test_places_and_nearest_names() -> None:
    said = problems(GOOD.replace("owner: team", "onwer: team").replace("release.yml", "relase.yml"))
    assert "runbooks/page.md:4:1 F002 unknown key onwer. Did you mean owner?" in said
    assert any(text.endswith("there is no playbooks/relase.yml. Did you mean release.yml?") for text in said)


def test_a_value_makes_chance_recordable() -> None:
    text = GOOD.replace(
        "from opsbook import done", "import time\nt = value('t', lambda: time.time())\nfrom opsbook import done"
    )
    assert "C004" not in codes(text)


def test_a_text_fence_with_the_same_lines_is_not_the_cell() -> None:
    cell = 'playbook("release.yml", vars={"service": service})'
    runbook, found = notebook.parse(
        GOOD.replace("## Steps", f"```console\n{cell}\n```\n\n## Steps"), "runbooks/page.md"
    )
    assert found + lint.problems(runbook, (), KNOWN) == []
    assert [step.id for step in runbook.steps() if any(cell in c.source for c in step.cells)] == ["unpack"]


def test_every_prerequisite_comes_first_in_any_case() -> None:
    text = "# P\n\n## Steps\n\n### One\nDo.\n\n## prerequisites\n\n### Two\nDo.\n"
    runbook, _ = notebook.parse(text, "procedures/p.md")
    assert [step.id for step in runbook.forward()] == ["two", "one"]


READS = GOOD.replace('```python\nhttp("GET", "http://x/readyz", expect=200)', "```bash{}\ncurl -f http://x/readyz")


@pytest.mark.parametrize(("tags", "code"), [("", "C005"), (' tags=["read"]', "C008"), (' tags=["other"]', "C005")])
def test_a_shell_cell_that_reads_says_so(tags: str, code: str) -> None:
    assert codes(READS.replace("bash{}", f"bash{tags}")) == {code}


@pytest.mark.parametrize(
    "script",
    [
        "# restart it\nsystemctl restart cache",
        "sort <in >out",
        "cat <<EOF >file\nx\nEOF",
        "while read -r x; do echo $x; done < <(ls)",
        "import sys; sys.exit(1)",
        'test "$a" -lt 3 && echo "${b}>c"',
    ],
)
def test_what_a_shell_cell_may_say(script: str) -> None:
    assert codes(GOOD.replace("```console\n$ not a cell", f"```bash\n{script}")) == set()


def test_a_prompt_says_its_line() -> None:
    said = problems(GOOD.replace("```console\n$ not a cell", "```bash\nuptime\nrestart <the service>"))
    line = GOOD.split("\n").index("$ not a cell") + 2
    assert [text.split(" is for")[0] for text in said] == [f"runbooks/page.md:{line}:9 C009 <the service>"]


def test_mkdocs_keys_are_allowed() -> None:
    assert codes(GOOD.replace("owner: team", "owner: team\ntags: [a]\nicon: material/rocket\nhide: [toc]")) == set()


def test_no_front_matter_is_a_procedure() -> None:
    runbook, found = notebook.parse("# Restart\n\n## Steps\n\n### One\nDo it.\n", "procedures/restart.md")
    assert found == []
    assert runbook.front.kind == "procedure"
    assert {problem.code for problem in lint.problems(runbook, (), KNOWN)} == {"M001", "M002"}


@pytest.mark.parametrize(
    "text", ["", "---", "---\n", "---\n---", "\n", "```", "# x\n```python", "---\n- a\n---\n", "\x00"]
)
def test_odd_texts_do_not_break_anything(text: str) -> None:
    problems(text)
