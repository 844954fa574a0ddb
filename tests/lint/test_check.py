"""A check says what a run would do, says what it cannot know, and changes nothing."""

import json
from typing import Any

import pytest

from tests.support.project import Project, Terminal, assert_all_gone

pytestmark = pytest.mark.slow

PUT = """\
- name: Put files
  hosts: HOSTS
  gather_facts: false
  tasks:
    - name: Put a file
      ansible.builtin.copy:
        content: "hello\\n"
        dest: "{{ playbook_dir }}/../out-{{ inventory_hostname }}"
        mode: "0600"
"""
MORE = """\
    - name: Run something
      ansible.builtin.command: {argv: [touch, "{{ playbook_dir }}/../ran"]}
    - name: Not for anybody
      ansible.builtin.command: {argv: [touch, "{{ playbook_dir }}/../ran"]}
      when: false
"""
LOOK = """\
## Prerequisites

### Look

```python
import os
from opsbook import attach, command, confirm, http, playbook, secret, value, wait_until
from team.own import restart
found = command(["cat", "state.txt"], changes=False).stdout.strip()
```

## Steps

"""
TEAM = """\
from opsbook import command, effect

@effect(changes=True, pretend={"restarted": 2})
def restart(name):
    command(["touch", "restarted"])
    return {"restarted": 1}
"""


def prepared(project: Project, *steps: str, front: str = "") -> None:
    """A page with these steps (cells), and what they need."""
    project.write("playbooks/put.yml", PUT.replace("HOSTS", "web-1"))
    project.write("playbooks/more.yml", PUT.replace("HOSTS", "app") + MORE)
    project.write("lib/team/own.py", TEAM)
    (project.root / "state.txt").write_text("s1\n")
    cells = "\n".join(f"### Step {n}\n\n```python\n{code}\n```\n" for n, code in enumerate(steps, 1))
    rest = "\n## Validation\n\n### It is there\n\n```python\nassert os.path.exists('out-web-1')\n```\n"
    rest += "\n## Rollback\n\n### Undo\n\n```python\ncommand(['touch', 'undone'])\n```\n"
    project.page(LOOK + cells + rest, front=f'rollback: automatic\nlock: ["{{environment}}/web"]\n{front}')


def check(project: Project, code: int = 0, *more: str) -> dict[str, Any]:
    """Check the page; its record. Nothing outside the record may have changed."""
    before = snapshot(project)
    done = project.opsbook("run", "page", "-e", "dev", "--check", *more)
    assert done.code == code, done.out + done.err
    assert snapshot(project) == before
    assert project.opsbook("records", "verify", "last").code == 0
    assert_all_gone(project.records()[-1].name)
    return project.summary() | {"said": done.out}


KNOWN = "known.json"
"""What files hashed to, without those that had just been written when they were hashed: it grows as they get older."""


def snapshot(project: Project) -> dict[str, bytes]:
    files = (path for path in project.root.rglob("*") if path.is_file() and "records" not in path.parts)
    return {str(path): path.read_bytes() for path in files if not {"__pycache__", KNOWN} & set(path.parts)}


def test_what_would_change(project: Project) -> None:
    prepared(project, "playbook('more.yml')", "command(['touch', 'never'])\nhttp('POST', 'http://127.0.0.1:9/x')")
    told = check(project)
    assert told["outcome"] == "checked"
    tasks = {(task["host"], task["task"]): task["state"] for task in told["check"]["tasks"]}
    assert tasks == {
        ("web-1", "Put a file"): "changed",
        ("web-2", "Put a file"): "changed",
        ("web-1", "Run something"): "unknown",
        ("web-2", "Run something"): "unknown",
    }
    assert "+hello" in told["check"]["tasks"][0]["diff"]
    assert [one["summary"] for one in told["check"]["skipped"]] == ["touch never", "POST http://127.0.0.1:9/x"]
    assert told["check"]["locks"] == [{"target": "dev/web", "held_by": None}]
    said = str(told["said"])
    assert "2 tasks on 2 hosts; 2 unknown" in said and "Would lock" in said and "dev/web" in said
    assert "Validation" not in said and "Rollback" not in said
    shown = project.opsbook("records", "show", "last", check=True).out
    assert "Put a file: web-1, web-2" in shown
    for command in ("resume", "rollback"):
        assert project.opsbook(command, "last").code == 2, "there is nothing to go on with, or to take back"


