"""What playbooks ask, as check and doctor find it without running one."""

import textwrap
from pathlib import Path

import pytest

from opsbook.core.planning.drafts import RunRequest
from opsbook.doctor import ansible_content, runbook
from opsbook.doctor.finding import Level
from opsbook.lint import checks
from opsbook.settings import Settings

PAGE = """\
---
title: Example
kind: maintenance
owner: platform
reviewed: 2026-11-20
---

# Example

## Steps

### Act
```python
from opsbook import playbook
{call}
```
"""
ASKS = "- hosts: all\n  tasks:\n{tasks}"
WAITS = "    - name: Is it drained\n      ansible.builtin.pause:\n        prompt: Press enter\n"


def project(root: Path, call: str = 'playbook("site.yml")', **files: str) -> Settings:
    """A project with these files below playbooks/; a double underscore stands for a slash."""
    given = {f"playbooks/{name.replace('__', '/')}.yml": text for name, text in files.items()}
    given |= {
        "runbooks/example.md": PAGE.format(call=call),
        "playbooks/inventories/dev/hosts.yml": "all:\n  hosts:\n    web-1:\n",
    }
    for name, text in given.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return Settings(root, root / "records", root / ".opsbook")


def found(settings: Settings) -> list[tuple[str, bool]]:
    """Texts of the rule, each with whether it is a warning."""
    return [(each.message, each.warning) for each in checks.check(settings, []) if each.code == "C011"]


@pytest.mark.parametrize("key", ["pause", '"p\\x61use"'])
def test_however_a_key_is_written_it_asks(tmp_path: Path, key: str) -> None:
    task = f"    - {key}: {{prompt: Press enter}}\n"
    assert len(found(project(tmp_path, site=ASKS.format(tasks=task)))) == 1


WHO = "- hosts: all\n  vars_prompt:\n    - name: who\n      prompt: Who are you\n"


@pytest.mark.parametrize(
    ("call", "asks"),
    [
        ('playbook("site.yml")', True),
        ('playbook("site.yml", vars={"other": 1})', True),
        ('playbook("site.yml", vars=None)', True),
        ('playbook("site.yml", vars={"who": name})', False),
        ('playbook("site.yml", vars=given)', False),
        ('playbook("site.yml", vars={**given})', False),
        ('playbook("site.yml", **more)', False),
    ],
)
def test_a_variable_that_is_passed_is_not_asked(tmp_path: Path, call: str, asks: bool) -> None:
    settings = project(tmp_path, f"name, given, more = 'ann', {{}}, {{}}\n{call}", site=WHO)
    text = 'playbooks/site.yml:3 asks for the variable who, and nobody can answer; pass it, vars={"who": …}'
    assert found(settings) == ([(text, False)] if asks else [])


PLACES = {
    "tasks": {"site": ASKS.format(tasks=WAITS)},
    "block": {"site": ASKS.format(tasks="    - block:\n" + textwrap.indent(WAITS, "    "))},
    "always": {"site": ASKS.format(tasks="    - block: []\n      always:\n" + textwrap.indent(WAITS, "    "))},
    "roles": {"site": "- hosts: all\n  roles: [web]\n", "roles__web__tasks__main": textwrap.dedent(WAITS)},
    "include_role": {
        "site": ASKS.format(tasks="    - include_role: {name: web, tasks_from: drain}\n"),
        "roles__web__tasks__drain": textwrap.dedent(WAITS),
    },
    "dependency": {
        "site": "- hosts: all\n  roles: [{role: web}]\n",
        "roles__web__meta__main": "dependencies: [base]\n",
        "roles__base__tasks__main": textwrap.dedent(WAITS),
    },
    "import_tasks": {
        "site": ASKS.format(tasks="    - ansible.builtin.import_tasks: tasks/wait.yml\n"),
        "tasks__wait": "- include_tasks: {file: more.yml}\n",
        "tasks__more": textwrap.dedent(WAITS),
    },
    "import_playbook": {
        "site": "- ansible.builtin.import_playbook: other.yml\n",
        "other": ASKS.format(tasks=WAITS),
    },
    "pre_tasks": {"site": ASKS.format(tasks=WAITS).replace("tasks:", "pre_tasks:")},
}
CONDITIONAL = {
    "handlers": {"site": ASKS.format(tasks=WAITS).replace("tasks:", "handlers:")},
    "when": {"site": ASKS.format(tasks=WAITS + "      when: by_hand\n")},
    "rescue": {"site": ASKS.format(tasks="    - block: []\n      rescue:\n" + textwrap.indent(WAITS, "    "))},
    "templated": {
        "site": ASKS.format(tasks='    - include_tasks: "tasks/{{ kind }}.yml"\n'),
        "tasks__wait": textwrap.dedent(WAITS),
    },
    "imported when": {
        "site": "- import_playbook: other.yml\n  when: by_hand\n",
        "other": ASKS.format(tasks=WAITS),
    },
}


