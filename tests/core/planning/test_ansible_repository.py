"""An Ansible repository of the usual shape, in which no file is moved: INI, vault, roles, ansible.cfg, a script."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from opsbook.core.planning import inventory
from tests.support.modules import interpreter
from tests.support.project import Project
from tests.support.team import Team

pytestmark = pytest.mark.slow

LOCAL = f"ansible_connection=local ansible_python_interpreter={interpreter()}"
CONFIG = """\
[defaults]
roles_path = roles
forks = 10
inventory = inventory/prod
vault_identity_list = ops@.vault-pass
"""
HOSTS = f"""\
[web]
web[1:2] {LOCAL}

[db]
db1 {LOCAL}

[prod:children]
web
db

[prod:vars]
tier=gold
"""
SCRIPT = f"""\
#!/usr/bin/env python3
import json
import re
with open("{{names}}") as names:
    hosts = names.read().split()
about = dict(ansible_connection="local", ansible_python_interpreter="{interpreter()}")
print(json.dumps({{"app": {{"hosts": hosts}}, "_meta": {{"hostvars": dict.fromkeys(hosts, about)}}}}))
"""
TASK = (
    'Say, ansible.builtin.debug: {msg: "{{ inventory_hostname }} {{ colour }} {{ tier }} {{ password }} {{ answer }}"}'
)
PLAY = "- hosts: {hosts}\n  gather_facts: false\n  tasks:\n    - {{name: Say, ansible.builtin.debug: {{msg: hi}}}}\n"
PAGE = '## Steps\n\n### Do it\n```python\nfrom opsbook import playbook\nplaybook("{name}")\n```\n'
PASSWORD = "a-very-secret-word"


@pytest.fixture
def repository(tmp_path: Path) -> Project:
    made = Project(tmp_path / "repository")
    made.write("ansible.cfg", CONFIG)
    made.write(".vault-pass", "open sesame\n")
    made.write("inventory/prod/hosts", HOSTS)
    made.write("inventory/prod/group_vars/web.yml", "colour: green\n")
    made.write("inventory/prod/host_vars/web1.yml", "answer: 42\n")
    made.write("roles/web/defaults/main.yml", "answer: 41\n")
    made.write("inventory/prod/group_vars/all.yml", f"password: {PASSWORD}\n")
    vault = [str(Path(sys.executable).parent / "ansible-vault"), "encrypt", "inventory/prod/group_vars/all.yml"]
    subprocess.run(vault, cwd=made.root, check=True, capture_output=True)
    (tmp_path / "names").write_text("a1 a2\n")
    made.write("inventory/app.py", SCRIPT.replace("{names}", str(tmp_path / "names"))).chmod(0o755)
    made.write("roles/web/tasks/main.yml", "- {name: " + TASK + "}\n")
    made.write("site.yml", "- hosts: web\n  gather_facts: false\n  roles: [web]\n")
    for number in range(29):
        made.write(f"play-{number}.yml", PLAY.format(hosts="app"))
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "What we have"]):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *command],
            cwd=made.root,
            check=True,
            capture_output=True,
        )
    return made


def changed(project: Project) -> list[str]:
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=project.root, check=True, capture_output=True, text=True
    )
    return [line for line in done.stdout.splitlines() if not line.startswith("??")]


def pages(project: Project, name: str, body: str) -> None:
    project.write(f"runbooks/{name}.md", f"# {name}\n\n{body}")


def test_init_adds_what_is_missing_and_a_page_that_runs(repository: Project) -> None:
    told = repository.opsbook("init", "--owner", "ops", check=True).out
    assert "30 playbooks can be run" in told and "opsbook run site -e app --check" in told
    assert changed(repository) == [], "nothing that was there is another"
    assert json.loads(repository.opsbook("check", "--json", check=True).out) == []
    names = [each["name"] for each in json.loads(repository.opsbook("env", "list", "--json", check=True).out)]
    assert names == ["app", "prod"]
    checked = repository.opsbook("run", "site", "-e", "prod", "--check", "-y")
    assert checked.code == 0 and "nothing was changed" in checked.out, checked
    done = repository.opsbook("run", "site", "-e", "prod", "-y", "--answer", "it-works=done")
    assert done.code == 0, done
    assert "web1: web1 green gold ⟦secret:password⟧ 42" in done.out, done
    assert "web2: web2 green gold ⟦secret:password⟧ 41" in done.out
    found = [path for path in (repository.root / "records").rglob("*") if path.is_file()]
    assert found and not any(PASSWORD.encode() in path.read_bytes() for path in found)
    (named,) = (
        each for each in repository.opsbook("show", "site", "-e", "prod", "--manual").out.splitlines() if "-i" in each
    )
    assert named.startswith("ansible-playbook -i inventory/prod site.yml")
    assert (repository.root / ".opsbook/inventories/prod.json").stat().st_mtime_ns == known(repository, "env", "list")


def known(project: Project, *command: str) -> int:
    """When Ansible was asked for prod's hosts, after this command."""
    project.opsbook(*command, check=True)
    return (project.root / ".opsbook/inventories/prod.json").stat().st_mtime_ns


