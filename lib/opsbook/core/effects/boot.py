"""Start the kernel of a run: `python -m opsbook.core.effects.boot CONNECTION_FILE`, its order on standard input.

What differs from a kernel of JupyterLab: no start-up files and no history of the user, lib/ on the path,
every message on iopub numbered, and iopub waits for a slow reader instead of dropping output.
"""

import contextlib
import importlib
import json
import logging
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import zmq
from ipykernel import kernelapp
from ipykernel.iostream import IOPubThread, OutStream
from jupyter_client.jsonutil import json_default
from traitlets.config import Config

from opsbook.core.model.effect import IN_FLIGHT

PIECE = 256 * 1024
"""Characters a stream may collect before it is sent."""


class BoundedStream(OutStream):  # type: ignore[misc]
    """A cell that prints faster than the runner can write waits for it, instead of filling the memory."""

    flush_timeout = None
    """It waits as long as the reader does, instead of complaining of it in the output."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._waiting = 0

    def write(self, string: str) -> int | None:
        written: int | None = super().write(string)
        self._waiting += len(string)
        if self._waiting > PIECE:
            self._waiting = 0
            self.flush()
        return written


class CountedIOPub(IOPubThread):  # type: ignore[misc]
    """Adds the message's number as a last buffer, so that the runner sees a gap."""

    def __init__(self, socket: Any, **options: Any) -> None:
        super().__init__(socket, **options)
        self._sent = 0

    def _really_send(self, message: list[Any], *args: Any, **options: Any) -> None:
        self._sent += 1
        super()._really_send([*message, self._sent.to_bytes(8, "big")], *args, **options)


class App(kernelapp.IPKernelApp):  # type: ignore[misc]
    """Its iopub waits for a slow reader. A limit that is set after a socket is bound says nothing."""

    def _bind_socket(self, s: Any, port: int) -> Any:
        if s.type == zmq.XPUB:
            s.setsockopt(zmq.XPUB_NODROP, 1)
            s.setsockopt(zmq.SNDHWM, IN_FLIGHT)
        return super()._bind_socket(s, port)


def pack(message: Any) -> bytes:
    """JSON of a message. Half a surrogate in one print must not lose all that was printed with it."""
    return json.dumps(message, default=json_default, ensure_ascii=False, allow_nan=False).encode(
        "utf-8", errors="replace"
    )


def main() -> None:
    """Get ready, wait for the order, and serve until the keeper ends this process."""
    kernelapp.IOPubThread = CountedIOPub
    config = Config()
    config.HistoryManager.enabled = False
    config.IPKernelApp.quiet = True
    config.IPKernelApp.outstream_class = "opsbook.core.effects.boot.BoundedStream"
    config.IPKernelApp.capture_fd_output = False  # what children write goes to the runner's own pipe, once
    config.Session.packer = "opsbook.core.effects.boot.pack"
    config.InteractiveShellApp.ignore_cwd = True  # a queue.py in the project must not stand for Python's
    config.InteractiveShellApp.exec_PYTHONSTARTUP = False
    app = App.instance(config=config, connection_file=sys.argv[1], log_level=logging.CRITICAL)
    app.initialize([])
    _obey()
    app.start()


def _obey() -> None:
    """Take the order from standard input: the environment and the folder of the run."""
    with socket.socket(fileno=0) as orders:
        data = b""
        while not data.endswith(b"\n"):
            # The descriptor that comes along keeps the run's journal locked for as long as this process lives.
            piece, held, _, _ = socket.recv_fds(orders, 65536, 4)
            for descriptor in held:
                os.set_inheritable(descriptor, False)
            if not piece:
                sys.exit(0)
            data += piece
        orders.detach()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    order = json.loads(data)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    sys.path.insert(0, str(Path(order["env"]["OPSBOOK_ROOT"]) / "lib"))
    threading.Thread(target=_import, args=(order["imports"],), daemon=True).start()


def _import(names: list[str]) -> None:
    """Import what the page's effects will need while its first cells run. Whoever needs it says what is wrong."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


if __name__ == "__main__":
    main()
