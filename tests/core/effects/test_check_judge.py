"""A check runs nothing: whatever Ansible has loaded is judged where it would run. Each trap that runs leaves a file."""

from pathlib import Path

import pytest

from tests.support.project import Project

pytestmark = pytest.mark.slow

PAGE = """
    ## Steps

    ### Play
    ```python
    from opsbook import playbook
    playbook("site.yml"{more})
    ```
"""

TOUCH = "{{ playbook_dir }}/../ran-"

TASKS = """\
- hosts: web-1
  gather_facts: false
  ignore_errors: true
  vars: {hot: false}
  module_defaults: {ansible.builtin.uri: {method: POST}}
  tasks:
    - {name: by-tag, command: "touch RAN/by-tag", check_mode: !unsafe false}
    - {name: by-template, command: "touch RAN/by-template", check_mode: "{{ hot }}"}
    - {name: by-script, script: "RAN/evil.sh", check_mode: false}
    - {name: by-raw, raw: "touch RAN/by-raw", check_mode: false}
    - {name: by-copy, copy: {content: x, dest: RAN/by-copy}, delegate_to: web-2, check_mode: false}
    - {name: by-local-action, local_action: {module: file, path: RAN/by-local, state: touch}, check_mode: false}
    - {name: by-default, uri: {url: "http://127.0.0.1:9/"}, check_mode: false}
    - {name: by-block, check_mode: false, block: [{name: in-block, command: "touch RAN/in-block"}]}
    - {name: by-shadow, stat: {path: /}, check_mode: false, vars: {ansible_facts_modules: [team_touch]}}
    - {name: by-facts-module, gather_facts: {}, check_mode: false, vars: {ansible_facts_modules: [team_touch]}}
    - {name: by-pipe, debug: {msg: "{{ lookup('pipe', 'touch RAN/by-pipe') }}"}}
    - {name: by-quiet-pipe, debug: {msg: "{{ query('ansible.builtin.pipe', 'touch RAN/q', errors='ignore') }}"}}
    - {name: by-lines, debug: {msg: x}, with_lines: ["touch RAN/by-lines"]}
    - {name: by-password, debug: {msg: "{{ lookup('password', 'RAN/by-password') }}"}}
    - {name: by-condition, debug: {msg: x}, when: "lookup('pipe', 'touch RAN/by-condition')"}
    - {name: by-own-lookup, debug: {msg: "{{ lookup('own') }}"}}
    - {name: by-own-filter, debug: {msg: "{{ 'x' | own }}"}}
    - {name: by-fact-path, setup: {fact_path: RAN/facts, gather_subset: ["!all"]}}
    - {name: by-local-facts, setup: {gather_subset: [local]}}
    - {name: by-binary, team_binary: {}}
    - {name: by-interpreter, stat: {path: /}, vars: {ansible_python_interpreter: RAN/evil.sh}}
    - {name: by-words, stat: {path: /}, vars: {ansible_python_interpreter: "touch RAN/by-words; python3"}}
    - {name: by-tmp, stat: {path: /}, vars: {ansible_remote_tmp: "$(touch RAN/by-tmp)"}}
    - {name: by-shell, stat: {path: /}, vars: {ansible_shell_executable: RAN/evil.sh}}
    - {name: by-environment, stat: {path: /}, environment: {PYTHONPATH: RAN/lib}}
    - {name: by-name, stat: {path: /}, environment: {"A=1 touch RAN/by-name; B": x}}
    - {name: by-become, stat: {path: /}, become: true, vars: {ansible_become_exe: RAN/evil.sh}}
    - {name: by-flags, stat: {path: /}, become: true, become_flags: "-n touch RAN/by-flags"}
    - name: by-ssh
      stat: {path: /}
      connection: ssh
      vars: {ansible_ssh_executable: RAN/evil.sh}
    - name: by-proxy
      stat: {path: /}
      connection: ssh
      vars: {ansible_ssh_common_args: "-o ProxyCommand='touch RAN/by-proxy'"}
    - {name: by-validate, assemble: {src: RAN/facts, dest: RAN/all, validate: "touch RAN/by-validate %s"}}
    - {name: by-apply, include_tasks: {file: "{{ 'more' }}.yml", apply: {check_mode: "{{ hot }}"}}}
    - {name: by-role, include_role: {name: "{{ 'away' }}"}}
    - {name: notify, command: "true", changed_when: true, notify: by-handler, check_mode: true}
    - {name: notify-really, assert: {that: true}, changed_when: true, notify: by-handler}
  handlers:
    - {name: by-handler, command: "touch RAN/by-handler", check_mode: "{{ hot }}"}
- hosts: web-1
  gather_facts: true
  fact_path: RAN/facts
  tasks: []
"""

