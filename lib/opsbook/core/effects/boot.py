"""Start the kernel of a run: `python -m opsbook.core.effects.boot CONNECTION_FILE`, with its order on stdin.

Differences from a kernel of JupyterLab: no start-up files and no history of the user, lib/ on the path,
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
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from typing import Any

import zmq
from ipykernel import kernelapp
from ipykernel.iostream import IOPubThread, OutStream
from jupyter_client.jsonutil import json_default
from traitlets.config import Config

from opsbook.core.effects.page_lines import PageCompiler, PageKernel
from opsbook.core.model.effect import IN_FLIGHT

PIECE = 256 * 1024
"""Characters that a stream may buffer before it is sent."""


class BoundedStream(OutStream):  # type: ignore[misc]
    """Makes a cell that prints faster than the runner can write wait, instead of filling the memory."""

    flush_timeout = None
    """Wait without a limit, instead of printing a warning into the output."""

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
    """Adds the message's number as an extra buffer, so that the runner detects lost messages.

    It also welcomes a reader whose subscription arrives during a send. ZeroMQ signals a new message once, and a send
    takes that signal: ipykernel would not see the subscription, and the runner would wait for its welcome forever.
    """

    def __init__(self, socket: Any, **options: Any) -> None:
        super().__init__(socket, **options)
        self._sent = 0

    def _really_send(self, message: list[Any], *args: Any, **options: Any) -> None:
        self._sent += 1
        super()._really_send([*message, self._sent.to_bytes(8, "big")], *args, **options)
        self._see_subscriptions()

    def _see_subscriptions(self) -> None:
        if self.closed or not self._is_master_process():
            return
        with contextlib.suppress(zmq.ZMQError):  # closed meanwhile, by another thread
            if self.socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                self._xpub_stream.flush(zmq.POLLIN)


class App(kernelapp.IPKernelApp):  # type: ignore[misc]
    """A kernel whose iopub waits for a slow reader. The limits must be set before the socket is bound."""

    def _bind_socket(self, s: Any, port: int) -> Any:
        if s.type == zmq.XPUB:
            s.setsockopt(zmq.XPUB_NODROP, 1)
            s.setsockopt(zmq.SNDHWM, IN_FLIGHT)
        return super()._bind_socket(s, port)


def pack(message: Any) -> bytes:
    """JSON of a message. A lone surrogate is replaced, so that the rest of the output is not lost."""
    return json.dumps(message, default=json_default, ensure_ascii=False, allow_nan=False).encode(
        "utf-8", errors="replace"
    )


def main() -> None:
    """Initialize, wait for the order, and serve until the keeper ends this process."""
    kernelapp.IOPubThread = CountedIOPub
    _without_debugger()
    config = Config()
    config.HistoryManager.enabled = False
    config.IPKernelApp.quiet = True
    config.IPKernelApp.outstream_class = "opsbook.core.effects.boot.BoundedStream"
    config.IPKernelApp.capture_fd_output = False  # output of children goes to the runner's pipe, once
    config.Session.packer = "opsbook.core.effects.boot.pack"
    config.InteractiveShellApp.ignore_cwd = True  # a queue.py in the project must not shadow Python's
    config.InteractiveShellApp.exec_PYTHONSTARTUP = False
    config.IPKernelApp.kernel_class = PageKernel
    app = App.instance(config=config, connection_file=sys.argv[1], log_level=logging.CRITICAL)
    app.initialize([])
    app.shell.compile = PageCompiler()
    order = _receive_order()
    # In a page, `time: float = 1.0` is a parameter.
    app.shell.automagic = order["magics"]
    app.start()


def _without_debugger() -> None:
    """Nobody can debug a cell of a run, and a debugger takes long to load. Cells may load it."""
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    importlib.import_module("ipykernel.debugger")
    del sys.modules["debugpy"]


def _receive_order() -> dict[str, Any]:
    """Receive the order on stdin, and take the environment and the folder of the run from it."""
    with socket.socket(fileno=0) as orders:
        data = b""
        while not data.endswith(b"\n"):
            # The descriptor with the order keeps the run's journal locked as long as this process lives.
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
    _import_sources(Path(order["env"]["OPSBOOK_ROOT"]) / "lib")
    sys.path.extend(order["path"])
    threading.Thread(target=_import, args=(order["imports"],), daemon=True).start()
    return dict(order)


class _SourceLoader(SourceFileLoader):
    """Reads no bytecode: what lies beside a helper may be of another text."""

    def get_data(self, path: str) -> bytes:
        """The content of a source. Raises OSError for bytecode."""
        if path.endswith(".pyc"):
            raise FileNotFoundError(path)
        return super().get_data(path)


def _import_sources(folder: Path) -> None:
    """Put a folder of helpers on the path, of which only the sources count."""

    def finder(path: str) -> FileFinder:
        if not Path(path).is_relative_to(folder):
            raise ImportError(path)
        return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_SourceLoader, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, finder)
    sys.path.insert(0, str(folder))


def _import(names: list[str]) -> None:
    """Import modules for the page's effects while its first cells run. A later import reports errors."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if "ansible_runner" in names:
        # The playbook says what is wrong.
        with contextlib.suppress(Exception):
            start = importlib.import_module("opsbook.core.effects.ansible_start")
            importlib.import_module("opsbook.core.effects.ansible").begin(check=start.in_check())


if __name__ == "__main__":
    main()
