"""A real Prometheus that scrapes itself."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.project import until

installed = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs the package prometheus")


def served_itself(tmp_path: Path) -> Iterator[str]:
    """One that scrapes itself: host and port. For a fixture."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = tmp_path / "prometheus.yml"
    jobs = f"scrape_configs:\n  - job_name: itself\n    static_configs: [{{targets: ['{address}']}}]\n"
    config.write_text(f"global: {{scrape_interval: 1s}}\n{jobs}")
    program = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    started = subprocess.Popen([*program, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _scraped(address), "Prometheus")
        yield address
    finally:
        started.terminate()
        started.wait(60)


def _scraped(address: str) -> bool:
    try:
        told = httpx.get(f"http://{address}/api/v1/query?query=up", trust_env=False).json()
        return bool(told["data"]["result"][0]["value"][1] == "1")
    except (httpx.HTTPError, LookupError, ValueError):
        return False
