"""Processes that listen on a port of this machine, as far as this user can see.

The services of an environment are started with OPSBOOK_SUPERVISED set to the environment's folder
(playbooks/module_utils/supervised.py). It distinguishes the services of one clone from those of another.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import psutil

MARKER = "OPSBOOK_SUPERVISED"


@dataclass(frozen=True)
class Listener:
    """A listening process. `folder` is the environment's folder from its OPSBOOK_SUPERVISED, or empty."""

    pid: int
    name: str
    folder: str

    def is_of(self, root: Path, environment: str) -> bool:
        """Whether it belongs to this environment of the project at `root`."""
        path = Path(self.folder)
        return bool(self.folder) and path.is_relative_to(root) and path.name == environment


def on(port: int) -> list[Listener] | None:
    """The processes that listen on the port, without those of other users. None if only root may list connections."""
    pids = _pids(port)
    return None if pids is None else [found for found in map(_listener, pids) if found is not None]


def of_environment(root: Path, environment: str, ports: Collection[int]) -> bool:
    """Whether all of these ports have listeners, and all listeners are of this environment."""
    return all((found := on(port)) and all(each.is_of(root, environment) for each in found) for port in ports)


def _pids(port: int) -> set[int] | None:
    try:
        found = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return None
    listening = (each for each in found if each.status == psutil.CONN_LISTEN and each.laddr)
    return {each.pid for each in listening if each.laddr.port == port and each.pid}


def _listener(pid: int) -> Listener | None:
    try:
        process = psutil.Process(pid)
        return Listener(pid, process.name(), _folder(process))
    except psutil.Error:
        return None


def _folder(process: psutil.Process) -> str:
    """OPSBOOK_SUPERVISED of the process or an ancestor: some programs overwrite their environment with their title."""
    for each in (process, *process.parents()):
        try:
            if folder := each.environ().get(MARKER):
                return str(folder)
        except (psutil.Error, OSError):
            continue
    return ""