LOOKUP = """\
import pathlib
pathlib.Path("{ran}/own-lookup-loaded").touch()
from ansible.plugins.lookup import LookupBase
class LookupModule(LookupBase):
    def run(self, *_, **__):
        return ["x"]
"""
FILTER = """\
import pathlib
pathlib.Path("{ran}/own-filter-loaded").touch()
class FilterModule:
    def filters(self):
        return {{"own": str}}
"""
MODULE = """\
#!/usr/bin/python
import pathlib
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({{}}, supports_check_mode=True)
if not module.check_mode:
    pathlib.Path("{ran}/team-touch").touch()
module.exit_json(ansible_facts={{}})
"""


def trapped(project: Project) -> Path:
    """A project with every trap; the folder in which they leave files."""
    ran = project.root / "ran"
    for folder in ("lib", "facts"):
        (ran / folder).mkdir(parents=True)
    script = f"#!/bin/sh\ntouch {ran}/$(basename $0)-ran\necho '{{}}'\n"
    for place in ("ran/evil.sh", "ran/facts/a.fact", "playbooks/library/team_binary"):
        project.write(place, script).chmod(0o755)
    for place, text in (
        ("lookup_plugins/own.py", LOOKUP),
        ("filter_plugins/own.py", FILTER),
        ("library/team_touch.py", MODULE),
        ("library/stat.py", MODULE),
    ):
        project.write(f"playbooks/{place}", text.format(ran=ran))
    project.write("ran/lib/sitecustomize.py", f"open('{ran}/sitecustomize-ran', 'w')\n")
    project.write("playbooks/more.yml", f"- {{name: in-file, command: touch {ran}/in-file}}\n")
    role = f"- {{name: in-role, command: touch {ran}/in-role, check_mode: false}}\n"
    project.write("elsewhere/away/tasks/main.yml", role)
    project.write("ansible.cfg", "[defaults]\nroles_path = elsewhere\n")
    project.write("playbooks/site.yml", TASKS.replace("RAN", str(ran)))
    return ran


def test_nothing_runs_whatever_asks_for_it(project: Project) -> None:
    """Each task fails, also where the playbook ignores it; and the check is refused."""
    ran = trapped(project)
    before = sorted(ran.rglob("*"))
    project.page(PAGE.format(more=""))
    done = project.opsbook("run", "page", "-e", "dev", "--check", "--yes")
    assert sorted(ran.rglob("*")) == before
    assert done.code == 1 and "CHECKED" not in done.out
    assert "playbook site.yml cannot be checked: it would really run by-tag: ansible.builtin.command" in done.out
    assert "[check] reads" in done.out
    tasks = [line.split("{name: ")[1].split(",")[0] for line in TASKS.splitlines() if "{name: by-" in line]
    judged = {*tasks, "in-block", "in-file", "in-role", "by-ssh", "by-proxy"} - {"by-block", "by-apply", "by-role"}
    said = {name for name in judged if f"    {name}  ignored: [web-1]" in done.out}
    assert said == judged
    assert "Gathering Facts: facts from scripts (fact_path)" in done.out