@pytest.mark.parametrize("where", [*PLACES, *CONDITIONAL])
def test_a_pause_is_found_wherever_it_stands(tmp_path: Path, where: str) -> None:
    ((text, warning),) = found(project(tmp_path, **(PLACES | CONDITIONAL)[where]))
    assert "asks for an answer in the task Is it drained, and nobody can answer; ask in the page" in text
    assert warning == (where in CONDITIONAL)


@pytest.mark.parametrize(
    ("task", "asks"),
    [
        ("pause:", True),
        ("pause: prompt=Ready?", True),
        ("action: pause", True),
        ("action: {module: ansible.builtin.pause, prompt: Ready?}", True),
        ("ansible.legacy.pause: {prompt: Ready?}", True),
        ("pause: {seconds: 5}", False),
        ("pause: seconds=5", False),
        ("ansible.builtin.pause: {minutes: 1, prompt: Waiting for the leases}", False),
        ("action: pause minutes=1", False),
        ("community.some.pause: {prompt: Ready?}", False),
    ],
)
def test_a_pause_with_seconds_is_over_by_itself(tmp_path: Path, task: str, asks: bool) -> None:
    assert bool(found(project(tmp_path, site=ASKS.format(tasks=f"    - {task}\n")))) == asks


def test_playbooks_that_name_themselves_or_cannot_be_read_end(tmp_path: Path) -> None:
    round_ = "- import_playbook: site.yml\n" + WHO
    assert len(found(project(tmp_path / "a", site=round_))) == 1
    for number, text in enumerate(("- {", "text", "- [1]\n", "- hosts: {}\n  roles: [{}]\n  tasks: [1, {block: 2}]\n")):
        assert found(project(tmp_path / f"b{number}", site=text)) == []


def test_passwords_are_asked_by_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = ASKS.format(tasks="    - ansible.builtin.ping:\n")
    settings = project(tmp_path, site=good)
    (tmp_path / "ansible.cfg").write_text("[privilege_escalation]\nbecome_ask_pass = True  ; as they do by hand\n")
    ((text, warning),) = found(settings)
    assert text.startswith("become_ask_pass in ansible.cfg makes Ansible ask for the become password") and not warning
    passed = 'playbook("site.yml", vars={"ansible_become_password": "x"})'
    assert found(project(tmp_path, passed, site=good)) == []

    (tmp_path / "ansible.cfg").write_text("[defaults]\nask_pass = no\n")
    monkeypatch.setenv("ANSIBLE_ASK_PASS", "1")
    settings = project(tmp_path, 'playbook("site.yml")', site=good)
    about = runbook.subject(settings, RunRequest("example", "dev", {}))
    (finding,) = ansible_content.prompts(about)
    assert (finding.level, "ANSIBLE_ASK_PASS makes Ansible ask" in finding.text) == (Level.WRONG, True)
    assert "ansible_password" in finding.hint


def test_a_vaulted_file_needs_a_password(tmp_path: Path) -> None:
    play = "- hosts: all\n  vars_files: [vars/secret.yml]\n"
    settings = project(tmp_path, site=play, vars__secret="$ANSIBLE_VAULT;1.1;AES256\n3333\n")
    ((text, _),) = found(settings)
    assert text.startswith("playbooks/vars/secret.yml is vaulted, and there is no vault password")
    password = tmp_path / "password"
    with_it = Settings(tmp_path, tmp_path / "records", tmp_path / ".opsbook", vaults=(f"default@{password}",))
    assert found(with_it) == []


def test_doctor_tells_what_may_be_asked(tmp_path: Path) -> None:
    settings = project(tmp_path, **CONDITIONAL["when"])
    (finding,) = ansible_content.prompts(runbook.subject(settings, RunRequest("example", "dev", {})))
    assert finding.level is Level.WARNING
    assert finding.text.startswith("line 15: playbooks/site.yml:3 asks for an answer")
    more = {"site": "- import_playbook: other.yml\n  when: by_hand\n", "other": WHO.replace("who", "Who")}
    settings = project(tmp_path, **more)
    (finding,) = ansible_content.prompts(runbook.subject(settings, RunRequest("example", "dev", {})))
    assert finding.hint == 'Pass it, vars={"Who": …}.'
    calm = project(tmp_path, site=ASKS.format(tasks="    - ansible.builtin.ping:\n"))
    (finding,) = ansible_content.prompts(runbook.subject(calm, RunRequest("example", "dev", {})))
    assert finding.level is Level.FINE
