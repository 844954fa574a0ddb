"""What runs is what was planned: all that a run can read is edited at every moment, and the run uses none of it."""

import _imp
import importlib.util
import json
import marshal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.approvals import PROD, approved
from tests.support.project import Terminal, until
from tests.support.team import Team, ok

pytestmark = pytest.mark.slow

SAID = """
```python
import importlib, pathlib
from opsbook import command, here, playbook
from team import coded, helper

words = ["page=then", f"helper={helper.WORD}", f"bytecode={coded.WORD}"]
words.append("script=" + command(["sh", "scripts/say.sh"], changes=False).stdout.strip())
playbook("say.yml", vars={"out": f"{here.state}/played"})
words += pathlib.Path(here.state, "played").read_text().split()
command(["sh", "-c", 'echo "$@" > .opsbook/NAME', "sh", *words])
```
"""

PAGE = f"""\
## Prerequisites

### Be here
```python
from opsbook import command
```

## Steps

### Change something
```python
command(["true"])
```

### Fail once
```python
command(["sh", "-c", "test -e .opsbook/go"])
```

### Say what runs
{SAID.replace("NAME", "said")}

## Rollback

### Say what undoes
{SAID.replace("NAME", "undone")}
"""

PLAY = """\
- name: Say it
  hosts: all
  connection: local
  gather_facts: false
  roles:
    - rooted
    - team.ops.say
  tasks:
    - name: Write it
      ansible.builtin.copy:
        dest: "{{ out }}"
        mode: "0600"
        content: >-
          playbook=then
          role={{ role_word }}
          hidden={{ hidden_word }}
          collection={{ collection_word }}
          filter={{ 'x' | marked }}
          template={{ lookup('ansible.builtin.template', 'word.j2') | trim }}
          variables={{ group_word }}
          inventory={{ host_word }}
          cfg={{ 'then' if lookup('ansible.builtin.config', 'DEFAULT_FORKS') | int == 5 else 'now' }}
"""

FILTER = """\
class FilterModule:
    def filters(self):
        return {"marked": lambda _: "then"}
"""

PLACES = {
    "runbooks/count.md": PAGE,
    "lib/team/helper.py": 'WORD = "then"\n',
    "lib/team/coded.py": 'WORD = "then"\n',
    "scripts/say.sh": "echo then\n",
    "playbooks/say.yml": PLAY,
    "playbooks/templates/word.j2": "{{ 'then' }}\n",
    "playbooks/filter_plugins/marked.py": FILTER,
    "playbooks/group_vars/all.yml": "group_word: then\n",
    "playbooks/inventories/prod/group_vars/all.yml": "host_word: then\n",
    "playbooks/inventories/dev/group_vars/all.yml": "host_word: then\n",
    "roles/rooted/vars/main.yml": "role_word: then\n",
    "roles/rooted/vars/.hidden.yml": "hidden_word: then\n",
    "roles/rooted/tasks/main.yml": "- name: Hidden\n  ansible.builtin.include_vars: .hidden.yml\n",
    "collections/ansible_collections/team/ops/roles/say/vars/main.yml": "collection_word: then\n",
    "ansible.cfg": "[defaults]\nforks = 5\nroles_path = roles\ncollections_path = collections\n",
}

WORDS = (
    *("page", "helper", "bytecode", "script", "playbook", "role", "hidden", "collection"),
    *("filter", "template", "variables", "inventory", "cfg"),
)


def edit(team: Team) -> None:
    """Change every place, as an editor would; and put bytecode that Python does not check beside a helper."""
    for path, text in PLACES.items():
        changed = text.replace("then", "now").replace("forks = 5", "forks = 6")
        (team.root / path).write_text(changed)
    code = marshal.dumps(compile('WORD = "now"\n', "coded.py", "exec"))
    header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + _imp.source_hash(0, b"").ljust(8, b"\0")[:8]
    name = importlib.util.cache_from_source("coded.py")
    team.write(f"lib/team/{name}", "")
    (team.root / "lib/team" / name).write_bytes(header + code)


def said(team: Team, name: str = "said") -> dict[str, str]:
    return dict(word.split("=") for word in (team.root / ".opsbook" / name).read_text().split())


THEN = dict.fromkeys(WORDS, "then")


@pytest.fixture
def full(team: Team) -> Team:
    for path, text in PLACES.items():
        if not path.startswith("runbooks/"):
            team.write(path, text)
    team.page(PAGE, "count", 'rollback: ask\nlock: ["{environment}/it"]\n')
    team.write(PROD, "title: Production\nprotected: true\napprovals: 1\n")
    team.commit()
    team.write(".opsbook/go", "")
    return team


def go_on(team: Team, *arguments: str) -> None:
    ok(team.by("ann").opsbook(*arguments, "--accept-changes"))


def failed(team: Team, where: str) -> str:
    (team.root / ".opsbook/go").unlink()
    if where == "prod":
        approved(team)
    assert team.by("ann").opsbook("run", "count", "-e", where, "--yes").code == 3
    team.write(".opsbook/go", "")
    return team.records()[-1].name


def after_the_approval(team: Team, _: str) -> str:
    plan = approved(team)
    edit(team)
    ok(team.by("ann").opsbook("run", "--plan", plan, "--yes"))
    return "said"


