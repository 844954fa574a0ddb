"""What the supervisor modules share: the XML-RPC client and the processes of one environment."""

from __future__ import annotations

import os
import signal
import socket as sockets
import time
from pathlib import Path
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

# Every process below supervisord inherits this variable: it tells them from a neighbour's
# processes even when supervisord itself died and left no record of its children.
MARKER = "OPSBOOK_SUPERVISED"

STOPPED_STATES = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})
ALIVE_STATES = frozenset({"STARTING", "RUNNING"})


def connect(socket: str) -> ServerProxy | None:
    """Answer a client of the supervisord behind the socket, or None when nobody takes orders there."""
    server = ServerProxy("http://localhost", SupervisorTransport(None, None, f"unix://{socket}"))
    try:
        server.supervisor.getState()
    except (OSError, Fault):
        # A supervisord that is shutting down answers every call with a fault.
        return None
    return server


def processes_of(environment_folder: str) -> list[int]:
    """Answer the process numbers of everything that was started under this environment."""
    wanted = f"{MARKER}={environment_folder}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in variables:
            found.append(int(folder.name))
    return found


def end_processes(environment_folder: str, patience: float) -> bool:
    """End what is left of an environment; false when something withstands even SIGKILL."""
    # Of the signals all of them take as "finish and go", PostgreSQL ends without waiting for
    # its clients on SIGINT only.
    for number in (signal.SIGINT, signal.SIGKILL):
        for pid in processes_of(environment_folder):
            _signal(pid, number)
        if wait_for_end(environment_folder, patience):
            return True
    return False


def wait_for_end(environment_folder: str, patience: float, socket: str = "") -> bool:
    """Wait until no process of the environment is left."""
    deadline = time.monotonic() + patience
    while processes_of(environment_folder):
        if time.monotonic() > deadline:
            return False
        if socket:
            nudge(socket)
        time.sleep(0.05)
    return True


def nudge(socket: str) -> None:
    """Wake supervisord, which otherwise looks after its children once a second."""
    with sockets.socket(sockets.AF_UNIX) as client:
        client.connect_ex(socket)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
