"""What differs between two real runs."""

import json
import re
from typing import Any

import pytest

from tests.support.project import Project

PAGE = """\
## Parameters

```python tags=["parameters"]
from opsbook.params import Release
version: Release
```

## Steps

### Put it there
```python
import datetime, time, uuid
from opsbook import command, playbook, value
print("started", value("now", lambda: str(datetime.datetime.now())), value("id", lambda: str(uuid.uuid4())))
print("version", version)
playbook("write.yml", vars={"version": version})
```

### Look at it
```python
if version == "1.10":
    time.sleep(5)
seen = command(["cat", "made-web-1"], changes=False)
for number in range(4000):
    print("line", number, time.time())
print("seen", seen.stdout)
long = command(["sh", "-c", "seq 20000; echo " + version], changes=False)
```

### Rest
```python
print("nothing new")
```
"""

WRITE = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Write it
      ansible.builtin.copy:
        dest: "{{ playbook_dir }}/../made-{{ inventory_hostname }}"
        content: "{{ version if inventory_hostname == 'web-1' else 'always' }}"
        mode: "0600"
"""


def _run(project: Project, version: str, code: int = 0) -> str:
    result = project.opsbook("run", "page", "-e", "dev", "-p", f"version={version}")
    assert result.code == code, result.out
    return project.records()[-1].name


def _diff(project: Project, *runs: str) -> Any:
    return json.loads(project.opsbook("records", "diff", *runs, "--json", check=True).out)


@pytest.mark.slow
def test_two_runs_that_differ_in_a_parameter(project: Project) -> None:
    project.page(PAGE)
    project.write("playbooks/write.yml", WRITE)
    first = _run(project, "1.0.0")
    again = _run(project, "1.0.0")
    third = _run(project, "1.10")

    # The second did the same, but for the hosts that were changed already.
    found = _diff(project, again)
    assert found["other"] == first
    assert [(s["step"], bool(s["output"]), len(s["effects"])) for s in found["steps"]] == [
        ("put-it-there", True, 1),
        ("look-at-it", False, 0),
        ("rest", False, 0),
    ]
    (effect,) = found["steps"][0]["effects"]
    assert effect["hosts"] == {"web-1": {"changed": [1, 0]}, "web-2": {"changed": [1, 0]}}

    found = _diff(project, "last")
    assert (found["other"], found["run"]) == (again, third)
    assert found["parameters"] == [{"what": "version", "before": "1.0.0", "after": "1.10"}]
    put, look, rest = found["steps"]
    assert {"-version 1.0.0", "+version 1.10"} < set(put["output"])
    assert not any("started" in line for line in put["output"] if line[0] in "+-")
    assert [c["what"] for c in put["effects"][0]["changes"]] == ["request.vars.version", "result.changed"]
    assert put["effects"][0]["hosts"] == {"web-1": {"changed": [0, 1]}}
    assert look["ratio"] > 1.5
    # Of output too long for the journal the end counts too; of a result too long for it, its file.
    assert [line for line in look["output"] if line[0] in "+-"] == ["-seen 1.0.0", "+seen 1.10"], look["output"]
    assert [c["what"] for e in look["effects"] for c in e["changes"]] == [
        "result.stdout",
        "request.argv.2",
        "result.stdout",
    ]
    assert (rest["output"], rest["effects"]) == ([], [])

    said = project.opsbook("records", "diff", "last", check=True).out
    assert f"{third} against {again}, the last good run before it\n  version: 1.0.0 → 1.10\n" in said
    assert re.search(r"Steps / Look at it: succeeded, \d+(\.\d)? s → \d+(\.\d)? s \(\d+(\.\d)? ×\)", said)
    assert "    web-1: changed 0 → 1\n" in said
    assert "\n      -19999\n" not in said
    assert "1 of 3 steps did the same." in said
    assert "Rest" not in said
    assert project.opsbook("records", "diff", third, third).out.endswith("names that always differ.\n")


@pytest.mark.slow
def test_the_page_and_what_it_relies_on(project: Project) -> None:
    body = "## Steps\n\n### Talk\n```python\nprint('one')\n```\n"
    project.page(body)
    assert project.opsbook("run", "page", "-e", "dev").code == 0
    project.page(body.replace("one", "two") + "\n### Fail\n```python\nraise ValueError('no luck')\n```\n")
    project.write("playbooks/new.yml", "- hosts: all\n")
    hosts = project.root / "playbooks/inventories/dev/hosts.yml"
    hosts.write_text(hosts.read_text().replace("web-2", "web-3"))
    assert project.opsbook("run", "page", "-e", "dev").code == 1
    said = project.opsbook("records", "diff", "last", check=True).out
    assert "  outcome: succeeded → failed\n  Steps, Fail: ValueError: no luck" in said
    assert "  tree: changed\n  hosts: -web-2 +web-3\n" in said
    assert "The page itself\n" in said
    assert "  -print('one')\n  +print('two')\n" in said
    assert "    -one\n    +two\n" in said
    assert "Steps / Fail: not there → failed" in said
    # The run that failed is nothing to compare with.
    assert project.opsbook("run", "page", "-e", "dev").code == 1
    runs = [record.name for record in project.records()]
    assert _diff(project, runs[2])["other"] == runs[0]
    assert _diff(project, runs[2], runs[1])["other"] == runs[1]


@pytest.mark.slow
def test_there_is_nothing_to_compare_with(project: Project) -> None:
    page = "## Steps\n\n### By hand\nDo something.\n"
    for name in ("page", "a-page"):
        project.page(page, name=name)
    project.write("playbooks/inventories/other/hosts.yml", "all:\n  hosts: {x: }\n")
    for name, env, answer in (
        ("a-page", "dev", "done"),
        ("page", "other", "done"),
        ("page", "dev", "problem"),
        ("page", "dev", "done"),
    ):
        project.opsbook("run", name, "-e", env, "--answer", f"by-hand={answer}")
    run = project.records()[-1].name
    result = project.opsbook("records", "diff", "last")
    assert result.code == 2
    assert f"No run of page in dev succeeded before {run}." in result.err
    assert f"opsbook records diff {run} OTHER" in result.err
    assert project.opsbook("records", "diff", "last", "nothing").code == 2


@pytest.mark.slow
def test_a_damaged_record_is_named(project: Project) -> None:
    project.page("## Steps\n\n### By hand\nDo something.\n")
    for _ in range(3):
        project.opsbook("run", "page", "-e", "dev", "--answer", "by-hand=done", check=True)
    first, second, third = project.records()
    (second / "record.json").write_text("[]")
    assert _diff(project, third.name)["other"] == first.name
    for name, content in (
        ("plan.json", "{"),
        ("plan.json", '{"trees": 5}'),
        ("runbook.md", None),
        ("plan.json", "[" * 200_000),
    ):
        (second / name).unlink()
        if content is not None:
            (second / name).write_text(content)
        result = project.opsbook("records", "diff", third.name, second.name)
        assert result.code == 2
        assert "records verify" in result.err
    (first / "runbook.md").unlink()
    (first / "runbook.md").symlink_to("/etc/passwd")
    result = project.opsbook("records", "diff", third.name)
    assert result.code == 2
    assert f"{first}/runbook.md is missing or damaged." in result.err
