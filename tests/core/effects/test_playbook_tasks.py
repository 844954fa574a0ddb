"""What a playbook shows while it runs, and what its record shows afterwards; the hosts are this machine."""

import json
import os
import signal
import textwrap

import pytest

from opsbook.core.effects.ansible import PlaybookResult
from tests.support.project import HOSTS, Project, until

pytestmark = pytest.mark.slow

WORK = """\
- name: Prepare the app
  hosts: app
  gather_facts: false
  tasks:
    - name: Say hello
      ansible.builtin.debug:
        msg: hello
    - name: Write
      diff: true
      ansible.builtin.copy:
        content: "a line\\n"
        dest: "{{ playbook_dir }}/out"
        mode: "0644"
      run_once: true
    - name: Need a permission
      ansible.builtin.assert:
        that: inventory_hostname != 'web-2'
        quiet: true
"""

PAGE = """
    ## Steps

    ### First
    ```python
    from opsbook import playbook
    playbook("work.yml")
    ```

    ### Second
    ```python
    print("never")
    ```
"""

FAILURE = "web-2: Need a permission: Assertion failed (playbooks/work.yml:15)"


def test_a_page_asks_what_a_playbook_would_change_and_then_runs_it(project: Project) -> None:
    project.write("playbooks/inventories/dev/hosts.yml", HOSTS)
    project.write("playbooks/work.yml", WORK.rpartition("    - name: Need")[0])
    project.page("""
        ## Prerequisites

        ### Drift
        ```python
        from opsbook import playbook
        for each in playbook("work.yml", check=True).would:
            print(each["state"], each["host"], each["task"], each["diff"].strip().splitlines()[-1])
        ```

        ## Steps

        ### Mend it
        ```python
        print("changed", playbook("work.yml").changed)
        print("left", playbook("work.yml", check=True, key="after").would)
        ```
    """)
    assert project.opsbook("check", "page").code == 0
    done = project.opsbook("run", "page", "-e", "dev", "--yes", check=True)
    assert "changed web-1 Write +a line" in done.out
    assert "changed True" in done.out
    assert "left ()" in done.out
    assert (project.root / "playbooks/out").read_text() == "a line\n"
    (project.root / "playbooks/out").unlink()
    checked = project.opsbook("run", "page", "-e", "dev", "--check", check=True)
    assert "changed web-1 Write +a line" in checked.out
    assert not (project.root / "playbooks/out").exists()
    assert "--check --diff" in project.opsbook("show", "page", "-e", "dev", "--manual", check=True).out


def test_a_playbook_shows_its_tasks_and_says_once_what_failed(project: Project) -> None:
    project.write("playbooks/inventories/dev/hosts.yml", HOSTS + "        web-3:\n")
    project.write("playbooks/work.yml", WORK)
    project.page(PAGE)
    out = project.opsbook("run", "page", "-e", "dev").out
    for line in (
        "Play Prepare the app: 3 hosts",
        "Say hello  ok: [web-1, web-2, web-3]",
        "web-1, web-2, web-3: hello",
        "Write  changed: [web-1]",
        f"web-1: changed {project.root}/playbooks/out",
        "Need a permission  ok: [web-1, web-3]  failed: [web-2]",
        FAILURE,
    ):
        assert out.count(line + "\n") == 1, out
    assert out.count("Assertion failed") == 1 and "Traceback" not in out
    progress = [event["data"] for event in project.events() if event["type"] == "effect-progress"]
    assert [each["text"] for each in progress if "Say hello (host" in each["text"]] == [
        f"Say hello (host {n} of 3)" for n in (1, 2, 3)
    ]
    # The record has all of it, and what was not reached.
    told = project.opsbook("records", "show", "last", "--tasks", "--diff", check=True).out
    assert "Steps / Second  not reached" in told
    assert "  Need a permission (playbooks/work.yml:15)\n    ok          web-1" in told
    assert "    failed      web-2" in told and "      Assertion failed\n" in told
    assert "    +a line\n" in told
    details = json.loads(project.opsbook("records", "show", "last", "--json", check=True).out)["details"]
    assert {(each["host"], each["state"]) for each in details if each.get("task") == "Need a permission"} == {
        ("web-1", "ok"),
        ("web-2", "failed"),
        ("web-3", "ok"),
    }
    notebook = json.loads((project.records()[-1] / "runbook.ipynb").read_text())
    assert notebook["cells"][0]["source"].startswith("**failed**: Steps, First: playbook work.yml: web-2: Need")
    assert "Not reached: Second" in notebook["cells"][0]["source"]
    assert "not reached" in (project.records()[-1] / "index.html").read_text()


