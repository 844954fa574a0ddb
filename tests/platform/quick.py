"""What makes a platform of the tests quick: Ansible's modules find their code compiled, and a colour has two instances.

Ansible packs a module's source anew for each task and host, and Python compiles most of `ansible.module_utils` each
time: half of what a task costs. Here the modules are the same, in processes of their own; what they import is
compiled once, as Python itself keeps it for everything that is not in an archive.
"""

import os
import re
import sys
from pathlib import Path

from tests.support import ROOT

CACHE = ROOT / ".cache/modules"
HOOK = Path(__file__).parent / "compiled"
SPARE = ("arcade-3", "arcade-6")
"""The third instance of each colour in dev: two are enough to lose one, as in training."""


def quicken(root: Path) -> None:
    """Let the modules of this project's playbooks find their code compiled."""
    program = interpreter()
    for path in (root / "playbooks/inventories").rglob("hosts.yml"):
        edit(path, r'(ansible_python_interpreter: )"\{\{ ansible_playbook_python \}\}"', rf'\1"{program}"')


def without(root: Path, *instances: str) -> None:
    """Take instances out of dev."""
    for name in instances:
        edit(root / "playbooks/inventories/dev/hosts.yml", rf" +{name}:\n +instance_port: .*\n", "")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    changed = re.sub(old, new, text)
    assert changed != text, f"{path} has no {old}"
    path.write_text(changed, encoding="utf-8")


def interpreter() -> Path:
    """The Python of these tests, with the hook."""
    program = CACHE / "python"
    CACHE.mkdir(parents=True, exist_ok=True)
    scratch = program.with_name(f"python.{os.getpid()}")
    variables = f"PYTHONPATH='{HOOK}' COMPILED_MODULES='{CACHE}'"
    scratch.write_text(f"#!/bin/sh\n{variables} exec '{sys.executable}' \"$@\"\n", encoding="utf-8")
    scratch.chmod(0o755)
    scratch.rename(program)
    return program
