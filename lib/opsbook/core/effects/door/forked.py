"""What ansible-runner starts: it has the playbook run in a process forked from `ansible_server.py`, and ends as that.

Usage: python -I -S forked.py SOCKET PYTHON PROGRAM ARGUMENT… Where no server answers, or its Ansible was started with
other settings, it becomes PYTHON PROGRAM ARGUMENT… It imports nothing that takes time: each playbook waits for it.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import posix
import sys
from marshal import dumps

_ROOM = 64


def main() -> None:
    place, *command = sys.argv[1:]
    server = _asked(place, command[1:])
    if server is None:
        posix.execv(command[0], command)
    else:
        _wait(*server)


def _asked(place: str, arguments: list[str]) -> "tuple[_socket.socket, int] | None":
    """The connection, and the process that runs the playbook; None if the server is not there or refuses."""
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    mask = posix.umask(0o077)
    posix.umask(mask)
    asked = posix.memfd_create("request")
    posix.write(asked, dumps((arguments, posix.environ, posix.getcwdb(), mask)))
    streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2, asked))
    try:
        server.connect(place)
        if not server.recv(_ROOM):
            return None
    except OSError:
        return None
    # From here on, the playbook may have begun: nobody else may run it.
    answer = b""
    try:
        server.sendmsg([b"run"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
        answer = server.recv(_ROOM)
    except OSError:
        pass
    if not answer:
        posix.kill(posix.getpid(), _signal.SIGKILL)
    return None if answer == b"no" else (server, int(answer))


def _wait(server: "_socket.socket", playbook: int) -> None:
    """End as the playbook's process does. What ends this process ends that one: the server sees its connection end."""

    def ended(number: int, _: object) -> None:
        posix.kill(playbook, number)

    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, ended)
    told = b""
    try:
        told = server.recv(_ROOM)
    except OSError:
        pass
    if not told:
        # The server was killed, and nobody else ends what it forked.
        for kill in (posix.killpg, posix.kill):
            try:
                kill(playbook, _signal.SIGKILL)
            except OSError:
                pass
    code = int(told or -_signal.SIGKILL)
    if code < 0:
        if -code != _signal.SIGKILL:
            _signal.signal(-code, _signal.SIG_DFL)
        posix.kill(posix.getpid(), -code)
    posix._exit(code)


main()
