"""Who has a port of this machine, and the critical section in which an environment takes its ports."""

from __future__ import annotations

import pwd
import socket as sockets
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.supervised import MARKER

# In the namespace in which ports are, and gone with the process that has it: no lock that is left behind.
SECTION = "\0opsbook-platform-start"
LISTENS = "0A"
MOST_SHOWN = 80
_ORDER = sys.byteorder


@dataclass(frozen=True)
class Taken:
    """A port, and who has it. `pid` is 0 for a process of another user, of which nothing more can be seen."""

    address: str
    port: int
    pid: int
    user: str

    def __str__(self) -> str:
        if not self.pid:
            return f"port {self.port} is taken by a process of the user {self.user}"
        folder = folder_of(self.pid)
        owner = f", which belongs to {folder}" if folder else ""
        return f"port {self.port} is taken by process {self.pid} ({command_of(self.pid)}){owner}"


@contextmanager
def section(seconds: float) -> Iterator[bool]:
    """Be the only one on this machine who takes ports. False when others were busy for all that time."""
    deadline = time.monotonic() + seconds
    with sockets.socket(sockets.AF_UNIX) as lock:
        while not (held := _bound(lock)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield held


def _bound(lock: sockets.socket) -> bool:
    try:
        lock.bind(SECTION)
    except OSError:
        return False
    return True


def strangers(wanted: Iterable[tuple[str, int]], environment_folder: str) -> list[Taken]:
    """Answer which of the addresses and ports others listen on than the processes of this environment."""
    found = {each: owners for each in wanted if (owners := _listeners(*each))}
    pids = _pids({inode for owners in found.values() for inode in owners}) if found else {}
    taken = []
    for (address, port), owners in found.items():
        for inode, user in owners.items():
            pid = pids.get(inode, 0)
            if not pid or folder_of(pid) != environment_folder:
                taken.append(Taken(address, port, pid, _name(user)))
    return taken


def folder_of(pid: int) -> str:
    """Answer the folder of the environment under which a process was started; empty for none.

    Asks also whoever started it: sshd writes its title over its own variables.
    """
    while pid > 1:
        for variable in _read(pid, "environ").split("\0"):
            name, _, value = variable.partition("=")
            if name == MARKER:
                return value
        fields = _read(pid, "stat").rpartition(")")[2].split()
        pid = int(fields[1]) if len(fields) > 1 else 0
    return ""


def command_of(pid: int) -> str:
    """Answer the beginning of what was typed to start it."""
    text = " ".join(_read(pid, "cmdline").split("\0")).strip()
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _read(pid: int, name: str) -> str:
    try:
        return Path("/proc", str(pid), name).read_text(errors="replace")
    except OSError:
        return ""


def _listeners(address: str, port: int) -> dict[str, int]:
    """Who listens there: the inode of each socket, and the number of its user."""
    found = {}
    for table in ("tcp", "tcp6"):
        for line in _lines(table):
            local, state, user, inode = line[1], line[3], line[7], line[9]
            place, _, number = local.rpartition(":")
            if state == LISTENS and int(number, 16) == port and place in _places(address):
                found[inode] = int(user)
    return found


def _lines(table: str) -> list[list[str]]:
    try:
        return [line.split() for line in Path("/proc/net", table).read_text().splitlines()[1:]]
    except OSError:
        return []


def _places(address: str) -> set[str]:
    """Write an address as the kernel does, with those that include it."""
    number = sockets.inet_aton(address)
    plain = f"{int.from_bytes(number, _ORDER):08X}"
    mapped = f"{0:08X}{0:08X}{int.from_bytes(bytes.fromhex('0000ffff'), _ORDER):08X}{plain}"
    return {plain, mapped, "0" * 8, "0" * 32}


def _pids(inodes: set[str]) -> dict[str, int]:
    links = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            opened = {str(each.readlink()) for each in (folder / "fd").iterdir()}
        except OSError:
            continue
        for link in opened & links.keys():
            # A child may have inherited it: the oldest is the one that counts.
            found[links[link]] = min(int(folder.name), found.get(links[link], int(folder.name)))
    return found


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
