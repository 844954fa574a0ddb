"""A check for Ansible's prompts, which nobody can answer in a run."""

import os
from collections.abc import Iterator

from opsbook.core.catalog.playbook_prompts import Project, of_project
from opsbook.core.source import names
from opsbook.core.source.prompts import Prompt, unanswered, way_out
from opsbook.doctor.finding import Finding, fine, warning, wrong
from opsbook.doctor.runbook import Subject

_VARIABLES = {"ANSIBLE_BECOME_ASK_PASS": "become", "ANSIBLE_ASK_PASS": "connection", "ANSIBLE_ASK_VAULT_PASS": "vault"}
"""Variables of the environment that make Ansible ask for a password. A run passes them on."""


def prompts(about: Subject) -> Iterator[Finding]:
    """Neither the page's playbooks nor Ansible itself prompt for anything."""
    if about.runbook is None:
        return
    project, found = of_project(about.settings), False
    cells = [cell for step in about.runbook.steps() for cell in step.cells]
    for call in (call for cell in cells for call in names.calls(cell) if call.name == "playbook"):
        for prompt in unanswered(call, _prompts(about, project, call.literal(0, "name"))):
            found = True
            say, way = (wrong if prompt.sure else warning), way_out(prompt)
            yield say(f"line {call.line}: {prompt}, and nobody can answer", f"{way[:1].upper()}{way[1:]}.")
    if not found:
        yield fine("prompts: no playbook asks for anything that can be seen from here")


def _prompts(about: Subject, project: Project, name: str | None) -> Iterator[Prompt]:
    yield from project(name) if name else project.settings
    for variable, what in _VARIABLES.items():
        on = os.environ.get(variable, "no").lower() in ("1", "yes", "true", "on", "y", "t")
        if on and not (what == "vault" and about.settings.vault_password_file):
            yield Prompt("password", what, variable)
