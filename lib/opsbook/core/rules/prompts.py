"""C011: a playbook that asks a person, where nobody can answer."""

from opsbook.core.model.runbook import Runbook
from opsbook.core.rules.base import Found, Known, Rule, at, calls
from opsbook.core.source.prompts import unanswered, way_out

_PLAYBOOK = """\
- name: Restart a service
  hosts: all
  vars_prompt:
    - name: service
      prompt: Which service
  tasks:
    - name: Restart it
      ansible.builtin.service:
        name: "{{ service }}"
        state: restarted
"""
_CALL = "## Steps\n\n### Restart it\n```python\nfrom opsbook import playbook\n\nplaybook('restart.yml'{more})\n```\n"

RULES = (
    Rule(
        code="C011",
        name="playbook-asks",
        text=(
            "A playbook asks a person: a variable of `vars_prompt` that the cell does not pass, a `pause` without "
            "seconds or minutes, a password that ansible.cfg makes Ansible ask for, a vaulted file without a password."
        ),
        why=(
            "Nobody can answer it in a run: the playbook fails there. What it wants is passed in `vars=`, and a person "
            "is asked in the page, where the record has the answer. Roles, task files, handlers and playbooks that it "
            "names are looked at too; where a condition may keep it from asking, it is a warning."
        ),
        bad={"runbooks/restart.md": _CALL.format(more=""), "playbooks/restart.yml": _PLAYBOOK},
        good={
            "runbooks/restart.md": _CALL.format(more=", vars={'service': 'cache'}"),
            "playbooks/restart.yml": _PLAYBOOK,
        },
    ),
)


def _asks(runbook: Runbook, known: Known) -> Found:
    """C011: a prompt that no call answers."""
    for _step, call in calls(runbook):
        name = call.literal(0, "name") if call.name == "playbook" else None
        if name is None or known.prompts is None:
            continue
        for prompt in unanswered(call, known.prompts(name)):
            text = f"{prompt}, and nobody can answer; {way_out(prompt)}"
            yield at(runbook, call.line, "C011", text, column=call.column, warning=not prompt.sure)


CHECKS = (_asks,)
