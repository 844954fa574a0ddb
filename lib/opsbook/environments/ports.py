"""The ports of an environment on this machine, and other blocks for this clone."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from opsbook.core.model.environment import BLOCK, checked_block
from opsbook.core.planning import environment as environments
from opsbook.core.planning.context import clone_id
from opsbook.errors import InputError
from opsbook.settings import Settings

_HIGHEST = 32700
"""The last block to search: from 32768 on, Linux uses ports for outgoing connections."""


@dataclass(frozen=True)
class Block:
    """The ports of an environment in this clone. `written` is the block in environment.yml; `clone` identifies this
    copy of the project on the machine."""

    environment: str
    clone: str
    first: int
    written: int
    urls: dict[str, str]

    @property
    def last(self) -> int:
        return self.first + BLOCK - 1


def block(settings: Settings, name: str) -> Block:
    """The block of an environment. Raises InputError if it has none."""
    written = _written(settings, name)
    policy = environments.load(settings, name).policy
    return Block(name, clone_id(settings.root), policy.ports or written, written, dict(policy.urls))


def give(settings: Settings, name: str, first: int) -> Block:
    """Give this clone another block. Raises InputError for an invalid or taken block, and outside a sandbox."""
    _check_movable(settings, name)
    try:
        checked_block(first)
    except ValueError as error:
        raise InputError(f"{first} cannot be taken: {error}.", f"opsbook env ports {name} --free finds one.") from error
    if other := next((each for each, taken in _others(settings, name) if taken == first), None):
        raise InputError(f"{other} has the ports from {first} on.", f"opsbook env ports {name} --free finds others.")
    environments.keep_ports(settings, name, first)
    return block(settings, name)


def free(settings: Settings, name: str) -> Block:
    """Keep the block if nobody else listens there, or take the first free one. Raises InputError."""
    _check_movable(settings, name)
    present = block(settings, name)
    others = [first for _, first in _others(settings, name)]
    if _usable(settings, name, present.first) and present.first not in others:
        return present
    blocks = (first for first in _candidates(present.written) if first not in others)
    found = next((first for first in blocks if not any(map(_listens, range(first, first + BLOCK)))), None)
    if found is None:
        raise InputError(f"No block of {BLOCK} ports is free.", "End something that listens, or name a block.")
    return give(settings, name, found)


def reset(settings: Settings, name: str) -> Block:
    """Go back to the block in environment.yml. Raises InputError if it has none."""
    _check_movable(settings, name)
    environments.forget_ports(settings, name)
    return block(settings, name)


def _written(settings: Settings, name: str) -> int:
    written = environments.load_as_written(settings, name).ports
    if written is None:
        hint = f"Write `ports: 18100` into playbooks/inventories/{name}/environment.yml."
        raise InputError(f"{name} has no ports of its own.", hint)
    return written


def _check_movable(settings: Settings, name: str) -> None:
    _written(settings, name)
    if not environments.load_as_written(settings, name).sandbox:
        raise InputError(f"{name} is no sandbox: its ports are what environment.yml says.", "Change them there.")


def _others(settings: Settings, name: str) -> Iterable[tuple[str, int]]:
    """The blocks of the other environments here, without broken ones."""
    for other in environments.every(settings)[0]:
        if other.name != name and other.policy.ports is not None:
            yield other.name, other.policy.ports


def _candidates(written: int) -> Iterable[int]:
    yield from range(written, _HIGHEST + 1, BLOCK)
    yield from range(checked_block(10000), min(written, _HIGHEST), BLOCK)


def _usable(settings: Settings, name: str, first: int) -> bool:
    """Whether all listeners in the block belong to this environment."""
    taken = [on(port) for port in range(first, first + BLOCK) if _listens(port)]
    return all(found and all(each.is_of(settings.root, name) for each in found) for found in taken)


def _listens(port: int) -> bool:
    """Whether the port is taken at any address of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


# -- who listens on a port, as far as this user can see


MARKER = "OPSBOOK_SUPERVISED"
"""The services of an environment are started with its folder in it (playbooks/module_utils/supervised.py): so those of
one clone are told from those of another."""


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
    try:
        found = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return None
    listening = (each for each in found if each.status == psutil.CONN_LISTEN and each.laddr)
    pids = {each.pid for each in listening if each.laddr.port == port and each.pid}
    return [listener for listener in map(_listener, pids) if listener is not None]


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
