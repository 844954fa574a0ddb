"""Keeper and kernel of a command that was forked, forked in turn: see `fork_server.py`.

Each is a process of its own that does what `python -P -m MODULE` does, with the environment, the session and the
descriptors it was given, and is its starter's child. `/proc` says the same of it. What it has in common with the
process it comes from is what both would have imported.
"""

import asyncio
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support import after_import, begun, modules

PARTS = ("opsbook.core.engine.process.keeper", "opsbook.core.effects.boot")
_LATER = (
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.extensions.storemagic",
    "ansible_runner",
    "httpx",
    "tornado.platform.asyncio",
    "tornado.queues",
    "traitlets.config.argcomplete_config",
)
"""What a kernel imports when it starts, or knows its page. Not what belongs to opsbook: that knows its process."""

_started_by_python = subprocess.Popen
_options = inspect.signature(_started_by_python._execute_child)  # type: ignore[attr-defined]
_KNOWN = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONWARNINGS"}
"""What `begun.py` takes back. With other such variables the interpreters of keeper and kernel, who get none, differ."""
_path: list[str] = []
"""Where modules are looked for with `-P`."""

_ROOM = 65536


def prepare() -> None:
    """Import what they import, and let them be forked from now on: in this process and in those forked from it."""
    unknown = {name for name in os.environ if name.startswith("PYTHON")} - _KNOWN
    if unknown or sys.warnoptions not in ([], ["error"]) or not begun.show(sys.orig_argv, os.environ):
        return
    _path[:] = sys.path[1:]
    for name in (*PARTS, *_LATER):
        importlib.import_module(name)
    subprocess.Popen = Popen  # type: ignore[misc]


class Popen(subprocess.Popen[Any]):
    """Starts what opsbook starts of itself by a fork, and everything else as it is."""

    def _execute_child(self, args: Any, *options: Any) -> None:
        module = _part(args)
        if module is None:
            super()._execute_child(args, *options)  # type: ignore[misc]
            return
        wanted = _options.bind(self, args, *options).arguments
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            _become(module, wanted)
        self._child_created = True
        ends = [wanted[name] for name in _ENDS]
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]


_ENDS = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def _part(args: Any) -> ModuleType | None:
    """The module to run, where a fork can."""
    ours = isinstance(args, list) and args[:3] == [sys.executable, "-P", "-m"] and args[3] in PARTS
    return sys.modules[args[3]] if ours and _alone() else None


def _alone() -> bool:
    """Whether no thread does anything but this one, which alone goes on in the new process: those of asyncio wait."""
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads == 1:
        return True
    waiting = getattr(getattr(asyncio._get_running_loop(), "_default_executor", None), "_idle_semaphore", None)
    # A newer Python warns of any other thread.
    return waiting is not None and waiting._value == threads - 1 and sys.version_info < (3, 12)


def _with_modules_built(ansible_command: ModuleType) -> None:
    ansible_command.PROGRAM = modules.DOOR  # type: ignore[attr-defined]


def _become(module: ModuleType, wanted: dict[str, Any]) -> None:
    try:
        if wanted["start_new_session"]:
            os.setsid()
        for number, name in enumerate(("p2cread", "c2pwrite", "errwrite")):
            if wanted[name] != -1:
                os.dup2(wanted[name], number)
        kept = sorted(wanted["pass_fds"])
        for before, after in zip([2, *kept], [*kept, _ROOM], strict=True):
            os.closerange(before + 1, after)
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        if wanted["cwd"] is not None:
            os.chdir(wanted["cwd"])
        environment = dict(os.environ) if wanted["env"] is None else wanted["env"]
        begun.begin(module, wanted["args"][4:], environment)
        begun.show(wanted["args"], environment)
        begun.forget()
        sys.path[:] = _path
        if module.__name__.endswith(".boot"):
            subprocess.Popen = _started_by_python  # type: ignore[misc]
            after_import.after("opsbook.core.effects.ansible_command", _with_modules_built)
        begun.leave(module.main)
    finally:
        os._exit(255)
