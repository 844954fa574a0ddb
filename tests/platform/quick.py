"""What makes a platform of the tests quick: its modules find their code compiled, and a colour has two instances."""

import re
from pathlib import Path

from tests.support import modules

SPARE = ("arcade-3", "arcade-6")
"""The third instance of each colour in dev: two are enough to lose one, as in training."""


def quicken(root: Path) -> None:
    """Let the modules of this project's playbooks find their code compiled: `tests/support/modules.py`."""
    program = modules.interpreter()
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
