"""A lab: a JupyterLab process, gates for its kernels, and one folder. Nothing of it remains when it ends.

Each process has a mark in its environment: the server the lab's, a kernel and its children the kernel's.
"""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from opsbook.core.engine.process import MARK, spare, tree
from opsbook.core.engine.process.keeper import adopt_orphans
from opsbook.errors import Fault

_START_LIMIT = 60.0
_STOP_LIMIT = 10.0
"""Seconds for JupyterLab to answer, and to end its kernels."""

_LOOK = 0.05


@dataclass(frozen=True)
class LabRequest:
    """`page` is the copy: name and text. `kernel` is what the kernel is told about it. `port` 0 takes a free one.

    `gate` is the command that serves a gate, without its descriptor. `about` is the kernel's name in JupyterLab.
    """

    root: Path
    page: tuple[str, str]
    kernel: Mapping[str, Any]
    environment: str
    gate: Sequence[str]
    about: str
    port: int = 0
    keep_environment: tuple[str, ...] = ()


class Lab:
    """An open lab. `address` contains the token."""

    def __init__(self, wanted: LabRequest, private: Path) -> None:
        self.private = private
        self.token = secrets.token_urlsafe(24)
        self.port = 0
        self._wanted = wanted
        self._mark = f"lab-{secrets.token_hex(4)}"
        self._server: subprocess.Popen[bytes] | None = None
        self._gates = _Gates(private / "gates", wanted.gate)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/lab/tree/{quote(self._wanted.page[0])}?token={self.token}"

    @property
    def alive(self) -> bool:
        """Whether JupyterLab still runs: its own menu can shut it down."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> Iterator[None]:
        """Start JupyterLab; yields until it answers. Raises Fault if it does not start."""
        self._write()
        log = self.private / "server.log"
        with log.open("wb") as said:
            self._server = subprocess.Popen(
                [sys.executable, "-P", "-m", "opsbook.lab.jupyter_server"],
                env=self._environment(),
                cwd=self.private / "page",
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        order = {"port": self._wanted.port, "token": self.token}
        assert self._server.stdin is not None
        with contextlib.suppress(OSError):
            self._server.stdin.write((json.dumps(order) + "\n").encode())
            self._server.stdin.flush()
        deadline = time.monotonic() + _START_LIMIT
        while not self._answers():
            if not self.alive or time.monotonic() > deadline:
                last = log.read_text(encoding="utf-8", errors="replace").strip().split("\n")[-1]
                raise Fault(f"JupyterLab did not start: {last}.", "Run opsbook doctor, or reinstall opsbook[training].")
            yield
            time.sleep(_LOOK)

    def _answers(self) -> bool:
        """Whether the server has written its port, and listens on it."""
        for path in (self.private / "runtime").glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                self.port = int(json.loads(path.read_text(encoding="utf-8"))["port"])
                with socket.socket() as probe:
                    return probe.connect_ex(("127.0.0.1", self.port)) == 0
        return False

    def end(self) -> None:
        """End the server, its kernels and all their processes, and remove the folder."""
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(_STOP_LIMIT)
        for mark in (*self._gates.marks, self._mark):
            tree.end(os.getpid(), mark, self._server.pid if self._server else None)
        if self._server is not None:
            self._server.wait()
            assert self._server.stdin is not None
            with contextlib.suppress(OSError):
                self._server.stdin.close()
        self._gates.close()
        spare.remove(self.private)

    def _environment(self) -> dict[str, str]:
        """The server's environment: that of a run's kernel, without the user's own Jupyter settings."""
        places = {
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "XDG_CONFIG_HOME": "config",
            "OPSBOOK_LAB": "kernel.json",
        }
        return {
            **spare.environment(self.private),
            **{name: str(self.private / place) for name, place in places.items()},
            "JUPYTER_NO_CONFIG": "1",
            MARK: self._mark,
        }

    def _write(self) -> None:
        """Write the copy of the page, and the files for the kernel and Jupyter."""
        for name in ("page", "data/kernels/opsbook", "runtime", "config", "ipython"):
            (self.private / name).mkdir(mode=0o700, parents=True)
        name, text = self._wanted.page
        (self.private / "page" / name).write_text(text, encoding="utf-8")
        own = {
            "OPSBOOK_ENVIRONMENT": self._wanted.environment,
            "OPSBOOK_LAB_GATES": str(self.private / "gates"),
            "OPSBOOK_ROOT": str(self._wanted.root),
        }
        order = {
            "env": spare.environment(self.private, self._wanted.keep_environment) | own,
            "cwd": str(self._wanted.root),
            "run": self._mark,
            **self._wanted.kernel,
        }
        (self.private / "kernel.json").write_text(json.dumps(order), encoding="utf-8")
        spec = {
            "argv": [sys.executable, "-P", "-m", "opsbook.core.effects.lab", "{connection_file}"],
            "display_name": self._wanted.about,
            "language": "python",
            "metadata": {"debugger": False},
        }
        (self.private / "data/kernels/opsbook/kernel.json").write_text(json.dumps(spec), encoding="utf-8")


class _Gates:
    """Starts a gate for each kernel that connects. It is a child of this process, so that it can resolve secrets."""

    def __init__(self, path: Path, command: Sequence[str]) -> None:
        self.marks: list[str] = []
        self._command = list(command)
        self._going: list[subprocess.Popen[bytes]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._accept, name="opsbook-gates", daemon=True).start()

    def close(self) -> None:
        """Wait for the gates, which end with their kernels and remove their folders; kill those that do not."""
        self._socket.close()
        for process in self._going:
            try:
                process.wait(_STOP_LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Serve one kernel until it is gone, then end the processes it started."""
        with connection, tempfile.TemporaryFile() as said:
            # Without a buffer, so byte by byte: what follows the line is for the gate.
            with connection.makefile("rb", buffering=0) as first:
                mark = first.readline().decode(errors="replace").strip()
            self.marks.append(mark)
            process = subprocess.Popen(
                [*self._command, "--socket", str(connection.fileno())],
                pass_fds=[connection.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
            self._going.append(process)
            assert process.stdout is not None
            ready = process.stdout.readline()
            with contextlib.suppress(OSError):
                connection.sendall(b"ready\n" if ready else _why(said))
        with process.stdout:
            process.wait()
        tree.end(os.getpid(), mark)


def _why(said: Any) -> bytes:
    """The output of a gate that did not start, on one line."""
    said.seek(0)
    return b" ".join(said.read().split())[:2000] + b"\n"


@contextlib.contextmanager
def opened(wanted: LabRequest) -> Iterator[Lab]:
    """A lab in a private folder; nothing of it remains afterwards."""
    adopt_orphans()
    lab = Lab(wanted, spare.private_folder())
    try:
        yield lab
    finally:
        lab.end()
