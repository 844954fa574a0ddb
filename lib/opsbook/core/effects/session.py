"""Session mode: the page is open in JupyterLab, without a run.

The gate is a separate process beside the kernel, with the same code as in a run. Effects that change anything are
allowed only in an environment marked sandbox: true. In a lab (`opsbook lab`), the lab starts the gate, since it knows
more than the kernel; elsewhere this kernel starts it.
"""

import datetime
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opsbook.errors import EffectRefused
from opsbook.params import Secret

_REPLAY = "OPSBOOK_REPLAY"
"""Variable with the path of the recording that this kernel replays."""

_keep: list["subprocess.Popen[bytes]"] = []

begun: set[str] | None = None
"""Steps with a cell that ran; None outside a lab, where this is not known."""

_TYPES = (str, int, float, bool, datetime.date)

parameters: Sequence[str] = ()
"""Names of the page's parameters."""


def values() -> dict[str, Any]:
    """The page's parameters as they are now, as somebody would type them, without secrets; the gate checks them."""
    if not parameters:
        return {}
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    known = shell.user_ns if shell is not None else {}
    return {name: _typed(known[name]) for name in parameters if name in known and not isinstance(known[name], Secret)}


def _typed(value: object) -> Any:
    """The text of a value; null for what nobody can type, which no required parameter takes."""
    if isinstance(value, list | tuple):
        return [str(item) for item in value] if all(isinstance(item, _TYPES) for item in value) else None
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, _TYPES) else None


def connect() -> socket.socket:
    """Connect to a gate for this kernel. The gate ends with the kernel, when the socket closes."""
    path = os.environ.get("OPSBOOK_LAB_GATES")
    return _from_lab(path) if path else _own()


def _from_lab(path: str) -> socket.socket:
    """Ask the lab for a gate, with the OPSBOOK_RUN of this kernel."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
        connection.sendall(f"{os.environ['OPSBOOK_RUN']}\n".encode())
        said = b""
        while not said.endswith(b"\n") and (piece := connection.recv(1)):
            said += piece
    except OSError as error:
        raise EffectRefused("the lab has ended; start it again with opsbook lab") from error
    if said != b"ready\n":
        raise EffectRefused(f"the lab has no gate for this notebook: {said.decode(errors='replace').strip()}")
    return connection


def replay(recording: str) -> None:
    """Answer every effect of this notebook from a recording, a file beside the notebook. No real effect happens.

    As in a run, cells run in the project's folder, with lib/ on the path. Raises FileNotFoundError.
    """
    if Path(os.environ.get(_REPLAY, "")).name == recording:
        # The cell runs again; its first run left the notebook's folder.
        return
    path = Path(recording).resolve(strict=True)
    root = next((folder for folder in path.parents if (folder / "runbooks").is_dir()), Path.cwd())
    os.environ[_REPLAY] = str(path)
    os.chdir(root)
    sys.path.insert(0, str(root / "lib"))


def _own() -> socket.socket:
    global parameters  # noqa: PLW0603  (the gate knows the page)
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "opsbook.cli.main", "session", "--socket", str(theirs.fileno())]
    options = {"OPSBOOK_ENVIRONMENT": "--environment", _REPLAY: "--replay", "JPY_SESSION_NAME": "--notebook"}
    command += [f"{option}={os.environ[name]}" for name, option in options.items() if os.environ.get(name)]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
        theirs.close()
        assert process.stdout is not None
        ready = process.stdout.readline().decode().split()
        if not ready:
            ours.close()
            said.seek(0)
            raise EffectRefused(
                f"no gate could be started in {Path.cwd()}: {said.read().decode(errors='replace').strip()}"
            )
    parameters = ready[1:]
    _keep.append(process)
    return ours
