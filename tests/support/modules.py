"""The Python of Ansible's modules in tests, which keeps compiled what they import.

Ansible packs a module's source anew for each task and host, and Python compiles most of `ansible.module_utils` each
time: half of what a task costs. Here the modules are the same, in processes of their own; what they import is
compiled once, as Python itself keeps it for everything that is not in an archive.
"""

import os
import sys
from pathlib import Path

from tests.support import ROOT

CACHE = ROOT / ".cache/modules"
HOOK = Path(__file__).parent / "compiled"


def interpreter() -> Path:
    """The Python of these tests, with the hook."""
    program = CACHE / "python"
    variables = f"PYTHONPATH='{HOOK}' COMPILED_MODULES='{CACHE}'"
    text = f"#!/bin/sh\n{variables} exec '{sys.executable}' \"$@\"\n"
    if not program.is_file() or program.read_text(encoding="utf-8") != text:
        CACHE.mkdir(parents=True, exist_ok=True)
        scratch = program.with_name(f"python.{os.getpid()}")
        scratch.write_text(text, encoding="utf-8")
        scratch.chmod(0o755)
        scratch.rename(program)
    return program
