"""`opsbook serve` of a project, which may be killed and started again."""

import signal
import socket
import subprocess
from typing import Any

import httpx

from opsbook import settings
from opsbook.incidents import store
from opsbook.incidents.incident import Incident
from tests.support.project import Project, until


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Server:
    """`opsbook serve` of a project, which may be killed and started again."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None
        self.client = httpx.Client()
        self.start()

    def start(self, *more: str) -> None:
        self.process = self.project.start("serve", "--port", str(self.port), *more)
        until(self.answers, "the server answers")
        token = (self.project.root / ".opsbook/hook-token").read_text().strip()
        self.known = {"Authorization": f"Bearer {token}"}

    def answers(self) -> bool:
        try:
            return self.client.get(f"{self.address}/healthz").status_code in (200, 503)
        except httpx.HTTPError:
            return False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, told: dict[str, Any]) -> bool:
        """Whether the server said that it has it."""
        try:
            return (
                self.client.post(f"{self.address}/hooks/alertmanager", json=told, headers=self.known).status_code == 200
            )
        except httpx.HTTPError:
            return False

    def end(self, sig: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(sig)
        return self.process.wait(60)


def incidents(project: Project) -> list[Incident]:
    found = settings.load(project.root, given=True)
    return [store.load(path) for path in store.every(found.records)]