def test_what_was_foreseen_happens(project: Project) -> None:
    prepared(project, "playbook('more.yml')")
    lines = [
        json.loads(line) for line in project.opsbook("run", "page", "-e", "dev", "--check", "--json").out.splitlines()
    ]
    assert lines[-1]["outcome"] == "checked" and lines[-1]["exit_code"] == 0
    assert lines[-1]["check"]["tasks"]
    project.opsbook("run", "page", "-e", "dev", check=True)
    told = check(project)
    assert all(task["state"] == "unknown" for task in told["check"]["tasks"]), "the files are there now"


def test_a_cell_that_uses_what_nobody_knows_ends(project: Project) -> None:
    prepared(
        project,
        "result = playbook('put.yml')\nkept = [result]\nresult",
        "print('before'); print(result.changed); command(['touch', 'never'])",
        "try:\n    bool(kept[0])\nexcept Exception:\n    pass\ncommand(['touch', 'swallowed'])",
        "print('goes on')",
    )
    told = check(project)
    statuses = {step["step"]: step["status"] for step in told["steps"]}
    assert statuses == {
        "look": "succeeded",
        "step-1": "succeeded",
        "step-2": "unpredictable",
        "step-3": "unpredictable",
        "step-4": "succeeded",
    }
    assert "goes on" in str(told["said"])
    assert not told["check"]["skipped"]


@pytest.mark.parametrize(
    "more",
    [
        "",
        "```\n\n### After\n\n```python\nraise ValueError('no luck')",
        "```\n\n### Slow\n\n```python timeout=1\nplaybook('slow.yml')",
    ],
)
def test_a_check_that_fails_says_that_nothing_was_changed(project: Project, more: str) -> None:
    task = "    - ansible.builtin.fail: {msg: no}\n"
    project.write("playbooks/fails.yml", f"- hosts: web-1\n  gather_facts: false\n  tasks:\n{task}")
    # What waits in a check, too.
    waits = "    - ansible.builtin.debug:\n      until: false\n      retries: 60\n      delay: 1\n"
    project.write("playbooks/slow.yml", f"- hosts: web-1\n  gather_facts: false\n  tasks:\n{waits}")
    prepared(project, f"playbook('{'put' if more else 'fails'}.yml')\n{more}")
    told = check(project, 0 if "After" in more else 1)
    assert "half-way" not in told["said"] and "Nobody knows" not in told["said"]
    assert ("  Nothing was changed.\n" in told["said"]) == (told["outcome"] == "failed")
    assert told["unknown"] == []
    finished = project.events()[-1]["data"]
    assert finished["changed"] is False


def test_what_the_author_pretends_goes_on(project: Project) -> None:
    prepared(
        project,
        "count = restart('x')['restarted']\nanswer = command(['touch', 'never'], pretend='fine')",
        "print('pretended', count, answer)",
    )
    told = check(project)
    assert "pretended 2 fine" in str(told["said"])
    assert len(told["check"]["skipped"]) == 2


def test_nobody_waits_for_what_cannot_come_and_what_a_check_looks_for_may_not_be_there_yet(project: Project) -> None:
    waits = "wait_until('it is there', lambda: os.path.exists('out-web-1'), timeout=60)"
    prepared(project, "playbook('put.yml')", "assert os.path.exists('out-web-1')", waits)
    told = check(project)
    assert told["seconds"] < 30
    assert told["check"]["unpredictable"] == [{"title": "Step 2", "why": "AssertionError"}]


def test_a_failure_before_anything_was_simulated_is_one(project: Project) -> None:
    prepared(project, "assert found == 's2', 'not ready'", "playbook('put.yml')")
    told = check(project, 1)
    assert told["outcome"] == "failed" and "not ready" in told["reason"]


def test_a_change_where_only_reading_is_allowed_is_refused_too(project: Project) -> None:
    prepared(project, "pass")
    page = project.root / "runbooks/page.md"
    page.write_text(
        page.read_text().replace("import os\n", "import os\ngetattr(__import__('opsbook'), 'command')(['true'])\n")
    )
    page.write_text(page.read_text().replace("import os\ngetattr", "import os, opsbook\ngetattr"))
    assert "may only read" in check(project, 1)["reason"]


