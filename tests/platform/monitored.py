"""Prometheus and Alertmanager of a platform, with short intervals, and the alerts that they have."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from tests.platform.conftest import Platform
from tests.support import ROOT

PROGRAMS = (
    "prometheus",
    "promtool",
    "prometheus-alertmanager",
    "amtool",
    "prometheus-blackbox-exporter",
    "prometheus-node-exporter",
    "prometheus-postgres-exporter",
)
installed = pytest.mark.skipif(
    not all(shutil.which(name) for name in PROGRAMS),
    reason="needs the packages that runbooks/start-monitoring.md names",
)

QUICK = {
    "monitoring_scrape_interval": "1s",
    "monitoring_evaluation_interval": "1s",
    "monitoring_scan_seconds": "1",
    "monitoring_player_interval": "5s",
    "monitoring_resend_delay": "5s",
    "monitoring_group_wait": "1s",
    "monitoring_group_interval": "1s",
}


def rules() -> list[dict[str, Any]]:
    """Every rule of alerts/ that is an alert."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("alerts/*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"] if "alert" in rule]


ALERTS = {rule["alert"]: rule for rule in rules()}


def ran(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Monitored:
    """The monitoring of a platform."""

    def __init__(self, platform: Platform, hook: str, token: Path | None = None) -> None:
        """`hook`: where alerts go, with this token; without one the playbook makes it."""
        self.platform = platform
        self.folder = platform.root / ".opsbook/monitoring" / platform.place
        self.prometheus = f"http://127.0.0.1:{platform.base + 30}"
        self.alertmanager = f"http://127.0.0.1:{platform.base + 31}"
        self.options: dict[str, object] = {**QUICK, "hook_url": hook}
        self.options |= {"hook_token_file": str(token)} if token else {}

    def up(self) -> str:
        return self.platform.playbook("monitoring-up", **self.options)

    def down(self) -> None:
        self.platform.playbook("monitoring-down", purge=True)
        assert not self.processes()
        assert not self.folder.exists()

    def get(self, url: str, **query: str) -> Any:
        return httpx.get(url, params=query, timeout=30, trust_env=False).raise_for_status().json()

    def values(self, query: str) -> list[float]:
        """What Prometheus answers to a query now."""
        found = self.get(f"{self.prometheus}/api/v1/query", query=query)["data"]["result"]
        return [float(each["value"][1]) for each in found]

    def rules(self) -> set[str]:
        groups = self.get(f"{self.prometheus}/api/v1/rules")["data"]["groups"]
        assert not [rule for group in groups for rule in group["rules"] if rule.get("lastError")]
        return {rule["name"] for group in groups for rule in group["rules"] if rule["type"] == "alerting"}

    def processes(self) -> dict[int, list[str]]:
        found = {}
        for process in psutil.process_iter(["environ", "cmdline"]):
            if (process.info["environ"] or {}).get("OPSBOOK_SUPERVISED") == str(self.folder):
                found[process.pid] = process.info["cmdline"]
        return found

    def instance(self) -> dict[str, str]:
        """Name and url of an instance that gets requests; which colour serves depends on the tests before."""
        return next(each for each in self.platform.traffic()["instances"] if each["pool"])

    def idle(self) -> set[str]:
        """The instances of the colour that does not serve."""
        found = self.platform.traffic()
        other = "blue" if found["serving"] == "green" else "green"
        return {each["name"] for each in found["instances"] if each["colour"] == other}

    def sends(self, hook: str, token: Path) -> None:
        """Let alerts go elsewhere from now on."""
        self.options |= {"hook_url": hook, "hook_token_file": str(token)}
        self.up()
