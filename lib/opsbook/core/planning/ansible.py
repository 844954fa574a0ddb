"""Run Ansible's own programs on a project, mostly to query it."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from opsbook.core.model.ansible import environment, sources
from opsbook.core.model.text import one_line
from opsbook.core.planning.context import ansible_bin
from opsbook.settings import Settings

PATIENCE = 60.0
"""Seconds for all hosts together, or for one playbook to parse."""


def ask(
    settings: Settings, inventory: str | Sequence[str], program: str, *arguments: str
) -> tuple[int | None, str, str]:
    """Run one of Ansible's programs on an inventory: exit code (None: out of time), standard output, errors.

    It has no terminal: nothing it starts may ask for a password.
    """
    config, path = settings.content / "ansible.cfg", os.environ.get("PATH", os.defpath)
    told = environment(path, ansible_bin(), config if config.is_file() else None, settings.vaults)
    named = [word for source in sources(settings.content, inventory) for word in ("-i", source)]
    process = subprocess.Popen(
        [str(ansible_bin() / program), *arguments, *named],
        cwd=settings.content,
        env=os.environ | told,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, said = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, *process.communicate()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode, out, said


def syntax(settings: Settings, inventory: str | Sequence[str], playbooks: Sequence[Path], *more: str) -> str:
    """What is wrong with the first of these playbooks that has a fault, in Ansible's words; empty if all parse."""
    code, _, said = ask(settings, inventory, "ansible-playbook", "--syntax-check", *map(str, playbooks), *more)
    return "" if code == 0 else error(said)


def error(said: str) -> str:
    """Ansible's own sentence, on one line."""
    lines = [line for line in said.splitlines() if line.startswith(("[ERROR]", "ERROR!"))] or said.splitlines()[-1:]
    text = " ".join(line.partition(" ")[2] if line.startswith(("[", "ERROR!")) else line for line in lines[:1])
    return one_line(text, 200) or "it does not work, and Ansible does not say why"
