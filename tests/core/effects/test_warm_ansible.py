"""A run imports Ansible once: its playbooks run in forks of that process, with the same results, ends and leftovers."""

import contextlib
import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.project import Project, assert_all_gone, processes_of, until

pytestmark = pytest.mark.slow

PARTS = """
- name: Say which process this is
  hosts: web-1
  gather_facts: false
  tasks:
    - name: Write its name
      ansible.builtin.copy:
        content: "{{ lookup('file', '/proc/self/comm') }} {{ lookup('env', 'FOR_ONE') }}\\n"
        dest: "{{ inventory_dir }}/../../../which-{{ name }}"
        mode: "0600"
    - name: Fail here and there
      ansible.builtin.command: "false"
      when: name == 'fails'
"""
PAGE = """
## Steps

### One after the other
```python
import os
from pathlib import Path
from opsbook import EffectFailed, playbook

def which(name):
    try:
        playbook("parts.yml", vars={"name": name})
    except EffectFailed as error:
        print(error)
    return Path("which-" + name).read_text().strip()

print("first", which("first"))
print("fails", which("fails"))
os.environ["FOR_ONE"] = "a variable"
print("told", which("told"))
os.umask(0o077)
os.environ["ANSIBLE_FORKS"] = "2"
print("other settings", which("other"))
del os.environ["ANSIBLE_FORKS"]
print("as before", which("before"))
os.nice(1)
print("nicer", which("nicer"))
```
"""
WARM, COLD = "ansible-playboo", "python"
"""What /proc says of a process that was forked for a playbook, and of one that has imported Ansible for itself."""


def test_results_are_those_of_ansible_playbook(project: Project) -> None:
    project.write("playbooks/parts.yml", PARTS)
    project.page(PAGE)
    (project.root.parent / "own-home").mkdir()
    project.env["HOME"] = str(project.root.parent / "own-home")
    outs, told = [], []
    for how in ((), ("--no-warm",)):
        for left in project.root.glob("which-*"):
            left.unlink()
        done = project.opsbook("run", "page", "-e", "dev", "--yes", *how)
        assert done.code == 0, done.out
        outs.append([line.strip(" |") for line in done.out.splitlines() if line.strip(" |").startswith(_NAMED)])
        told.append(_samples(project.records()[-1]))
        assert {path.stat().st_mode & 0o777 for path in project.root.glob("which-*")} == {0o600}
        assert_all_gone(project.records()[-1].name)
        assert {path.name for path in (project.root / "playbooks").iterdir()} == {"inventories", "parts.yml"}
        # Temporary files of Ansible, in its home folder.
        assert list((project.root.parent / "own-home").glob(".ansible/tmp/*")) == []
    warm, cold = outs
    assert warm == [
        f"first {WARM}",
        f"fails {WARM}",
        f"told {WARM} a variable",
        *_OTHER,
        f"as before {WARM} a variable",
        f"nicer {COLD} a variable",
    ]
    assert [line.replace(WARM, COLD) for line in warm] == cold
    assert told[0] == told[1]
    assert len(told[0]) > 20


_NAMED = ("first ", "fails ", "told ", "other settings ", "as before ", "nicer ")
_SAME = ("event", "counter", "play", "task", "host", "place", "message", "action", "hosts", "strategy")
_OTHER = ["other settings python a variable"]


def _samples(record: Path) -> list[dict[str, Any]]:
    """What every playbook of a run said, without times."""
    lines = [line for path in sorted(record.glob("effects/*.jsonl")) for line in path.read_text().splitlines()]
    told = [json.loads(line) for line in lines]
    return [{name: value for name, value in each.items() if name in _SAME} for each in told]


def test_a_log_of_ansible_has_every_line(project: Project) -> None:
    project.write("playbooks/parts.yml", PARTS)
    project.write("ansible.cfg", "[defaults]\nlog_path = ../ansible.log\n")
    call = 'from opsbook import playbook\nplaybook("parts.yml", vars={"name": "logged"})'
    project.page(f"## Steps\n\n### Play\n```python\n{call}\n```\n")
    done = project.opsbook("run", "page", "-e", "dev", "--yes")
    assert done.code == 0
    assert "Logging error" not in done.out
    assert any("TASK [Write its name]" in path.read_text() for path in project.root.parent.rglob("ansible.log"))


LONG = """
- hosts: web-1
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {content: "", dest: "{{ inventory_dir }}/../../../began", mode: "0600"}
    - ansible.builtin.command: sleep 600
    - ansible.builtin.copy: {content: "", dest: "{{ inventory_dir }}/../../../went-on", mode: "0600"}
"""
LONG_PAGE = """
## Steps

### Take long
```python timeout=900
from opsbook import playbook
playbook("long.yml")
```

### Then
```python
print("went on")
```
"""