HOOK = """\
import pathlib
pathlib.Path("{ran}").touch()
"""


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("callback", ""),
        ("connection", ""),
        ("strategy", "strategy = own"),
        ("cache", "fact_caching = own"),
    ],
)
def test_code_of_the_project_is_not_loaded(project: Project, kind: str, config: str) -> None:
    """Nor is the inventory started, which is a program, too."""
    ran = project.root / "ran"
    project.write("ansible.cfg", f"[defaults]\n{kind}_plugins = playbooks/{kind}_plugins\n{config}\n")
    project.write(f"playbooks/{kind}_plugins/own.py", HOOK.format(ran=ran))
    hosts = project.root / "playbooks/inventories/dev/hosts.yml"
    hosts.write_text(f"#!/usr/bin/env -S touch {ran}\n{hosts.read_text()}")
    hosts.chmod(0o755)
    task = "- {name: Use it, ping: {}}"
    project.write("playbooks/site.yml", f"- hosts: web-1\n  gather_facts: false\n  tasks:\n  {task}\n")
    project.page(PAGE.format(more=""))
    done = project.opsbook("run", "page", "-e", "dev", "--check", "--yes")
    assert not ran.exists()
    if kind != "cache":
        assert f"{kind} plugin own, which is code of the project" in done.out, done.out


READING = """\
- hosts: web-1
  gather_facts: true
  gather_subset: ["!all"]
  tasks:
    - {name: stat, stat: {path: /}, check_mode: false, register: found}
    - {name: uri, uri: {url: "http://127.0.0.1:9/", method: HEAD}, check_mode: false, failed_when: false}
    - {name: lookups, assert: {that: "lookup('env', 'HOME') and q('fileglob', '/*') is defined and found.stat.exists"}}
    - {name: named, team_reads: {}, check_mode: false}
    - {name: own, debug: {msg: "{{ lookup('own') }}"}, with_items: [1]}
    - {name: environment, stat: {path: /}, environment: {PATH: "/usr/bin:/bin", LANG: C, PGPASSWORD: "a;b"}}
    - name: folder
      stat: {path: /}
      vars: {ansible_remote_tmp: "$HOME/.ansible/tmp"}
    - {name: change, copy: {content: x, dest: "{{ playbook_dir }}/out", mode: "0600"}}
    - {name: skipped, command: "true", register: ignored}
"""


def test_what_only_reads_runs(project: Project) -> None:
    """What the project names in opsbook.toml, too."""
    project.write("opsbook.toml", 'records = "records"\n\n[check]\nreads = ["team_reads", "own"]\n')
    project.write("playbooks/library/team_reads.py", MODULE.format(ran=project.root))
    project.write("playbooks/lookup_plugins/own.py", LOOKUP.format(ran=project.root))
    project.write("playbooks/site.yml", READING)
    project.page(PAGE.format(more=""))
    done = project.opsbook("run", "page", "-e", "dev", "--check", "--yes", check=True)
    assert "CHECKED" in done.out
    assert "would change: [web-1]" in done.out
    for name in ("stat", "uri", "lookups", "named", "own", "environment", "folder"):
        assert f"    {name}  ok: [web-1]" in done.out, done.out
    assert not (project.root / "playbooks/out").exists() and not (project.root / ".opsbook/trees").exists()


OTHER = """
    ### Other
    ```python
    print(playbook("other.yml", changes=False).changed)
    ```
"""


def test_a_playbook_that_says_it_reads_is_simulated_too(project: Project) -> None:
    """Its result counts if nothing in it was left out, and is unknown otherwise."""
    play = "- hosts: web-1\n  gather_facts: false\n  tasks:\n  - "
    project.write("playbooks/site.yml", f"{play}{{name: see, stat: {{path: /}}}}\n")
    project.write("playbooks/other.yml", f"{play}{{name: do, command: touch {project.root}/ran}}\n")
    project.page(PAGE.format(more=", changes=False).changed or print('seen'") + OTHER)
    done = project.opsbook("run", "page", "-e", "dev", "--check", "--yes", check=True)
    assert "| seen" in done.out and "not predictable from here: playbook other.yml" in done.out, done.out
    assert not (project.root / "ran").exists()
