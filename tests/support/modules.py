"""The Python of Ansible's modules in tests: a fork of a process that has imported what they import.

Ansible starts a Python for each task and host, and most of its work is to import the same again: three quarters of
what a task costs. Here `module_server.py` has imported it, and forks a process for each. What asks it is a program
(`module_program.py`) that is there as long as the process is, ends as it ends, and passes on to it what it is told to.
It does by itself what the server cannot do: an environment, a namespace or a user of its own needs an interpreter,
which keeps compiled what the module imports (`compiled`).
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

CACHE = ROOT / ".cache/modules"
SOCKET = CACHE / f"socket-{sys.implementation.cache_tag}"
HOOK = Path(__file__).parent / "compiled"
PROGRAM = Path(__file__).parent / "module_program.py"
SERVER = "tests.support.module_server"
DOOR = Path(__file__).parent / "door/ansible-playbook"
"""ansible-playbook that finds its modules built: `built_modules.py`."""

_server: "subprocess.Popen[bytes] | None" = None


def interpreter() -> Path:
    """What to tell Ansible as the Python of its modules."""
    program = CACHE / "python"
    variables = f"PYTHONPATH='{HOOK}' COMPILED_MODULES='{CACHE}'"
    python, forked = f"'{sys.executable}'", f"'{SOCKET}' '{CACHE}/alone'"
    _write(CACHE / "alone", f'#!/bin/sh\n{variables} exec {python} "$@"\n')
    _write(program, f"#!/bin/sh\nexec {python} -I -S '{PROGRAM}' {forked} \"$@\"\n")
    return program


def _write(program: Path, text: str) -> None:
    if not program.is_file() or program.read_text(encoding="utf-8") != text:
        CACHE.mkdir(parents=True, exist_ok=True)
        scratch = program.with_name(f"{program.name}.{os.getpid()}")
        scratch.write_text(text, encoding="utf-8")
        scratch.chmod(0o755)
        scratch.rename(program)


def playbooks(inventory: str) -> list[str]:
    """The command that runs playbooks of a project in its folder, without opsbook; their paths follow."""
    return [sys.executable, str(DOOR), "-i", f"playbooks/inventories/{inventory}/hosts.yml"]


def begin() -> None:
    """Have a server for as long as this process lives, unless another one has one."""
    global _server  # noqa: PLW0603  (one for all tests)
    CACHE.mkdir(parents=True, exist_ok=True)
    _server = subprocess.Popen(
        [sys.executable, "-m", SERVER, str(SOCKET), str(HOOK)],
        cwd=ROOT,
        env={**os.environ, "COMPILED_MODULES": str(CACHE)},
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def end() -> None:
    """Nobody will ask any more."""
    global _server  # noqa: PLW0603
    if _server is not None:
        assert _server.stdin is not None
        _server.stdin.close()
        _server.wait(timeout=60)
        _server = None
