"""`python -m tests.soak.kubernetes`: kubectl() against a real Kubernetes API server, built from Debian's sources.

It builds what it needs once, in .cache/kubernetes (minutes, 2 GB), starts etcd, the API server and the controllers
of deployments on loopback, and runs `tests/core/effects/test_kubectl.py` against them. What they answer is written to
`tests/core/effects/kubernetes.json`, which the test answers with everywhere else. Nothing runs pods: what would do that
is a loop here, which says that each pod is ready unless its image is broken.
"""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.core.effects.test_kubectl import ADDRESS, TOKENS
from tests.support import ROOT, kubernetes

CACHE = ROOT / ".cache/kubernetes"
BUILD = Path(__file__).with_name("kubernetes.sh")
_ADMIN = "admin-of-the-cluster"


def main() -> int:
    """The exit code of the tests."""
    subprocess.run(["bash", str(BUILD), str(CACHE)], check=True)
    with tempfile.TemporaryDirectory(prefix="kubernetes-") as name, _cluster(Path(name)) as address:
        command = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests/core/effects/test_kubectl.py")]
        return subprocess.run(command, env={**os.environ, ADDRESS: address}, check=False).returncode


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    etcd, peer, port, other = (_free_port() for _ in range(4))
    address, stop = f"https://127.0.0.1:{port}", threading.Event()
    tokens = folder / "tokens"
    users = {_ADMIN: ("admin", "system:masters"), TOKENS["owner"]: ("owner", "system:masters")}
    lines = [f'{token},{name},{name},"{group}"' for token, (name, group) in users.items()]
    tokens.write_text("\n".join([*lines, f"{TOKENS['reader']},reader,reader"]) + "\n")
    key = folder / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    admin = kubernetes.kubeconfig(folder, address, {"admin": _ADMIN})
    admin.write_text(json.dumps({**json.loads(admin.read_text()), "current-context": "admin"}))
    here = "http://127.0.0.1"
    commands = {
        "etcd": [
            *(
                f"--data-dir={folder}/etcd",
                f"--listen-client-urls={here}:{etcd}",
                f"--advertise-client-urls={here}:{etcd}",
            ),
            *(f"--listen-peer-urls={here}:{peer}", f"--initial-advertise-peer-urls={here}:{peer}"),
            f"--initial-cluster=default={here}:{peer}",
        ],
        "kube-apiserver": [
            *(f"--etcd-servers={here}:{etcd}", f"--secure-port={port}", "--bind-address=127.0.0.1"),
            *(f"--cert-dir={folder}/certificates", f"--token-auth-file={tokens}", "--authorization-mode=RBAC"),
            *(f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"),
            *("--service-account-issuer=https://kubernetes.default", "--disable-admission-plugins=ServiceAccount"),
            "--service-cluster-ip-range=10.0.0.0/24",
        ],
        "kube-controller-manager": [
            *(f"--kubeconfig={admin}", "--controllers=deployment,replicaset", "--leader-elect=false"),
            *("--port=0", f"--secure-port={other}", "--bind-address=127.0.0.1", f"--cert-dir={folder}/certificates"),
        ],
    }
    running = []
    try:
        for name, arguments in commands.items():
            if name == "kube-controller-manager":
                _until_ready(address)
            with (folder / f"{name}.log").open("wb") as log:
                running.append(subprocess.Popen([str(CACHE / name), *arguments], stdout=log, stderr=log, cwd=folder))
        threading.Thread(target=_be_ready, args=(address, stop), daemon=True).start()
        yield address
    finally:
        stop.set()
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
        for process in reversed(running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(address: str, path: str, change: Any = None) -> Any:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    asked = urllib.request.Request(address + path, headers={"Authorization": f"Bearer {_ADMIN}"})
    if change is not None:
        asked.method, asked.data = "PATCH", json.dumps(change).encode()
        asked.add_header("Content-Type", "application/strategic-merge-patch+json")
    with urllib.request.urlopen(asked, context=context, timeout=10) as answer:
        return json.loads(answer.read())


def _until_ready(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            _ask(address, "/api/v1/namespaces/default")
            return
        time.sleep(0.3)
    raise TimeoutError("the API server does not answer")


def _be_ready(address: str, stop: threading.Event) -> None:
    ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    while not stop.wait(0.3):
        with contextlib.suppress(OSError, ValueError):
            for pod in _ask(address, "/api/v1/namespaces/default/pods")["items"]:
                image = pod["spec"]["containers"][0]["image"]
                if "broken" not in image and pod["status"].get("phase") != "Running":
                    _ask(address, f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}/status", ready)


if __name__ == "__main__":
    sys.exit(main())
