"""The keeper: starts the kernel, and ends the whole tree when the runner or the kernel is gone.

It runs in its own session and adopts every orphan below it, so that no process outlives the run:
ansible-playbook, for example, starts its own session and ignores SIGHUP.

Its arguments are the run's id, the run's private folder and the descriptor for the kernel's output. Its
standard input is a socket: one JSON order for the kernel, with its descriptors, then lines: `interrupt`, `end`.
The end of that socket means that the runner is gone. It writes JSON lines:
{"kernel": pid}, {"exited": code}, {"left": n}.
"""

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsbook.core.engine.process import MARK, spare

if TYPE_CHECKING:
    import psutil

_LOOK = 1.0  # seconds between two scans of the processes below the kernel
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux's prctl(2)


def main() -> None:
    """Serve one kernel until it ends, or the runner ends it or is gone."""
    run, private, output = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    ours, theirs = socket.socketpair()
    # Start it first: it takes longest, and this process does its own imports meanwhile.
    kernel = subprocess.Popen(
        [sys.executable, "-P", "-m", "opsbook.core.effects.boot", str(private / "connection.json")],
        env={**os.environ, MARK: run},
        stdin=theirs.fileno(),
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    theirs.close()
    os.close(output)
    from opsbook.core.engine.process import tree

    adopt_orphans()
    wake = _signals()
    _tell({"kernel": kernel.pid})
    with socket.socket(fileno=os.dup(0)) as orders:
        order, keep, rest = spare.receive(orders)
    seen: list[psutil.Process] = []
    if order is not None:
        with contextlib.suppress(OSError):
            socket.send_fds(ours, [(json.dumps(order) + "\n").encode()], keep)
        seen = _serve(kernel, wake, rest)
    left = tree.end(os.getpid(), run, kernel.pid, seen=seen, adopted=True)
    kernel.poll()
    spare.remove(private)
    _tell({"left": left})


def adopt_orphans() -> None:
    """Make this process the parent of every orphan below it (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def _signals() -> int:
    """Turn signals into bytes on a pipe; returns its read end."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    return reading


def _serve(kernel: "subprocess.Popen[bytes]", wake: int, rest: bytes) -> "list[psutil.Process]":
    """Return when the kernel has ended, or the runner ends it or is gone.

    Returns the processes last seen below the kernel. A program with a new environment (as from sudo) does not carry
    the run's id, and after a kill of the kernel it is no longer the kernel's child.
    """
    from opsbook.core.engine.process import tree

    seen: list[psutil.Process] = []
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        pending = rest
        while True:
            if kernel.poll() is not None:
                _tell({"exited": kernel.returncode})
                return seen
            *lines, pending = pending.split(b"\n")
            for line in lines:
                if line == b"interrupt":
                    kernel.send_signal(signal.SIGINT)
                elif line == b"end":
                    return seen
            ready = {key.fd for key, _ in selector.select(_LOOK)}
            if not ready:
                seen = tree.below(kernel.pid)
            if wake in ready and signal.SIGTERM in os.read(wake, 4096):
                return seen
            if 0 in ready:
                piece = b""
                with contextlib.suppress(ConnectionError):
                    piece = os.read(0, 65536)
                if not piece:
                    return seen
                pending += piece


def _tell(message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        os.write(1, (json.dumps(message) + "\n").encode())


if __name__ == "__main__":
    main()