@pytest.mark.parametrize("victim", ["client", "playbook", "server"])
def test_whatever_is_killed_the_playbook_ends_with_it(project: Project, victim: str) -> None:
    project.write("playbooks/long.yml", LONG)
    project.page(LONG_PAGE)
    running = project.start("run", "page", "-e", "dev", "--yes")
    until((project.root / "began").exists, "the playbook")
    run = project.records()[-1].name
    parts = _parts(run)
    playbook = parts["playbook"]
    parts[victim].kill()
    out, _ = running.communicate(timeout=120)
    assert "unknown" in out, out
    assert "went on" not in out
    assert not playbook.is_running() or playbook.status() == psutil.STATUS_ZOMBIE
    assert_all_gone(run)
    assert not (project.root / "went-on").exists()


def _parts(run: str) -> dict[str, psutil.Process]:
    """Who takes part in a playbook. Those that the playbook has forked are not named."""
    found = {}
    for process in processes_of(run):
        with contextlib.suppress(psutil.Error):
            words = [Path(word).name for word in process.cmdline()]
            if "forked.py" in words:
                found["client"] = process
            elif "--serve" in words:
                parent = process.parent()
                named = process.name() == WARM
                if not named:
                    found["server"] = process
                elif parent is not None and parent.name() != WARM:
                    found["playbook"] = process
    return found


MODULE = """
#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.shared_part import double

def main():
    module = AnsibleModule({"number": {"type": "int"}}, supports_check_mode=True)
    if module.params["number"] > 9:
        module.warn("too much")
        raise ValueError("more than nine")
    places = [function.__code__.co_filename for function in (AnsibleModule.fail_json, double, main)]
    module.exit_json(double=double(module.params["number"]), places=places)

main()
"""
OF_MODULE = """
- hosts: web-1
  gather_facts: false
  tasks:
    - twice:
        number: "{{ number }}"
      register: told
    - ansible.builtin.copy:
        content: "{{ told | to_json }}"
        dest: "{{ inventory_dir }}/../../../told"
        mode: "0600"
"""


@pytest.mark.parametrize("how", ["--warm", "--no-warm"])
def test_shared_code_of_modules_is_not_compiled_for_each_task(project: Project, how: str) -> None:
    """What tests run otherwise finds its modules built: this is a command as a shell starts it, with its Python."""
    project.write("ansible.cfg", "[defaults]\nlibrary = playbooks/library\nmodule_utils = playbooks/module_utils\n")
    project.write("playbooks/library/twice.py", MODULE)
    project.write("playbooks/module_utils/shared_part.py", "def double(number):\n    return 2 * number\n")
    project.write("playbooks/module.yml", OF_MODULE)
    project.page(
        """
        ## Steps

        ### A
        ```python
        import sys
        from pathlib import Path
        from opsbook import command, playbook
        own = {"ansible_python_interpreter": sys.executable}
        playbook("module.yml", vars={**own, "number": 2})
        print("told", Path("told").read_text())
        command(["sed", "-i", "s/2/20/", "playbooks/module_utils/shared_part.py"])
        playbook("module.yml", vars={**own, "number": 3})
        print("told", Path("told").read_text())
        playbook("module.yml", vars={**own, "number": 10})
        ```
        """
    )
    done = project.real("run", "page", "-e", "dev", "--yes", *([how] if how != "--warm" else []))
    told = [json.loads(line.partition("told ")[2]) for line in done.out.splitlines() if " told {" in line]
    assert (done.code, [each["double"] for each in told]) == (1, [4, 60]), done.out + done.err
    assert "more than nine" in done.out
    for each in told:
        *shared, own = each["places"]
        assert [place.startswith("/") for place in shared] == [how == "--no-warm"] * 2, shared
        assert own.startswith("/")


KILL = """\
ended=$(pgrep -P $PPID -f -- --serve)
kill -9 $ended
while grep -qs "State:.[^Z]" /proc/$ended/status; do sleep 0.05; done
"""
"""Ends when the process has ended: until then, opsbook cannot know, and the next playbook starts Ansible for itself."""


def test_a_process_that_was_killed_between_two_playbooks_is_replaced(project: Project) -> None:
    project.write("playbooks/parts.yml", PARTS)
    kill = project.write("kill.sh", KILL)
    project.page(
        """
        ## Steps

        ### A
        ```python
        from pathlib import Path
        from opsbook import command, playbook
        playbook("parts.yml", vars={"name": "first"})
        print("first", Path("which-first").read_text())
        command(["sh", "KILL"])
        playbook("parts.yml", vars={"name": "second"})
        print("second", Path("which-second").read_text())
        ```
        """.replace("KILL", str(kill))
    )
    done = project.opsbook("run", "page", "-e", "dev", "--yes")
    assert done.code == 0, done.out
    assert [f"{name} {WARM}" in done.out for name in ("first", "second")] == [True, True], done.out
