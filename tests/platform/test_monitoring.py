"""The monitoring of a real platform: what it sees, whom it tells, and that it stays as it was written."""

import json
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import psutil
import pytest
import yaml

from arcade_ops import alerts as alerts_of
from opsbook.serve import dashboards
from tests.platform.conftest import Platform
from tests.platform.monitored import ALERTS, Monitored, installed, ran
from tests.stories import game_day
from tests.support import ROOT
from tests.support.project import until

VERSION = "1.0.0"


@dataclass
class Hook:
    """What takes the alerts: the notifications with their authorization and when they came."""

    url: str = ""
    taken: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    where: list[str] = field(default_factory=list)

    def paths(self, of: str) -> set[str]:
        """The addresses at which notifications with this alert came."""
        pairs = zip(list(self.where), list(self.taken), strict=False)
        return {path for path, (_, _, body) in pairs if body["groupLabels"]["alertname"] == of}

    def of(self, alert: str, status: str) -> list[dict[str, Any]]:
        """The alerts of this name and status that came so far."""
        return [
            each
            for _, _, body in list(self.taken)
            for each in body["alerts"]
            if each["labels"]["alertname"] == alert and each["status"] == status
        ]


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.where.append(self.path)
            found.taken.append((time.monotonic(), self.headers.get("authorization", ""), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}/hooks/alertmanager"
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def monitored(platform: Platform, hook: Hook) -> Iterator[Monitored]:
    platform.serve(VERSION)
    made = Monitored(platform, hook.url)
    try:
        made.up()
        yield made
    finally:
        made.down()


@installed
@pytest.mark.slow
def test_a_stopped_instance_is_told_and_that_it_is_back(monitored: Monitored, hook: Hook) -> None:
    instance = monitored.instance()
    until(lambda: hook.of("Watchdog", "firing"), "an alert that is always on")
    monitored.platform.ctl("stop", instance["name"])
    stopped = time.monotonic()
    try:
        until(lambda: hook.of("ArcadeInstanceDown", "firing"), "the alert")
        print(f"told {time.monotonic() - stopped:.1f} s after it was stopped")
    finally:
        monitored.platform.ctl("start", instance["name"])
    until(lambda: hook.of("ArcadeInstanceDown", "resolved"), "the alert's end")
    assert httpx.get(f"{instance['url']}/readyz", trust_env=False).is_success
    (alert,) = hook.of("ArcadeInstanceDown", "firing")[:1]
    assert alert["labels"] == {
        "alertname": "ArcadeInstanceDown",
        "environment": "dev",
        "service": "arcade",
        "job": "arcade",
        "instance": instance["name"],
        "severity": "high",
        "team": "platform",
    }
    url = f"runbooks/restart-instance.html?environment=dev&service=arcade&host={instance['name']}"
    assert alert["annotations"]["runbook_url"] == url
    groups = [body["groupLabels"] for _, _, body in hook.taken if "Down" in body["groupLabels"]["alertname"]]
    assert groups[0] == {"alertname": "ArcadeInstanceDown", "environment": "dev"}


@installed
@pytest.mark.slow
def test_nothing_else_was_told(monitored: Monitored, hook: Hook) -> None:
    """The colour that does not serve and the free places are down all the time."""
    until(lambda: hook.taken, "a notification")
    names = {alert["labels"]["alertname"] for _, _, body in hook.taken for alert in body["alerts"]}
    assert names <= {"Watchdog", "ArcadeInstanceDown"}
    down = monitored.get(f"{monitored.prometheus}/api/v1/query", query='up{job="arcade"} == 0')
    assert monitored.idle() <= {each["metric"]["instance"] for each in down["data"]["result"]}


@installed
@pytest.mark.slow
def test_the_token_comes_with_each_alert_and_is_nowhere_else(monitored: Monitored, hook: Hook) -> None:
    file = monitored.platform.root / ".opsbook/hook-token"
    token = file.read_text(encoding="utf-8")
    assert len(token) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    until(lambda: hook.taken, "a notification")
    assert {said for _, said, _ in hook.taken} == {f"Bearer {token}"}
    assert token not in str(monitored.processes())
    for path in monitored.folder.rglob("*"):
        if path.is_file() and path != file:
            assert token.encode() not in path.read_bytes(), path


@installed
@pytest.mark.slow
def test_the_age_of_a_secret_that_is_to_be_changed_is_known(monitored: Monitored) -> None:
    """Only of one for which the environment says how old it may be."""
    file = monitored.platform.root / ".opsbook/env/dev/secrets/database.conf"
    (changed,) = until(lambda: monitored.values("arcade_secret_changed_timestamp_seconds"), "when it was changed")
    assert changed == pytest.approx(file.stat().st_mtime, abs=1)
    assert monitored.values("arcade_secret_max_age_seconds") == [365 * 86400]


@installed
@pytest.mark.slow
def test_why_it_is_slow_is_asked_of_prometheus(monitored: Monitored) -> None:
    """It is fast; and where nothing is fast enough, the probe that plays is slow everywhere, on idle processors."""
    platform = monitored.platform
    policy = platform.root / "playbooks/inventories/dev/environment.yml"
    text = policy.read_text(encoding="utf-8")
    until(lambda: monitored.values('rate(arcade_messages_total{action="Ping"}[5m]) > 0'), "somebody plays")
    assert platform.diagnosed("performance")["runbooks"] == ["service-performance"]
    try:
        policy.write_text(text.replace("p95_ms: 500", "p95_ms: 0.001"), encoding="utf-8")
        told = platform.diagnosed("performance")
    finally:
        policy.write_text(text, encoding="utf-8")
    assert told["runbooks"][0] in ("database-sessions", "restart-instance"), told
    assert "p95 is" in told["steps"][-1]["seen"], told


@installed
@pytest.mark.slow
def test_a_password_in_a_log_is_told_without_it(monitored: Monitored, hook: Hook) -> None:
    password = monitored.platform.credentials()["password"]
    log = monitored.platform.root / ".opsbook/env/dev/logs/connections.debug"
    log.write_text(f"connecting with {password}\n", encoding="utf-8")
    try:
        (alert, *_) = until(lambda: hook.of("SecretInLog", "firing"), "the alert")
    finally:
        log.unlink()
    assert alert["labels"]["file"] == "connections.debug"
    assert alert["annotations"]["runbook_url"].endswith("rotate-secret.html?environment=dev&service=arcade&reason=leak")
    until(lambda: hook.of("SecretInLog", "resolved"), "the alert's end")
    assert password not in str(hook.taken)
    assert not hook.of("ApiKeyInLog", "firing")


@installed
@pytest.mark.slow
def test_they_listen_on_this_machine_only(monitored: Monitored) -> None:
    listening = [
        connection.laddr.ip
        for pid in monitored.processes()
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}
    assert len(listening) == 7


@installed
@pytest.mark.slow
@pytest.mark.parametrize("panel", dashboards.load(ROOT / "dashboards/arcade.yml").panels, ids=lambda panel: panel.title)
def test_each_plot_of_the_dashboard_has_something_to_show(monitored: Monitored, panel: dashboards.Panel) -> None:
    query = panel.query.replace("$environment", "dev")
    labels = re.findall(r"\{\{(\w+)\}\}", panel.legend)

    def shown() -> bool:
        for message in ({"Action": "Register", "Data": "Ann"}, {"Action": "Play"}, {"Action": "Guess", "Data": "1"}):
            httpx.post(f"{monitored.platform.url}/messages", json={"From": "ann", **message}, trust_env=False)
        found = monitored.get(f"{monitored.prometheus}/api/v1/query", query=query)["data"]["result"]
        return bool(found) and all(label in each["metric"] for each in found for label in labels)

    until(shown, panel.title)


@installed
@pytest.mark.slow
def test_each_alert_has_its_route(monitored: Monitored) -> None:
    file = monitored.folder / "config/alertmanager.yml"
    command = ("amtool", "config", "routes", "test", f"--config.file={file}", "--verify.receivers=opsbook")
    for name, rule in ALERTS.items():
        done = ran(*command, f"alertname={name}", *(f"{key}={value}" for key, value in rule["labels"].items()))
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


@installed
@pytest.mark.slow
def test_the_configuration_is_what_was_wanted(monitored: Monitored) -> None:
    file = monitored.folder / "config/alertmanager.yml"
    assert ran("amtool", "check-config", str(file)).returncode == 0
    (receiver,) = yaml.safe_load(file.read_text(encoding="utf-8"))["receivers"]
    (webhook,) = receiver["webhook_configs"]
    assert webhook["url"] == monitored.options["hook_url"]
    assert (webhook["send_resolved"], webhook["max_alerts"]) == (True, 0)
    assert webhook["http_config"]["authorization"] == {
        "credentials_file": str(monitored.platform.root / ".opsbook/hook-token")
    }


@installed
@pytest.mark.slow
def test_an_unavailable_service_silences_its_instances(monitored: Monitored) -> None:
    """In an environment that is only said to be there, so that nothing resolves it."""

    def said(name: str, environment: str, **more: str) -> dict[str, Any]:
        ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        return {"labels": {"alertname": name, "environment": environment, **more}, "endsAt": ends}

    instance = {"service": "arcade", "instance": "arcade-1"}
    alerts = [
        said("ArcadeUnavailable", "there", service="arcade", severity="critical"),
        said("ArcadeInstanceDown", "there", **instance, severity="high"),
        said("ArcadeErrors", "there", service="arcade", severity="high"),
        said("ArcadeInstanceDown", "elsewhere", **instance, severity="high"),
        said("Watchdog", "there", severity="none"),
        said("Watchdog", "elsewhere", severity="none"),
    ]
    url = f"{monitored.alertmanager}/api/v2/alerts"
    httpx.post(url, json=alerts, timeout=30, trust_env=False).raise_for_status()
    inhibited: dict[tuple[str, str], bool] = {}

    def told() -> bool:
        for each in monitored.get(url):
            labels = each["labels"]
            if labels["environment"] in ("there", "elsewhere"):
                key = (labels["alertname"], labels["environment"])
                inhibited[key] = bool(each["status"]["inhibitedBy"])
        return len(inhibited) == len(alerts) and any(inhibited.values())

    until(told, "the silenced alert")
    assert inhibited == {
        ("ArcadeUnavailable", "there"): False,
        ("ArcadeInstanceDown", "there"): True,
        ("ArcadeErrors", "there"): False,
        ("ArcadeInstanceDown", "elsewhere"): False,
        ("Watchdog", "there"): False,
        ("Watchdog", "elsewhere"): False,
    }
    # What the gate of a promotion counts: of this environment and service, serious, and not inhibited.
    with httpx.Client(trust_env=False, timeout=30) as client:
        serious = (client, monitored.alertmanager, "there", "arcade", ["critical", "high"])
        assert alerts_of.look(*serious) == ["ArcadeErrors", "ArcadeUnavailable"]
        assert alerts_of.look(*serious[:2], "elsewhere", *serious[3:]) == ["ArcadeInstanceDown (arcade-1)"]
        assert alerts_of.look(*serious[:3], "lobby", serious[4]) == []
        assert alerts_of.look(*serious[:4], ["critical"]) == ["ArcadeUnavailable"]
        with pytest.raises(ValueError, match="Watchdog of nowhere, which is always on, is missing"):
            alerts_of.look(*serious[:2], "nowhere", *serious[3:])


@installed
@pytest.mark.slow
def test_somebody_else_is_told_when_nobody_serves(monitored: Monitored, hook: Hook) -> None:
    """What is critical or high, and that alerts arrive at all; the rest is for opsbook alone."""
    also = hook.url.replace("alertmanager", "also")
    variables = monitored.platform.root / f"playbooks/inventories/{monitored.platform.place}/group_vars/all.yml"
    before = variables.read_text(encoding="utf-8")
    try:
        # The port of nobody: opsbook serve is down.
        wanted = {**monitored.options, "hook_url": "http://127.0.0.1:1/hooks/alertmanager", "also_url": also}
        variables.write_text(before + yaml.safe_dump(wanted), encoding="utf-8")
        monitored.platform.run("start-monitoring", check=True)
        until(lambda: "/hooks/also" in hook.paths(of="Watchdog"), "Watchdog at the other address")
        file = monitored.folder / "config/alertmanager.yml"
        for name, rule in ALERTS.items():
            told = ["also"] if rule["labels"]["severity"] in ("critical", "high") or name == "Watchdog" else []
            labels = [f"alertname={name}", *(f"{key}={value}" for key, value in rule["labels"].items())]
            done = ran("amtool", "config", "routes", "test", f"--config.file={file}", *labels)
            assert done.stdout.strip().split(",") == [*told, "opsbook"], name
    finally:
        variables.write_text(before, encoding="utf-8")
        monitored.up()


@pytest.mark.slow
def test_what_to_install_is_said_before_anything_starts(platform: Platform) -> None:
    programs = '{"no-such-program":"its-package","sh":"dash"}'
    with pytest.raises(AssertionError, match=r"no-such-program cannot be found in PATH.* apt-get install its-package"):
        platform.playbook("monitoring-up", monitoring_programs=programs)


@installed
@pytest.mark.slow
def test_changed_rules_are_read_without_a_restart_and_wrong_ones_not_at_all(monitored: Monitored) -> None:
    """That what is as it should be stays so is in test_check_mode.py."""
    file = monitored.platform.root / "alerts/more.yml"
    before, running, used = monitored.rules(), monitored.processes(), (monitored.folder / "config").readlink()
    assert before == set(ALERTS)
    try:
        file.write_text(one_alert("up =="), encoding="utf-8")
        with pytest.raises(AssertionError, match="promtool refuses the configuration, so the one from before stays"):
            monitored.up()
        assert (monitored.folder / "config").readlink() == used
        file.write_text(one_alert("vector(0) > 1"), encoding="utf-8")
        assert "changed=2" in monitored.up()
    finally:
        file.unlink(missing_ok=True)
    assert monitored.rules() == {*before, "More"}
    assert monitored.processes().keys() == running.keys()


def one_alert(expression: str) -> str:
    return json.dumps({"groups": [{"name": "more", "rules": [{"alert": "More", "expr": expression}]}]})


@installed
@pytest.mark.slow
def test_a_game_day(monitored: Monitored, keys: Path) -> None:
    """Last: from now on alerts go to opsbook serve."""
    with game_day.served(monitored.platform) as server:
        monitored.sends(f"{server.address}/hooks/alertmanager", server.token)
        game_day.tell(monitored, server, keys)
