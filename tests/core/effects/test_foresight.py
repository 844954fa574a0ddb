"""Whatever way a task comes into a playbook: a check finds it if it would really run."""

from pathlib import Path
from textwrap import indent

import pytest

from opsbook.core.effects.foresight import _Reader

PLAY = "- hosts: web-1\n"
REAL = "- name: Touch\n  ansible.builtin.file: {path: x, state: touch}\n  check_mode: false\n"
TASK = "- name: Touch\n  ansible.builtin.file: {path: x, state: touch}\n"
URI = "- name: Touch\n  ansible.builtin.uri: {arguments}\n{more}  check_mode: false\n"


def found(folder: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return list(_Reader(folder, frozenset()).playbook(folder / "site.yml"))


@pytest.mark.parametrize(
    "files",
    [
        {
            "site.yml": f"{PLAY}  roles: [r]\n",
            "roles/r/meta/main.yml": "dependencies: [{role: d}]\n",
            "roles/d/tasks/main.yml": REAL,
        },
        {
            "site.yml": f"{PLAY}  tasks:\n  - include_tasks: {{file: x.yml, apply: {{check_mode: false}}}}\n",
            "x.yml": TASK,
        },
        {
            "site.yml": f"{PLAY}  check_mode: false\n  tasks:\n  - import_role: {{name: r}}\n",
            "roles/r/tasks/main.yml": TASK,
        },
        {"site.yml": f"{PLAY}  roles:\n  - {{role: r, check_mode: false}}\n", "roles/r/tasks/main.yml": TASK},
        {
            "site.yml": f"{PLAY}  tasks:\n  - check_mode: false\n    block:\n    - import_role: {{name: r}}\n",
            "roles/r/tasks/main.yml": TASK,
        },
        {
            "site.yml": f"{PLAY}  tasks:\n  - include_tasks: tasks/a.yml\n",
            "tasks/a.yml": "- include_tasks: tasks/b.yml\n",
            "tasks/b.yml": REAL,
        },
        {
            "site.yml": "- import_playbook: sub/p.yml\n",
            "sub/p.yml": f"{PLAY}  roles: [r]\n",
            "sub/roles/r/tasks/main.yml": REAL,
        },
        {"site.yml": "- import_playbook: '{{ which }}.yml'\n", "other.yml": f"{PLAY}  tasks:\n" + indent(REAL, "  ")},
    ],
)
def test_a_task_that_would_really_run_is_found(tmp_path: Path, files: dict[str, str]) -> None:
    assert [line.partition(" ")[0] for line in found(tmp_path, files)] == ["Touch"]


@pytest.mark.parametrize(
    ("arguments", "more", "real"),
    [
        ("{url: 'http://here/'}", "", False),
        ("{url: 'http://here/', method: HEAD}", "", False),
        ("{url: 'http://here/'}", "  args: {method: POST}\n", True),
        ("url=http://here/ method=POST", "", True),
        ("{url: 'http://here/', dest: /tmp/x}", "", True),
        ("{url: 'http://here/'}", "  module_defaults: {uri: {method: POST}}\n", True),
    ],
)
def test_only_a_request_that_reads_may_really_run(tmp_path: Path, arguments: str, more: str, real: bool) -> None:
    tasks = URI.format(arguments=arguments, more=more)
    assert bool(found(tmp_path, {"site.yml": f"{PLAY}  tasks:\n{indent(tasks, '  ')}"})) is real
