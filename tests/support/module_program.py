"""What Ansible starts as a module's Python: it has the module run in a process forked from `module_server.py`.

Usage: module_program.py SOCKET INTERPRETER [SCRIPT]. Without SCRIPT the module comes as the input: Ansible sends it so
where it pipelines, which saves a folder for each task. It imports nothing that takes time: it is all that a task costs.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import posix
import sys
from marshal import dumps

_STRANGE = (b"PYTHONHOME", b"PYTHONPATH", b"PYTHONWARNINGS", b"COVERAGE_PROCESS_CONFIG")
"""Variables that an interpreter reads when it starts, and a process that was forked cannot."""


def main() -> None:
    place, interpreter, *arguments = sys.argv[1:]
    server = None if _strange(arguments) else _asked(place, *arguments)
    if server is None:
        posix.execv(interpreter, [interpreter, *arguments])
    else:
        _end_like(server.recv(64))


def _strange(arguments: list[str]) -> bool:
    module = arguments[0].endswith(".py") if len(arguments) == 1 else not arguments and not posix.isatty(0)
    return not module or any(posix.environ.get(name) for name in _STRANGE)


def _asked(place: str, script: str = "") -> "_socket.socket | None":
    """Ask for the module; the connection if it runs, nothing if the server is not there for it."""
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    ignored = [number for number in range(1, _signal.NSIG) if _signal.getsignal(number) == _signal.SIG_IGN]
    try:
        server.connect(place)
        _pass_on(server)
        mask = posix.umask(0)
        posix.umask(mask)
        asked = posix.memfd_create("request")
        posix.write(asked, dumps((script, posix.environ, posix.getcwdb(), mask, ignored)))
        fds = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2, asked))
        server.sendmsg([b"run"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
        return server if server.recv(64) == b"yes" else None
    except OSError:
        return None


def _pass_on(server: "_socket.socket") -> None:
    """What ends this process ends the other one, too."""

    def ended(number: int, _: object) -> None:
        server.send(b"%d" % number)
        _die(number)

    for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM):
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, ended)


def _end_like(told: bytes) -> None:
    """End as the module has ended: with its exit code, or by the signal, below zero. Nothing is said if all is gone."""
    code = int(told or -_signal.SIGKILL)
    if code < 0:
        _die(-code)
    posix._exit(code)


def _die(number: int) -> None:
    if number != _signal.SIGKILL:
        _signal.signal(number, _signal.SIG_DFL)
    posix.kill(posix.getpid(), number)


main()
