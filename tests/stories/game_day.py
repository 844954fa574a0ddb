"""A game day on the real platform: from a fault to a closed review, with everything in between as people do it.

Fault → alert of Prometheus → incident with its diagnosis → acknowledged → mitigated by the page → the alert clears →
resolved → reviewed → records verify. `python -m tests.stories.game_day` tells it alone and prints the seconds.
"""

import json
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.platform.conftest import Platform, brought_up
from tests.platform.monitored import Monitored
from tests.support.project import until
from tests.support.team import Team, allow, make_keys

VERSION = "1.0.0"


@dataclass
class Served:
    """`opsbook serve` of a platform's project."""

    platform: Platform
    port: int
    token: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served(platform: Platform) -> Iterator[Served]:
    """The server, for as long as the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    process = platform.start("serve", "--port", str(port))
    made = Served(platform, port, platform.root / ".opsbook/hook-token")
    try:
        until(lambda: _answers(made), "opsbook serve")
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        if process.stdout is not None:
            process.stdout.close()


def _answers(server: Served) -> bool:
    try:
        return httpx.get(f"{server.address}/healthz", trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def guarded(platform: Platform, keys: Path) -> Iterator[Team]:
    """For as long as the block lasts, a change in the platform's environment needs a second person; by Git."""
    team = Team(platform.root, dict(platform.env), keys)
    policy = platform.root / f"playbooks/inventories/{platform.place}/environment.yml"
    before = policy.read_text(encoding="utf-8")
    # A sandbox is open to everybody; and no file of a clone moves the ports of what is guarded.
    given = re.sub(r"(?m)^ports: \d+", f"ports: {platform.base}", before)
    policy.write_text(given.replace("sandbox: true\n", "approvals: 1\n"), encoding="utf-8")
    allow(team, "ann", "bob")
    team.write(".gitignore", "records/\n.opsbook/\nreviews/\n__pycache__/\n")
    team.git("init", "--quiet", "--initial-branch", "main")
    team.commit("Begin")
    try:
        yield team
    finally:
        policy.write_text(before, encoding="utf-8")
        shutil.rmtree(platform.root / ".git")
        for name in (".gitignore", "allowed_signers"):
            (platform.root / name).unlink()


def mitigate(team: Team, line: str) -> None:
    """Run the page with the line that the incident shows: Ann is refused, asks, and Bob approves."""
    words = line.split()[1:]
    refused = team.by("ann").opsbook(*words, "--yes")
    assert (refused.code, "approval" in refused.err + refused.out) == (4, True), refused
    asked = ["plan", *words[1 : words.index("--incident")], "--request", "--json"]
    plan = json.loads(team.by("ann").opsbook(*asked, check=True).out)["id"]
    team.by("bob").opsbook("approve", plan, "--yes", check=True)
    team.by("ann").opsbook(*words, "--yes", check=True)
    (run,) = [each["runs"][-1] for each in json.loads(team.opsbook("incident", "list", "--json", check=True).out)]
    shown = json.loads(team.opsbook("records", "show", run["run"], "--json", check=True).out)
    assert shown["approved_by"] == ["bob@example.org"]


