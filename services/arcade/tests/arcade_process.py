"""arcade as processes, the way an operator starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from arcade_postgres import free_port

SOURCE = Path(__file__).resolve().parent.parent
SERVICES = SOURCE.parent


def run_arcade(
    *arguments: str, tree: Path = SOURCE, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`python -m arcade ARGUMENTS` with the code of `tree`, to its end."""
    return subprocess.run(
        [sys.executable, "-B", "-m", "arcade", *arguments],
        env=environment(tree, env or {}),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def environment(tree: Path, extra: dict[str, str]) -> dict[str, str]:
    """The environment of an arcade process: the tree's code and `extra`, nothing of ours about arcade."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ARCADE_")}
    return {**kept, "PYTHONPATH": str(tree), **extra}


class ArcadeProcess:
    """One running instance, with an HTTP client for it."""

    def __init__(self, env: dict[str, str], log: Path, tree: Path = SOURCE) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-B", "-m", "arcade", "serve"],
                env=environment(tree, {"ARCADE_PORT": str(self.port), **env}),
                cwd="/",
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.wait_for_status("/healthz", 200)
        except BaseException:
            self.close()
            raise

    def wait_for_status(self, path: str, status: int, seconds: float = 60) -> httpx.Response:
        """The first answer with `status`; fails after `seconds`."""
        until = time.monotonic() + seconds
        last: object = None
        while time.monotonic() < until:
            try:
                last = self.client.get(path)
                if last.status_code == status:
                    return last
            except httpx.TransportError as error:
                last = error
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(f"{path} did not answer {status}: {last!r}\n{self.log.read_text()}")

    def send(self, action: str, sender: str = "ann", data: str = "", tags: object = None) -> httpx.Response:
        """POST one message."""
        body = {"Action": action, "From": sender, "Data": data, "Tags": tags or {}}
        return self.client.post("/messages", json=body)

    def metric(self, line_start: str) -> float:
        """The value of the metric line that begins with `line_start`, 0 when there is none."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(line_start):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def terminate(self) -> None:
        """Send SIGTERM and return at once."""
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> int:
        """Stop the instance if it still runs, and return its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()
            self.process.wait()


class LoadProcess:
    """load.py against one instance."""

    def __init__(self, url: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-B", str(SERVICES / "load.py"), "--url", url, *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )

    def result(self) -> dict[str, Any]:
        """Wait for the end and return the printed JSON."""
        output, _ = self.process.communicate(timeout=180)
        result: dict[str, Any] = json.loads(output)
        return result
