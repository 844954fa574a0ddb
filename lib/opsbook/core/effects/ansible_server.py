"""Ansible, imported once for a run: each playbook runs in a process that is forked from this one.

Its descriptor 0 is the socket on which `door/forked.py` asks; its input from the kernel ends when that is gone. What
Ansible reads while it is imported (variables, ansible.cfg, the folder) must be the same for the playbook: if it is not,
the answer is no, and a new process imports Ansible for it.
"""

import atexit
import contextlib
import gc
import importlib
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from opsbook.core.effects import ansible_ahead, ansible_modules, ansible_payload
from opsbook.core.effects.ansible_command import at_start
from opsbook.core.effects.fork_server import ForkServer, wait_for_end

_NAMES = (
    "ansible.cli.playbook",
    "ansible.executor.process.worker",
    "ansible.executor.task_executor",
    "ansible.module_utils.connection",
    "ansible.playbook.handler_task_include",
    "ansible.playbook.included_file",
    "ansible.playbook.role_include",
    "ansible.plugins.action",
    "ansible.plugins.callback",
    "ansible.plugins.connection",
    "ansible.plugins.inventory",
    "ansible.plugins.shell",
    "ansible.plugins.strategy",
    "ansible.utils.hashing",
    "multiprocessing.popen_fork",
    "multiprocessing.resource_tracker",
    "multiprocessing.synchronize",
    "opsbook.core.effects.check_judge",
    "pty",
    "tomllib",
    "xml.dom.minidom",
)
"""What a playbook needs. No single plugins: a project may have its own under the same name."""

_PATIENCE = 8.0
"""Seconds to wait for the end of modules whose playbook was killed."""


def serve(listening: socket.socket, run: Callable[[], None]) -> None:
    """Fork a process that calls `run` for each client, until the kernel is gone, which holds the other end of input."""
    for name in _NAMES:
        # Other versions of Ansible may have fewer parts; a playbook says what it misses.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from ansible import constants

    # What it said belongs to each playbook, and a log that is open to all would be closed for each.
    if os.fstat(2).st_size or constants.DEFAULT_LOG_PATH:
        return
    ansible_payload.install()
    modules = Path(f"{listening.getsockname()}-m")
    ansible_modules.start(modules)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = ForkServer(listening, 0, _state, lambda: _playbook(run))
    reading = _Ahead()
    server.after_fork = reading.read
    server.also_ended = lambda: wait_for_end(str(modules), _PATIENCE)
    ansible_payload.read()
    if not server.waited_for():
        reading.read()
    server.serve()


class _Ahead:
    """Does once what each playbook would do: before the first one, or beside it if it waits already."""

    def __init__(self) -> None:
        self._has_read = False

    def read(self) -> None:
        if self._has_read:
            return
        self._has_read = True
        # A playbook may run already, and must not end with what fails here: it meets that by itself.
        with contextlib.suppress(Exception):
            ansible_ahead.read()
        gc.collect()
        gc.freeze()


def _state(environment: Mapping[str, str], folder: bytes) -> object:
    """What Ansible has read when it is imported with this environment and folder."""
    from ansible.config.manager import find_ini_config_file

    config = find_ini_config_file()
    status = Path(config).stat() if config else None
    file = (config, status.st_mtime_ns, status.st_ino, status.st_size) if status else None
    return at_start(environment), folder, file


def _playbook(run: Callable[[], None]) -> None:
    """Run a playbook in a process that was forked for it."""
    Path("/proc/self/comm").write_text("ansible-playbook", encoding="ascii")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    _anew()
    run()


def _anew() -> None:
    """What is made when Ansible is imported: a folder for temporary files, removed at the end, and a random number."""
    from ansible import constants
    from ansible.utils import vars as ids

    ids.random_int = f"{random.getrandbits(32):08x}"

    atexit._clear()
    # Its default names other settings.
    own = constants.config.get_config_value("DEFAULT_LOCAL_TMP", variables=vars(constants))
    constants.DEFAULT_LOCAL_TMP = own