def tell(monitored: Monitored, server: Served, keys: Path) -> None:
    """The story, on a platform that serves and is watched; its alerts go to the server."""
    platform, name, clock = monitored.platform, monitored.instance()["name"], Clock()
    platform.ctl("stop", name)
    clock.lap("an instance was stopped")
    run = until(lambda: _of(platform, "ArcadeInstanceDown"), "an incident")["incident"]
    clock.lap("its incident is open")
    _the_diagnosis_is_attached(platform, run, name)
    clock.lap("its page was checked")
    platform.opsbook("incident", "ack", run, check=True)
    assert platform.opsbook("incident", "ack", run).code == 4
    platform.opsbook("incident", "role", run, "commander", check=True)
    platform.opsbook("exec", "--incident", run, "--", "echo", f"{name} does not answer", check=True)
    (line,) = [each for each in _shown(platform, run)[1].splitlines() if each.strip().startswith("opsbook run")]
    with guarded(platform, keys) as team:
        mitigate(team, line)
    clock.lap("the page was run, with the line that the incident shows and somebody else's approval")
    platform.opsbook("incident", "mitigate", run, f"restarted {name}", check=True)
    still = platform.opsbook("incident", "resolve", run, "too early")
    assert still.code in (0, 4)
    if still.code == 4:
        assert "ArcadeInstanceDown still fires" in still.err
        until(lambda: not _firing(platform, run), "the alert's end")
        platform.opsbook("incident", "resolve", run, f"somebody had stopped {name}", check=True)
    clock.lap("the alert cleared, and it is resolved")
    platform.opsbook("incident", "action", run, "alert earlier", "--owner", "ann", "--due", "2027-01-01", check=True)
    page = platform.root / json.loads(platform.opsbook("incident", "review", run, "--json", check=True).out)["page"]
    text = page.read_text(encoding="utf-8")
    for said in ("ArcadeInstanceDown fires", "acknowledged", "restart-instance", "resolved", "alert earlier"):
        assert said in text, said
    assert ("messages per second: " in text, " at most." in text) == (True, True), text
    assert list(page.with_suffix("").glob("impact-*.svg")), "what it cost is plotted"
    page.write_text(text.replace("TODO", "Known:"), encoding="utf-8")
    platform.opsbook("incident", "review", run, "--close", check=True)
    assert platform.opsbook("incident", "verify").code == 0
    for attached in _shown(platform, run)[0]["runs"]:
        assert platform.opsbook("records", "verify", attached["run"]).code == 0
    metrics = httpx.get(f"{server.address}/metrics", trust_env=False).text
    assert 'opsbook_incidents{severity="high",state="reviewed"} 1' in metrics
    heartbeat = next(line for line in metrics.splitlines() if line.startswith("opsbook_heartbeat_timestamp_seconds "))
    assert time.time() - float(heartbeat.split()[1]) < 120, "no heartbeat arrived"
    clock.lap("it is reviewed, and everything verifies")
    print(clock)


def _the_diagnosis_is_attached(platform: Platform, run: str, name: str) -> None:
    def checked() -> bool:
        return any((each["mode"], each["outcome"]) == ("check", "checked") for each in _shown(platform, run)[0]["runs"])

    until(checked, "the check of its page")
    found = _shown(platform, run)[0]
    assert (found["runbook"], found["parameters"]) == ("restart-instance", {"service": "arcade", "host": name})


def _of(platform: Platform, alert: str) -> dict[str, Any] | None:
    """The incident of an alert, once it is there."""
    told = json.loads(platform.opsbook("incident", "list", "--json", check=True).out)
    return next((each for each in told if any(one["name"] == alert for one in each["alerts"])), None)


def _shown(platform: Platform, run: str) -> tuple[dict[str, Any], str]:
    told = platform.opsbook("incident", "show", run, "--json", check=True)
    return json.loads(told.out), platform.opsbook("incident", "show", run, check=True).out


def _firing(platform: Platform, run: str) -> list[str]:
    return [each["name"] for each in _shown(platform, run)[0]["alerts"] if not each["ended"]]


class Clock:
    """Seconds since the fault, and what had happened by then."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._laps: list[str] = []

    def lap(self, what: str) -> None:
        self._laps.append(f"{time.monotonic() - self._began:5.1f} s  {what}")

    def __str__(self) -> str:
        return "\n".join(self._laps)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, brought_up(Path(folder) / "project") as platform:
        platform.serve(VERSION)
        with served(platform) as server:
            monitored = Monitored(platform, f"{server.address}/hooks/alertmanager", server.token)
            try:
                monitored.up()
                tell(monitored, server, make_keys(Path(folder) / "keys"))
            finally:
                monitored.down()


if __name__ == "__main__":
    main()
