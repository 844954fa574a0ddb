"""Checks by Ansible itself: do the playbooks parse, do the hosts answer."""

import json
import re
from collections.abc import Iterator
from typing import Any

from opsbook.core.model.text import one_line
from opsbook.core.planning import ansible
from opsbook.core.source import names
from opsbook.doctor.finding import Finding, fine, wrong
from opsbook.doctor.runbook import Subject

_CONNECT = 10
"""Seconds for one host to accept a connection."""

_RESULT = re.compile(r"^(\S+) \| ([A-Z]+)!? => (\{.*?^\}|.*?$)", re.MULTILINE | re.DOTALL)


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
            yield wrong(f"there is no playbooks/{name}", "Put it there, or correct the page.")
            continue
        if problem := ansible.syntax(about.settings, about.environment.inventory, path):
            said = f"playbooks/{name}: {about.redactor.text(problem)}"
            yield wrong(said, f"ansible-playbook --syntax-check playbooks/{name}")
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
    inventory = f"ansible all -i {about.environment.inventory}/hosts.yml -m ping"
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