TAGGED = """\
- hosts: web-1
  gather_facts: false
  tasks:
    - {name: First, ansible.builtin.debug: {msg: one}, tags: [a]}
    - {name: Second, ansible.builtin.debug: {msg: two}, tags: [a, b]}
"""


def test_a_loop_says_why_its_hosts_could_not_be_reached(project: Project) -> None:
    """Ansible calls the task itself completed."""
    play = """
        - name: Write
          hosts: web-1
          gather_facts: false
          vars: {ansible_connection: local, ansible_remote_tmp: /dev/null/tmp, ansible_pipelining: false}
          tasks:
            - name: Each
              ansible.builtin.command: "true"
              loop: [one, two]
    """
    project.write("playbooks/inventories/dev/hosts.yml", HOSTS)
    project.write("playbooks/work.yml", textwrap.dedent(play))
    project.page(PAGE)
    done = project.opsbook("run", "page", "-e", "dev")
    assert done.code == 1 and "Failed to create temporary directory" in done.out, done


def test_tags_are_skipped_and_ansible_says_more(project: Project) -> None:
    project.write("playbooks/tagged.yml", TAGGED)
    call = 'playbook("tagged.yml", tags="a", skip_tags="b", verbosity=2)'
    project.page(f"## Steps\n\n### Play\n```python\nfrom opsbook import playbook\n{call}\n```\n")
    done = project.opsbook("run", "page", "-e", "dev", "--yes")
    assert "First  ok: [web-1]" in done.out
    assert "Second" not in done.out
    said = next(project.records()[-1].glob("effects/*.jsonl")).read_text()
    assert "ansible-playbook [core" in said and "task path: " in said
    manual = project.opsbook("show", "page", "-e", "dev", "--manual", check=True)
    assert "playbooks/tagged.yml -t a --skip-tags b" in manual.out


WAITS = """\
- hosts: app
  gather_facts: false
  tasks:
    - name: Wait for a file
      ansible.builtin.wait_for:
        path: "{{ playbook_dir }}/go-{{ inventory_hostname }}"
        sleep: 1
"""


def test_a_playbook_that_was_lost_names_its_last_task_and_hosts(project: Project) -> None:
    project.write("playbooks/work.yml", WAITS)
    project.write("playbooks/go-web-1", "")
    project.page(PAGE)
    project.start("run", "page", "-e", "dev")
    begun = project.wait_for_event("run-started")["data"]
    project.wait_for_event("effect-progress", lambda data: data["text"] == "Wait for a file (host 2 of 2)")
    os.kill(begun["pid"], signal.SIGKILL)
    until(lambda: project.summary()["state"] == "lost", "the end of its processes")
    where = "the last task was Wait for a file (playbooks/work.yml:4); a task may still run on web-2"
    told = project.opsbook("records", "show", "last").out
    assert f"playbook work.yml: {where}\n" in told
    assert f"opsbook resume {begun['run']}" in told
    # Whoever goes on reads it in the question.
    out = project.opsbook("resume", begun["run"], "--answer", "unknown=look").out
    question = next(event["data"] for event in project.events() if event["type"] == "question-asked")
    assert where in question["detail"], out


def test_the_result_of_a_fleet_names_only_hosts_in_trouble() -> None:
    good = {"ok": 3, "changed": 1, "failed": 0, "unreachable": 0, "skipped": 0}
    hosts = {f"node-{n:03}": good for n in range(200)} | {"node-007": good | {"failed": 1}}
    result = PlaybookResult("work.yml", hosts, (), changed=True, seconds=2.0)
    assert result.table()[1] == [("node-007", 3, 1, 1, 0, 0), ("199 hosts", 597, 199, 0, 0, 0)]
    assert len(repr(result).splitlines()) == 4
