"""Session mode: the page was opened in JupyterLab, and there is no run.

The gate is then a process of its own beside the kernel, with the same code as in a run. Effects that
change anything are allowed only in an environment marked sandbox: true.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

from opsbook.errors import EffectRefused

_keep: list["subprocess.Popen[bytes]"] = []


def connect() -> socket.socket:
    """Start a gate for this kernel; it ends with the kernel, when its socket closes."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "opsbook.cli.main", "session", "--socket", str(theirs.fileno())]
    environment = os.environ.get("OPSBOOK_ENVIRONMENT")
    if environment:
        command += ["--environment", environment]
    process = subprocess.Popen(
        command,
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    theirs.close()
    assert process.stdout is not None
    ready = process.stdout.readline()
    if not ready:
        raise EffectRefused(f"no gate could be started in {Path.cwd()}; opsbook env list, run there, says why")
    _keep.append(process)
    return ours
