"""Ansible's modules on this machine: each runs in a process forked from one that has imported Python's own library.

Ansible gives a module to a Python as its standard input. Most of what a small module takes is the import of parts of
the standard library. This process has imported them, and nothing else: what modules share comes with each.

Only what would run in this same Python, as this user and without variables of the task, runs here. Everything else, and
what the client of this process is refused, runs as Ansible runs it.
"""

import contextlib
import gc
import importlib
import random
import shlex
import signal
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opsbook.core.effects.ansible_command import at_start
from opsbook.core.effects.fork_server import ForkServer

_NAMES = (
    *("argparse", "ast", "base64", "collections.abc", "copy", "ctypes", "dataclasses", "datetime", "decimal", "enum"),
    *("fcntl", "functools", "gettext", "glob", "grp", "hashlib", "importlib.util", "inspect", "io", "ipaddress"),
    *("itertools", "json", "locale", "logging", "operator", "os", "pathlib", "pkgutil", "platform", "pwd", "queue"),
    *("random", "re", "runpy", "select", "selectors", "shlex", "shutil", "signal", "socket", "stat", "string"),
    *("struct", "subprocess", "syslog", "tempfile", "textwrap", "threading", "time", "traceback", "types", "typing"),
    *("unicodedata", "urllib.parse", "uuid", "warnings", "weakref", "zipfile", "zipimport"),
)
"""What modules import of the standard library."""

_running: list["subprocess.Popen[bytes]"] = []
"""It ends with the last end of its input, which must stay open."""

_PROGRAM = "from opsbook.core.effects.ansible_modules import serve; serve()"
_CLIENT = Path(__file__).parent / "door" / "forked.py"


def start(place: Path) -> None:
    """Start the process, and let the playbooks that are forked from this one use it; it ends with this one."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        place.unlink(missing_ok=True)
        listening.bind(str(place))
        listening.listen()
        # As Python would run what it reads: its first place to look for modules is the folder in which it runs.
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(listening.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )
        _running.append(process)
        _install(place)


def _install(place: Path) -> None:
    """Have Ansible give modules for this Python to the client instead of to this Python."""
    import ansible
    from ansible.plugins.action import ActionBase

    own = Path(ansible.__file__).with_name("plugins") / "connection" / "local.py"
    ours = shlex.join([sys.executable, "-I", "-S", str(_CLIENT), str(place), sys.executable])
    execute = ActionBase._low_level_execute_command

    def executed(self: Any, cmd: str, *arguments: Any, in_data: Any = None, **named: Any) -> Any:
        connection = self._connection
        here = connection.transport == "local" and not connection.become
        # A project may have a connection of its own under this name.
        if in_data and here and cmd.strip() == sys.executable and _file_of(connection) == str(own):
            cmd = ours
        return execute(self, cmd, *arguments, in_data=in_data, **named)

    ActionBase._low_level_execute_command = executed


def _file_of(plugin: object) -> str:
    return str(getattr(sys.modules.get(type(plugin).__module__), "__file__", ""))


def serve() -> None:
    """Fork a process for each module, until the process that has started this one is gone."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    for name in _NAMES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    gc.collect()
    gc.freeze()
    ForkServer(listening, 0, _state, _module).serve()


def _state(environment: Mapping[str, str], _folder: bytes) -> object:
    """What Python has read of its environment."""
    return at_start(environment)


def _module() -> None:
    """Do what Python does with a program that it reads."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "opsbook"]:
        del sys.modules[name]
    random.seed()
    sys.argv = [""]
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    program = compile(sys.stdin.buffer.read(), "<stdin>", "exec")
    try:
        exec(program, vars(main))  # noqa: S102  (it is what Ansible has made, for this Python)
    except Exception as error:
        behind = error.__traceback__.tb_next if error.__traceback__ else None
        sys.excepthook(type(error), error, behind)
        raise SystemExit(1) from None
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
