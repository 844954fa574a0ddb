"""Modules on this machine run in a process forked for each, and their results are those of a Python of their own."""

import json
import re
from typing import Any

import psutil
import pytest

from tests.support.project import Project, assert_all_gone, processes_of, until

pytestmark = pytest.mark.slow

WHO = """
#!/usr/bin/python
import os
import random
import sys
import threading

from ansible.module_utils.basic import AnsibleModule

def main():
    module = AnsibleModule({"end": {"type": "str", "default": ""}}, supports_check_mode=True)
    parent = open(f"/proc/{os.getppid()}/cmdline").read().replace("\\0", " ")
    if module.params["end"] == "raise":
        raise ValueError("it was told to")
    if module.params["end"] == "text":
        sys.exit("a last word")
    if module.params["end"] == "kill":
        os.kill(os.getpid(), 9)
    if module.params["end"] == "noise":
        print("no JSON \\udcff".encode("utf-8", "surrogateescape"))
        sys.exit(3)
    if module.params["end"] == "thread":
        threading.Timer(0.3, lambda: open("from-thread", "w").close()).start()
    module.exit_json(
        forked="ansible_modules" in parent,
        random=random.random(),
        told={
            "argv": sys.argv,
            "path": sys.path[1:],
            "first": sys.path[0].endswith(".zip") or sys.path[0],
            "cwd": os.getcwd(),
            "umask": os.umask(0o022),
            "environment": sorted(each for each in os.environ if not each.startswith(("_", "OPSBOOK_"))),
            "for_one": os.environ.get("FOR_ONE"),
            "ours": [name for name in sys.modules if name.startswith("opsbook")],
            "descriptors": sorted(os.listdir("/proc/self/fd"))[:3],
            "input": sys.stdin.read(),
            "main": sys.modules["__main__"].__name__,
        },
    )

main()
"""
TASKS = """
- hosts: web-1
  gather_facts: "{{ facts | default(false) }}"
  tasks:
    - name: Whose child it is
      who: {end: "{{ item }}"}
      loop: ["", "", thread, raise, text, kill, noise]
      register: who
      ignore_errors: true
    - {name: A variable, who: {}, environment: {FOR_ONE: told}, register: told}
    - {name: In check mode, who: {}, check_mode: true, register: checked}
    - {name: A command, ansible.builtin.command: "printf '%s' 'ä\\\\x1b[1m'", register: command, changed_when: false}
    - {name: A pipe, ansible.builtin.shell: "cat; echo $0 >&2; exit 4", register: shell, ignore_errors: true}
    - name: A file
      ansible.builtin.copy: {content: "a\\n", dest: "{{ inventory_dir }}/file", mode: "0640"}
      register: copy
    - {name: Its state, ansible.builtin.stat: {path: "{{ inventory_dir }}/file"}, register: stat}
    - {name: Nobody, ansible.builtin.uri: {url: "http://127.0.0.1:1"}, register: uri, ignore_errors: true}
    - name: Keep all of it
      ansible.builtin.copy:
        content: "{{ dict(names | zip([who, told, checked, command, shell, copy, stat, uri])) | to_json }}"
        dest: "{{ inventory_dir }}/../../../results"
        mode: "0600"
      vars: {names: [who, told, checked, command, shell, copy, stat, uri]}
"""
PAGE = """
## Steps

### A
```python
import sys
from opsbook import playbook
playbook("tasks.yml", vars={"ansible_python_interpreter": sys.executable})
```
"""
_DIFFERENT = re.compile(
    r"ansible[._-]?tmp[\w.-]*|/tmp/[\w./-]+|AnsiballZ_\w+|\d+\.\d+|\b[aj]?\d{3,}(\.\d+)?\b|0x[0-9a-f]+|\d+:\d\d:\d\d"
)
"""Numbers of processes, times, and names of temporary files."""
_TIMES = (
    "start",
    "end",
    "delta",
    "atime",
    "mtime",
    "ctime",
    "inode",
    "ansible_job_id",
    "results_file",
    "random",
    "forked",
)


def test_results_are_those_of_a_python_of_its_own(project: Project) -> None:
    project.write("ansible.cfg", "[defaults]\nlibrary = playbooks/library\n")
    project.write("playbooks/library/who.py", WHO)
    project.write("playbooks/tasks.yml", TASKS)
    project.page(PAGE)
    found, forked = {}, {}
    for how in ("--warm", "--no-warm"):
        (project.root / "playbooks/inventories/dev/file").unlink(missing_ok=True)
        (project.root / "playbooks/from-thread").unlink(missing_ok=True)
        done = project.real("run", "page", "-e", "dev", "--yes", *([how] if how != "--warm" else []))
        assert done.code == 0, done.out
        told = json.loads((project.root / "results").read_text())
        assert (project.root / "playbooks/from-thread").exists(), "a thread is waited for, as Python does"
        first, second, *_ = told["who"]["results"]
        forked[how] = [each["forked"] for each in (first, second, told["told"], told["checked"])]
        assert first["random"] != second["random"]
        found[how] = plain(told)
        assert_all_gone(project.records()[-1].name)
    assert forked == {"--warm": [True, True, False, True], "--no-warm": [False] * 4}
    assert found["--warm"].splitlines() == found["--no-warm"].splitlines()
    assert "it was told to" in found["--warm"] and "a last word" in found["--warm"]


LONG = """
- hosts: web-1
  gather_facts: false
  tasks:
    - ansible.builtin.shell: "touch '{{ inventory_dir }}/began'; sleep 600"
"""


@pytest.mark.parametrize("victim", ["module", "client", "server", "playbook"])
def test_whatever_is_killed_the_module_ends_with_it(project: Project, victim: str) -> None:
    project.write("playbooks/tasks.yml", LONG)
    project.page(PAGE)
    running = project.start("run", "page", "-e", "dev", "--yes")
    until((project.root / "playbooks/inventories/dev/began").exists, "the module")
    run = project.records()[-1].name
    parts = {name: each for each in processes_of(run) if (name := part(each))}
    assert set(parts) == {"module", "client", "server", "playbook"}, parts
    parts[victim].kill()
    out, _ = running.communicate(timeout=120)
    assert running.returncode != 0, out
    assert_all_gone(run)


def part(process: psutil.Process) -> str:
    """What a process is in the story: of playbooks the one that is not a worker, of servers the first one."""
    try:
        words, parent = " ".join(process.cmdline()), process.parent()
        above = " ".join(parent.cmdline()) if parent else ""
        if "ansible_modules" in words:
            return "module" if "ansible_modules" in above else "server"
        if "forked.py" in words and "-m " in words and "sh -c" not in words:
            return "client"
        return "playbook" if process.name() == "ansible-playboo" and parent and parent.name() != process.name() else ""
    except psutil.Error:
        return ""


def plain(told: Any) -> str:
    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(each) for name, each in value.items() if name not in _TIMES}
        return [kept(each) for each in value] if isinstance(value, list) else value

    return _DIFFERENT.sub("…", json.dumps(kept(told), indent=1, sort_keys=True))