@pytest.fixture
def dynamic(repository: Project) -> Project:
    repository.write("opsbook.toml", '[ansible]\nplaybooks = "."\n[ansible.inventories]\napp = ["inventory/app.py"]\n')
    repository.write("environments/app.yml", "sandbox: true\n")
    pages(repository, "page", PAGE.format(name="play-1.yml"))
    return repository


def test_hosts_that_change_by_themselves(dynamic: Project, tmp_path: Path) -> None:
    """A run keeps to the hosts of its plan; who only looks is told how old they are."""
    assert "may change by themselves; they are as of" in dynamic.opsbook("env", "show", "app").out
    (tmp_path / "names").write_text("a1 a2 a3\n")
    assert dynamic.opsbook("env", "show", "app", "--json").out.count('"a3"') == 0, "only looking asks nobody again"
    add = f'from opsbook import command, playbook\ncommand(["sh", "-c", "echo a4 >> {tmp_path}/names"])\n'
    play = 'print(*playbook("play-1.yml").hosts)\n'
    pages(dynamic, "grows", f"## Steps\n\n### Add one\n```python\n{add}{play}```\n")
    grown = dynamic.opsbook("run", "grows", "-e", "app", "-y")
    assert grown.code == 0 and "a1 a2 a3\n" in grown.out, grown
    pages(dynamic, "shrinks", f"## Steps\n\n### Take one\n```python\n{add.replace('a4 >>', 'a1 >')}{play}```\n")
    shrunk = dynamic.opsbook("run", "shrinks", "-e", "app", "-y")
    assert shrunk.code == 1 and "the inventory has no more: a2, a3, a4; plan it anew" in shrunk.out, shrunk


def test_a_run_goes_on_with_the_hosts_of_its_plan(dynamic: Project, tmp_path: Path) -> None:
    names = tmp_path / "names"
    code = 'import os\nfrom opsbook import playbook\nprint(*playbook("play-1.yml").hosts)\n'
    last = f'command(["test", "-e", "{tmp_path}/mended"], changes=False)\n'
    steps = f"### One\n```python\n{code}```\n\n### Two\n```python\nfrom opsbook import command\n{last}"
    pages(dynamic, "page", f'## Steps\n\n{steps}print(*playbook("play-2.yml").hosts)\n```\n')
    assert dynamic.opsbook("run", "page", "-e", "app", "-y").code == 1
    names.write_text("a1 a2 a3\n")
    (tmp_path / "mended").touch()
    stopped = dynamic.opsbook("resume", "last", "-y")
    assert stopped.code == 5 and "inventory: groups, or variables of hosts" in stopped.out, stopped
    resumed = dynamic.opsbook("resume", "last", "-y", "--accept-changes")
    assert resumed.code == 0 and re.search(r"Say +ok: \[a1, a2\]", resumed.out), resumed
    assert "| a1 a2\n" in resumed.out and not re.search(r"\ba3\b", resumed.out), resumed


