"""A keeper and kernel that start early and wait for an order.

Starting a kernel takes longer than anything else before a run, so it starts while the runner still reads the page.
This module imports as little as possible, to save that time. A spare without an order ends by itself, and removes
its private folder, when the process that started it ends.
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsbook.errors import Fault

_PASSED = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR", "XDG_RUNTIME_DIR")
_PASSED_ALSO = ("SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV")
_PREFIXES = ("LC_", "ANSIBLE_", "COVERAGE_")
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Spare:
    """`control` takes the order and later commands; from `raw` comes what the kernel writes past IPython."""

    run: str
    private: Path
    connection: dict[str, Any]
    keeper: "subprocess.Popen[bytes]"
    control: socket.socket
    raw: int

    @property
    def runbook(self) -> str:
        return self.run.partition("-")[2].rpartition("-")[0]

    def order(self, order: dict[str, Any], keep: int | None) -> None:
        """Send the kernel its order; `keep` is a descriptor that stays open as long as any process of the run lives."""
        line = (json.dumps(order) + "\n").encode()
        socket.send_fds(self.control, [line], [keep] if keep is not None else [])


_waiting: Spare | None = None


def new_run(runbook: str) -> str:
    """A new run id; that of the prepared spare, if there is one for this runbook."""
    if _waiting is not None and _waiting.runbook == runbook:
        return _waiting.run
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{runbook}-{''.join(secrets.choice(_LETTERS) for _ in range(4))}"


def prepare(runbook: str) -> None:
    """Start a spare for a run that will probably follow."""
    global _waiting  # noqa: PLW0603  (one command runs one runbook)
    with contextlib.suppress(Fault, OSError):
        _waiting = start(new_run(runbook))


def take(run: str) -> Spare:
    """The prepared spare for this run, or a new one."""
    global _waiting
    if _waiting is not None and _waiting.run == run and _waiting.keeper.poll() is None:
        found, _waiting = _waiting, None
        return found
    abandon()
    return start(run)


def abandon() -> None:
    """Drop an unused spare. It ends by itself; this does not wait for it."""
    global _waiting
    found, _waiting = _waiting, None
    if found is not None:
        found.control.close()
        os.close(found.raw)
        assert found.keeper.stdout is not None
        found.keeper.stdout.close()
        if found.keeper.poll() is not None:
            # It was killed: its kernel is an orphan, and may still write.
            from opsbook.core.engine.process import tree

            tree.end(1, found.run)
            remove(found.private)
        found.keeper.returncode = 0  # or Python would warn that the child still runs


def start(run: str) -> Spare:
    """Start a keeper, which starts a kernel. Raises Fault if there is no folder for its sockets."""
    private = private_folder()
    connection = _connection(private)
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    try:
        keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "opsbook.core.engine.process.keeper", run, str(private), str(writing)],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            stderr=writing,
            pass_fds=[writing],
            start_new_session=True,
            env=environment(private),
        )
    except OSError:
        remove(private)
        ours.close()
        os.close(reading)
        raise
    finally:
        theirs.close()
        os.close(writing)
    return Spare(run, private, connection, keeper, ours, reading)


def environment(private: Path, keep: tuple[str, ...] = ()) -> dict[str, str]:
    """The caller's environment as the kernel gets it: the usual variables, and those named in `keep`."""
    names = (*_PASSED, *_PASSED_ALSO, *keep)
    passed = {name: os.environ[name] for name in names if name in os.environ}
    passed |= {name: value for name, value in os.environ.items() if name.startswith(_PREFIXES)}
    return passed | {
        "IPYTHONDIR": str(private / "ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def private_folder() -> Path:
    """A new folder only this user can read, with a path short enough for sockets, in memory if possible."""
    places = [os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm", tempfile.gettempdir()]  # noqa: S108  (mkdtemp makes it 0700)
    for place in places:
        if place and os.access(place, os.W_OK | os.X_OK) and len(place) < 60:
            return Path(tempfile.mkdtemp(prefix="opsbook-", dir=place))
    raise Fault("There is no folder for the run's sockets.", "Set TMPDIR to a folder with a short path.")


def _connection(private: Path) -> dict[str, Any]:
    """Write Jupyter's connection file: ipc sockets in the private folder, since others could reach TCP ports."""
    ports = {f"{name}_port": n for n, name in enumerate(("shell", "iopub", "stdin", "control", "hb"), 1)}
    content = {
        "transport": "ipc",
        "ip": str(private / "k"),
        "key": uuid.uuid4().hex,
        "signature_scheme": "hmac-sha256",
        **ports,
    }
    (private / "ipython").mkdir(mode=0o700)
    path = private / "connection.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(content), encoding="utf-8")
    return content


def remove(private: Path) -> None:
    """Remove a private folder with its sockets."""
    shutil.rmtree(private, ignore_errors=True)


def receive(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int], bytes]:
    """Receive an order with its descriptors, and the bytes after it; None if the other side is gone."""
    data, found = b"", []
    while b"\n" not in data:
        piece, descriptors, _, _ = socket.recv_fds(connection, 65536, 4)
        found += descriptors
        if not piece:
            return None, found, b""
        data += piece
    for descriptor in found:
        os.set_inheritable(descriptor, False)
    line, _, rest = data.partition(b"\n")
    return json.loads(line), found, rest