def while_it_waits_for_its_approval(team: Team, _: str) -> str:
    waiting = team.by("ann").start("run", "count", "-e", "prod", "--yes", "--wait")
    team.wait_for_event("waiting-for-approval")
    edit(team)
    plan = json.loads(team.by("bob").opsbook("approve", "--json", check=True).out)[0]["id"]
    ok(team.by("bob").opsbook("approve", plan, "--yes"))
    assert waiting.wait(timeout=120) == 0, waiting.communicate()[0]
    return "said"


def while_it_waits_for_its_lock(team: Team, where: str) -> str:
    if where == "prod":
        approved(team)
    other = dict.fromkeys(("operator", "reason", "since"), "x") | {
        "target": f"{where}/it",
        "run": "20260101T000000Z-a-aaaa",
    }
    lock = team.write(f".opsbook/locks/{where}+it.json", json.dumps(other))
    waiting = team.by("ann").start("run", "count", "-e", where, "--yes", "--wait")
    team.wait_for_event("waiting-for-lock")
    edit(team)
    lock.unlink()
    assert waiting.wait(timeout=120) == 0, waiting.communicate()[0]
    return "said"


def asked_what_now(team: Team, where: str) -> Terminal:
    """A run whose step has failed, and which asks at a terminal what to do."""
    (team.root / ".opsbook/go").unlink()
    if where == "prod":
        approved(team)
    shown = Terminal(team.by("ann").command("run", "count", "-e", where, "--yes"), team.by("ann"))
    until(lambda: "[r]" in shown.screen or "retry" in shown.screen, "the question")
    edit(team)
    return shown


def between_failure_and_retry(team: Team, where: str) -> str:
    shown = asked_what_now(team, where)
    team.write(".opsbook/go", "")
    shown.type("retry\n")
    assert shown.process.wait(timeout=120) == 0, shown.screen
    return "said"


def between_failure_and_rollback(team: Team, where: str) -> str:
    shown = asked_what_now(team, where)
    shown.type("roll-back\n")
    assert shown.process.wait(timeout=120) == 1, shown.screen
    return "undone"


def before_resume(team: Team, where: str) -> str:
    run = failed(team, where)
    edit(team)
    go_on(team, "resume", run)
    return "said"


def before_rollback(team: Team, where: str) -> str:
    run = failed(team, where)
    edit(team)
    ok(team.by("ann").opsbook("rollback", run, "--yes"))
    return "undone"


MOMENTS: list[tuple[Callable[[Team, str], str], str]] = [
    (after_the_approval, "prod"),
    (while_it_waits_for_its_approval, "prod"),
    *(
        (moment, where)
        for where in ("prod", "dev")
        for moment in (
            while_it_waits_for_its_lock,
            between_failure_and_retry,
            between_failure_and_rollback,
            before_resume,
            before_rollback,
        )
    ),
]


@pytest.mark.parametrize(("moment", "where"), MOMENTS, ids=lambda each: getattr(each, "__name__", each))
def test_what_runs_is_what_was_planned(full: Team, moment: Callable[[Team, str], str], where: str) -> None:
    assert said(full, moment(full, where)) == THEN
    assert full.opsbook("records", "verify", "last").code == 0


def test_a_protected_environment_loads_nothing_from_elsewhere(full: Team, tmp_path: Path) -> None:
    """Neither from the home folder, nor by an absolute path."""
    home = tmp_path / "home"
    role = home / ".ansible/roles/elsewhere/tasks/main.yml"
    role.parent.mkdir(parents=True)
    role.write_text("- ansible.builtin.debug: {msg: elsewhere}\n")
    (home / ".ansible.cfg").write_text(f"[defaults]\nroles_path = {home}/.ansible/roles\n")
    play = "- hosts: all\n  connection: local\n  gather_facts: false\n  roles: [ROLE]\n"
    full.write("playbooks/home.yml", play.replace("ROLE", "elsewhere"))
    full.write("playbooks/absolute.yml", play.replace("ROLE", str(role.parents[1])))
    for name in ("home", "absolute"):
        body = f'## Steps\n\n### Go\n\n```python\nfrom opsbook import playbook\n\nplaybook("{name}.yml")\n```\n'
        full.page(body, f"go-{name}", "rollback: none\n")
    full.write(PROD, "title: Production\nprotected: true\n")
    (full.root / "ansible.cfg").unlink()
    full.commit()
    ann = full.by("ann")
    ann.env["HOME"] = str(home)
    for name, said in (("home", "'elsewhere' was not found"), ("absolute", "is not in the project, and this")):
        done = ann.opsbook("run", f"go-{name}", "-e", "prod", "--yes")
        assert done.code in (1, 3) and said in " ".join(done.out.split()), done.out
        assert ann.opsbook("run", f"go-{name}", "-e", "dev", "--yes").code == 0
    full.write("ansible.cfg", "[defaults]\nroles_path = ~/roles:roles\n")
    full.commit()
    done = ann.opsbook("run", "go-home", "-e", "prod", "--yes")
    assert done.code == 4 and "leads out of the project: ansible.cfg: roles_path -> ~/roles" in done.err