@pytest.mark.parametrize(
    ("task", "allowed"),
    [
        ("ansible.builtin.stat: {path: /}", True),
        pytest.param("ansible.builtin.uri: {url: 'http://127.0.0.1:9', method: POST}", False, marks=pytest.mark.soak),
        ("ansible.builtin.include_tasks: inner.yml", False),
        pytest.param("ansible.builtin.include_tasks: '{{ which }}.yml'", False, marks=pytest.mark.soak),
        pytest.param("ansible.builtin.include_role: {name: does}", False, marks=pytest.mark.soak),
    ],
)
def test_check_mode_false_is_refused_where_it_would_do_something(project: Project, task: str, allowed: bool) -> None:
    prepared(project, *(["playbook('put.yml')"] if allowed else []), "playbook('real.yml', vars={'which': 'inner'})")
    play = "- name: Play\n  hosts: app\n  gather_facts: false\n  tasks:\n"
    own = "" if "include" in task else "      check_mode: false\n"
    real = f"{play}    - name: Do\n      {task}\n{own}"
    project.write("playbooks/real.yml", real)
    inner = "- name: Inside\n  ansible.builtin.command: {argv: [touch, ran]}\n  check_mode: false\n"
    project.write("playbooks/inner.yml", inner)
    project.write("playbooks/roles/does/tasks/main.yml", inner)
    told = check(project, 0 if allowed else 1)
    if not allowed:
        assert "playbook real.yml cannot be checked: it would really run" in told["reason"]


def test_a_module_can_be_named_as_one_that_only_reads(project: Project) -> None:
    prepared(project, "playbook('real.yml')")
    task = "ansible.builtin.command: {argv: [cat, /etc/hostname]}\n      check_mode: false\n      changed_when: false"
    project.write(
        "playbooks/real.yml",
        f"- name: Play\n  hosts: app\n  gather_facts: false\n  tasks:\n    - name: Read\n      {task}\n",
    )
    assert "playbook real.yml cannot be checked: it would really run" in check(project, 1)["reason"]
    (project.root / "opsbook.toml").write_text('[check]\nreads = ["ansible.builtin.command"]\n')
    check(project)


def test_a_check_takes_no_lock_and_says_who_holds_it(project: Project) -> None:
    prepared(project, "command(['true'])\nraise ValueError", front="")
    page = project.root / "runbooks/page.md"
    page.write_text(page.read_text().replace("rollback: automatic", "rollback: manual"))
    assert project.opsbook("run", "page", "-e", "dev").code == 3
    holder = project.records()[-1].name
    told = check(project)
    assert told["check"]["locks"] == [{"target": "dev/web", "held_by": holder}]
    assert f"held by {holder}" in str(told["said"])


def test_questions_in_a_check(project: Project) -> None:
    prepared(project, "go = confirm('go', 'Shall we?')\nif go:\n    print('yes, go')")
    told = check(project)
    assert told["check"]["unpredictable"], "nobody is there, and nobody said it ahead"
    assert "yes, go" in str(check(project, 0, "--answer", "go=yes")["said"])
    terminal = Terminal(project.command("run", "page", "-e", "dev", "--check"), project)
    terminal.wait_for("Shall we?")
    terminal.type("yes\n")
    assert terminal.wait() == 0, terminal.screen
    answered = [event["data"] for event in project.events() if event["type"] == "question-answered"]
    assert [(one["name"], one["value"]) for one in answered] == [("go", "yes")]


def test_steps_by_hand_and_shell_cells(project: Project) -> None:
    body = "## Steps\n\n### Call them\nCall the team.\n\n### Shell\n\n```bash\ntouch never\n```\n\n"
    body += '### Read\n\n```bash tags=["read"]\necho "read it"\n```\n'
    project.page(body)
    told = check(project)
    assert told["check"]["by_hand"] == ["Call them"]
    assert [one["summary"] for one in told["check"]["skipped"]] == ["bash: touch never"]
    assert "read it" in str(told["said"])
