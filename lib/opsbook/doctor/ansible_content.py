"""Checks of what Ansible runs: do the playbooks parse, do the hosts answer, does anything prompt."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opsbook import ansible_cfg, files
from opsbook.core.catalog.playbook_prompts import Project, of_project
from opsbook.core.model.ansible import sources
from opsbook.core.model.text import one_line
from opsbook.core.planning import ansible
from opsbook.core.source import names
from opsbook.core.source.prompts import Prompt, unanswered, way_out
from opsbook.doctor.finding import Finding, fine, warning, wrong
from opsbook.doctor.runbook import Subject
from opsbook.settings import Settings

_VARIABLES = {"ANSIBLE_BECOME_ASK_PASS": "become", "ANSIBLE_ASK_PASS": "connection", "ANSIBLE_ASK_VAULT_PASS": "vault"}
"""Variables of the environment that make Ansible ask for a password. A run passes them on."""


_UNUSED = {
    "inventory": "the environment of the run names its inventories",
    "stdout_callback": "opsbook reads what Ansible does, and shows it",
    "retry_files_enabled": "opsbook repeats a playbook on the hosts that failed",
    "nocolor": "what Ansible prints is kept without colours",
}
"""Settings of ansible.cfg that a run does not use, and why."""

_CONNECT = 10
"""Seconds for one host to accept a connection."""

_RESULT = re.compile(r"^(\S+) \| ([A-Z]+)!? => (\{.*?^\}|.*?$)", re.MULTILINE | re.DOTALL)


def config(settings: Settings) -> Iterator[Finding]:
    """What a run does not use of ansible.cfg, and what it makes Ansible write beside the record."""
    path = settings.content / "ansible.cfg"
    try:
        told = ansible_cfg.parse(files.read_text(path) if path.exists() else "")
    except (OSError, ValueError, ansible_cfg.Unreadable) as error:
        yield wrong(f"ansible.cfg cannot be read: {one_line(str(error), 200)}", "Ansible refuses it, too: correct it.")
        return
    names = set(told.options("defaults")) if told.has_section("defaults") else set()
    unused = [name for name in _UNUSED if name in names]
    for name in unused:
        yield fine(f"ansible.cfg: {name} is not used: {_UNUSED[name]}")
    if "log_path" in names:
        hint = "Take log_path away; the record has all of it, without secrets."
        yield warning("ansible.cfg: Ansible writes secrets that it prints into its log_path", hint)
    elif not unused:
        yield fine("ansible.cfg: all of it is used" if path.exists() else "ansible.cfg: there is none")


def playbooks(about: Subject) -> Iterator[Finding]:
    """Every playbook the page names exists, and parses."""
    if about.runbook is None or about.environment is None:
        return
    cells = [cell for step in about.runbook.steps() for cell in step.cells]
    calls = [call for cell in cells for call in names.calls(cell) if call.name == "playbook"]
    named = dict.fromkeys(filter(None, (call.literal(0, "name") for call in calls)))
    good = []
    for name in named:
        path = about.settings.playbooks / name
        if not path.is_file():
            yield wrong(f"there is no {about.settings.ansible.playbooks}/{name}", "Put it there, or correct the page.")
            continue
        if problem := ansible.syntax(about.settings, about.environment.inventory, [path]):
            said = f"{about.settings.ansible.playbooks}/{name}: {about.redactor.text(problem)}"
            yield wrong(said, f"ansible-playbook --syntax-check {about.settings.ansible.playbooks}/{name}")
        else:
            good.append(name)
    if good or not named:
        yield fine(f"playbooks that parse: {', '.join(good) or 'none is named'}")


def hosts(about: Subject) -> Iterator[Finding]:
    """Every host of the environment answers Ansible's ping."""
    if about.environment is None:
        return
    wanted = about.environment.hosts
    if not wanted:
        yield fine("hosts: none is named")
        return
    arguments = ("all", "-f", "20", "-T", str(_CONNECT), "-m", "ansible.builtin.ping")
    code, out, said = ansible.ask(about.settings, about.environment.inventory, "ansible", *arguments)
    told = {host: (status, _message(body)) for host, status, body in _RESULT.findall(out)}
    named = " ".join(f"-i {each}" for each in sources(Path(), about.environment.inventory))
    inventory = f"ansible all {named} -m ping"
    if not told and code not in (0, None):
        yield wrong(f"hosts: {about.redactor.text(ansible.error(said))}", inventory)
        return
    good = [host for host in wanted if told.get(host, ("", ""))[0] == "SUCCESS"]
    for host in wanted:
        if host not in good:
            _, why = told.get(host, ("", f"no answer within {ansible.PATIENCE:.0f} s" if code is None else "no answer"))
            hint = f"Look at the host, or {inventory} --limit {host} -vvv."
            yield wrong(f"host {host}: {one_line(about.redactor.text(why), 200)}", hint)
    if good:
        yield fine(f"hosts that answer: {', '.join(good)}")


def _message(body: str) -> str:
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        return body
    return str(content.get("msg", "no message")) if isinstance(content, dict) else body


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