def test_an_approval_is_for_the_hosts_that_were_shown(team: Team, tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("a1 a2\n")
    team.write(
        "opsbook.toml", (team.root / "opsbook.toml").read_text() + '\n[ansible.inventories]\nlive = ["app.py"]\n'
    )
    team.write("app.py", SCRIPT.replace("{names}", str(names))).chmod(0o755)
    team.write("environments/live.yml", "approvals: 1\n")
    team.write("playbooks/play.yml", PLAY.format(hosts="app"))
    team.page(PAGE.format(name="play.yml"), "page", "rollback: none\n")
    team.commit("Ask for an approval")
    asked = json.loads(team.by("ann").opsbook("plan", "page", "-e", "live", "--request", "--json").out)
    assert team.by("bob").opsbook("approve", asked["id"], "-y").code == 0
    names.write_text("a1 a3\n")
    refused = team.by("ann").opsbook("run", "--plan", asked["id"], "-y")
    assert refused.code == 4, refused
    assert "'a2' -> 'a3'" in refused.err, refused
    names.write_text("a1 a2\n")
    assert team.by("ann").opsbook("run", "--plan", asked["id"], "-y").code == 0


def test_what_ansible_cannot_read_is_one_sentence(dynamic: Project) -> None:
    for sources, said in (
        ('["inventory/missing"]', "There is no inventory inventory/missing."),
        (
            '["inventory/app.py", "inventory/bad"]',
            "Ansible cannot read the inventory of app: Completely failed to parse",
        ),
    ):
        dynamic.write("inventory/bad", "no [inventory\n")
        dynamic.write("opsbook.toml", f'[ansible]\nplaybooks = "."\n[ansible.inventories]\napp = {sources}\n')
        done = dynamic.opsbook("run", "page", "-e", "app", "-y")
        assert done.code == 2 and said in done.err, done
    dynamic.write("opsbook.toml", '[ansible.inventories]\napp = ["../other"]\n')
    assert "write a path below the project" in dynamic.opsbook("list").err


def test_without_a_policy_it_is_closed(dynamic: Project) -> None:
    (dynamic.root / "environments/app.yml").unlink()
    done = dynamic.opsbook("run", "page", "-e", "app", "-y")
    assert done.code == 4 and "app is protected" in done.err, done
    assert "app has no policy, so it is closed" in dynamic.opsbook("doctor").out


def test_the_protected_branch_says_where_its_policy_is(team: Team) -> None:
    """A work tree cannot open an environment by naming its inventory in another place."""
    team.write("playbooks/inventories/live/hosts.yml", (team.root / "playbooks/inventories/dev/hosts.yml").read_text())
    team.write("playbooks/inventories/live/environment.yml", "protected: true\n")
    team.page(PAGE.format(name="x.yml"), "page", "rollback: none\n")
    team.commit("Guard it")
    team.write(
        "opsbook.toml",
        (team.root / "opsbook.toml").read_text()
        + '\n[ansible.inventories]\nlive = ["playbooks/inventories/live/hosts.yml"]\n',
    )
    team.write("environments/live.yml", "sandbox: true\n")
    done = team.opsbook("run", "page", "-e", "live", "-y")
    assert done.code == 4 and "live is guarded" in done.err, done


NAMED = '\n[ansible.inventories]\nlive = ["live.ini"]\n'


@pytest.mark.parametrize("also", [False, True])
def test_a_policy_that_is_not_committed_opens_nothing(team: Team, also: bool) -> None:
    """Also where an older policy of that name still lies in another place."""
    team.write("opsbook.toml", (team.root / "opsbook.toml").read_text() + NAMED)
    team.write("live.ini", f"[app]\na1 {LOCAL}\n")
    team.page("## Steps\n\n### Do it\n```python\nprint(1)\n```\n", "page", "rollback: none\n")
    if also:
        team.write("playbooks/inventories/live/environment.yml", "sandbox: true\n")
        team.write("environments/live.yml", "protected: true\n")
    team.commit("Name it")
    team.write("environments/live.yml", "sandbox: true\n")
    done = team.by("ann").opsbook("run", "page", "-e", "live", "-y")
    assert done.code == 4 and "live is guarded" in done.err, done


def test_a_resume_uses_the_settings_of_then(repository: Project, tmp_path: Path) -> None:
    """opsbook.toml names what is executed: it is one of the plan's files."""
    task = f"{{name: W, ansible.builtin.shell: 'echo {{{{ which }}}} WHERE >> {tmp_path}/out'}}"
    write = f"- hosts: all\n  gather_facts: false\n  tasks: [{task}]\n"
    for folder, source in (("pa", "one"), ("pb", "two")):
        repository.write(f"{folder}/w.yml", write.replace("WHERE", folder))
        repository.write(f"inv/{source}/hosts", f"a1 {LOCAL} which={source}\n")
    toml = '[ansible]\nplaybooks = "{}"\n[ansible.inventories]\nlive = ["inv/{}"]\n'
    repository.write("opsbook.toml", toml.format("pa", "one"))
    repository.write("environments/live.yml", "sandbox: true\n")
    stop = f'from opsbook import command\ncommand(["test", "-e", "{tmp_path}/mended"], changes=False)\n'
    pages(
        repository,
        "page",
        f"## Steps\n\n### Stop\n```python\n{stop}```\n\n### Go on\n"
        + PAGE.format(name="w.yml").split("### Do it\n")[1],
    )
    assert repository.opsbook("run", "page", "-e", "live", "-y").code == 1
    repository.write("opsbook.toml", toml.format("pb", "two"))
    (tmp_path / "mended").touch()
    done = repository.opsbook("resume", "last", "-y", "--accept-changes")
    assert done.code == 0, done
    assert (tmp_path / "out").read_text() == "one pa\n"


def test_what_is_vaulted_anywhere_is_redacted(repository: Project) -> None:
    words = {name: f"a-secret-of-{name}" for name in ("link", "role", "file")}
    for path, name in (
        ("shared/group_vars/all.yml", "link"),
        ("roles/r/vars/main.yml", "role"),
        ("plays/vars/s.yml", "file"),
    ):
        repository.write(path, f"secret_{name}: {words[name]}\n")
        vault = [str(Path(sys.executable).parent / "ansible-vault"), "encrypt", path]
        subprocess.run(vault, cwd=repository.root, check=True, capture_output=True)
    repository.write("inv/hosts", f"a1 {LOCAL}\n")
    (repository.root / "inv/group_vars").symlink_to("../shared/group_vars")
    said = "{{ secret_link }} {{ secret_role }} {{ secret_file }}"
    task = f"{{name: Say, ansible.builtin.debug: {{msg: '{said}'}}}}"
    head = "- hosts: all\n  gather_facts: false\n  vars_files: [vars/s.yml]\n  roles: [r]\n"
    play = f"{head}  tasks: [{task}]\n"
    repository.write("plays/say.yml", play)
    repository.write("opsbook.toml", '[ansible]\nplaybooks = "plays"\n[ansible.inventories]\nlive = ["inv"]\n')
    repository.write("environments/live.yml", "sandbox: true\n")
    pages(repository, "page", PAGE.format(name="say.yml"))
    done = repository.opsbook("run", "page", "-e", "live", "-y")
    assert done.code == 0 and done.out.count("⟦secret:") == 3, done
    found = [path for path in (repository.root / "records").rglob("*") if path.is_file()]
    assert not [path for path in found if any(word in path.read_text(errors="replace") for word in words.values())]


def test_every_file_of_an_inventory_is_looked_at(repository: Project) -> None:
    repository.write("shared/more", f"b1 {LOCAL}\n")
    repository.write("inv/hosts", f"a1 {LOCAL}\n")
    (repository.root / "inv/linked").symlink_to("../shared")
    repository.write("opsbook.toml", '[ansible]\nplaybooks = "."\n[ansible.inventories]\nlive = ["inv"]\n')

    def hosts() -> list[str]:
        return list(json.loads(repository.opsbook("env", "show", "live", "--json", check=True).out)["choices"]["Host"])

    assert hosts() == ["a1", "b1"]
    repository.write("shared/more", f"b1 {LOCAL}\nb2 {LOCAL}\n")
    assert hosts() == ["a1", "b1", "b2"]
    for text in ('{"plugin": "constructed"}', " plugin: constructed", "'plugin' : constructed\nstrict: false"):
        assert inventory._PLUGIN.search(text.encode()), text
    repository.write("opsbook.toml", "[ansible.inventories]\nlive = []\n")
    assert "name at least one inventory" in repository.opsbook("list").err
