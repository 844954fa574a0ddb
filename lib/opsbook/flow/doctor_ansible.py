"""Checks that ask Ansible itself: do the playbooks parse, do the hosts answer."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

from opsbook.flow.context import ansible_bin
from opsbook.flow.doctor_finding import Finding, fine, wrong
from opsbook.flow.doctor_runbook import Subject
from opsbook.model.text import one_line
from opsbook.source import names

_PATIENCE = 60.0
"""Seconds for all hosts together, or for one playbook to parse."""

_CONNECT = 10
"""Seconds for one host to take a connection."""

_RESULT = re.compile(r"^(\S+) \| ([A-Z]+)!? => (\{.*?^\}|.*?$)", re.MULTILINE | re.DOTALL)


def playbooks(about: Subject) -> Iterator[Finding]:
    """Every playbook the page names is there, and parses."""
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
        code, _, said = _ansible(about, "ansible-playbook", "--syntax-check", str(path))
        if code == 0:
            good.append(name)
        else:
            yield wrong(f"playbooks/{name}: {_error(about, said)}", f"ansible-playbook --syntax-check playbooks/{name}")
    if good or not named:
        yield fine(f"playbooks that parse: {', '.join(good) or 'none is named'}")


def hosts(about: Subject) -> Iterator[Finding]:
    """Every host of the environment answers a ping of Ansible's."""
    if about.environment is None:
        return
    wanted = about.environment.hosts
    if not wanted:
        yield fine("hosts: none is named")
        return
    code, out, said = _ansible(about, "ansible", "all", "-f", "20", "-T", str(_CONNECT), "-m", "ansible.builtin.ping")
    told = {host: (status, _message(body)) for host, status, body in _RESULT.findall(out)}
    inventory = f"ansible all -i {about.environment.inventory}/hosts.yml -m ping"
    if not told and code not in (0, None):
        yield wrong(f"hosts: {_error(about, said)}", inventory)
        return
    good = [host for host in wanted if told.get(host, ("", ""))[0] == "SUCCESS"]
    for host in wanted:
        if host not in good:
            _, why = told.get(host, ("", f"no answer within {_PATIENCE:.0f} s" if code is None else "no answer"))
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


def _error(about: Subject, said: str) -> str:
    """Ansible's own sentence, on one line."""
    lines = [line for line in said.splitlines() if line.startswith(("[ERROR]", "ERROR!"))] or said.splitlines()[-1:]
    text = " ".join(line.partition(" ")[2] if line.startswith(("[", "ERROR!")) else line for line in lines[:1])
    return one_line(about.redactor.text(text), 200) or "it does not work, and Ansible does not say why"


def _ansible(about: Subject, program: str, *arguments: str) -> tuple[int | None, str, str]:
    """Run one of Ansible's programs on the environment: exit code (None: out of time), standard output, errors.

    It has no terminal: nothing it starts may ask for a password.
    """
    assert about.environment is not None
    inventory = about.settings.root / about.environment.inventory / "hosts.yml"
    process = subprocess.Popen(
        [str(ansible_bin() / program), *arguments, "-i", str(inventory)],
        cwd=about.settings.root,
        env=_environment(about),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        return _finished(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _finished(process: "subprocess.Popen[str]") -> tuple[int | None, str, str]:
    try:
        out, said = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, said = process.communicate()
        return None, out, said
    return process.returncode, out, said


def _environment(about: Subject) -> dict[str, str]:
    """What a playbook of a run is told, too."""
    settings = about.settings
    config = settings.root / "ansible.cfg"
    found = {
        "PATH": f"{ansible_bin()}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if config.is_file():
        found["ANSIBLE_CONFIG"] = str(config)
    if settings.vault_password_file:
        found["ANSIBLE_VAULT_PASSWORD_FILE"] = str(settings.vault_password_file)
    return {**os.environ, **found}
