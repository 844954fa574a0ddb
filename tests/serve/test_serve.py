"""`opsbook serve` as a process: a storm with kills, the check of a page, and a page in a browser."""

import contextlib
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsbook import settings
from opsbook.incidents.acting import Acting
from opsbook.incidents.incident import Incident, State
from tests.support import browser
from tests.support.alerts import notification
from tests.support.project import Project, until
from tests.support.prometheus import installed, served_itself
from tests.support.serving import Server, free_port, incidents

pytestmark = pytest.mark.slow

chromium = browser.chromium
prometheus = pytest.fixture(served_itself)

PAGE = """\
## Parameters

```python tags=["parameters"]
host: str = "web-1"
```

## Diagnosis

### Look

```python
from opsbook import command
print(command(["echo", "looked at", host], changes=False).stdout)
```

## Steps

### Restart

```python
command(["touch", "changed"])
```
"""


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    project.page(PAGE, name="restart", front="alerts: [HostDown]\n")
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text() + "on_alert: {check: [restart]}\n")
    made = Server(project)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end()
    made.client.close()


def test_an_alert_opens_an_incident_with_its_diagnosis_attached(server: Server) -> None:
    project = server.project
    began = time.monotonic()
    assert server.send(notification("HostDown", environment="dev", host="web-2"))
    until(lambda: any(each.runs for each in incidents(project)), "a run is attached")
    (found,) = incidents(project)
    (run,) = found.runs
    until((project.root / "records" / run[:4] / run[4:6] / run / "seal.json").exists, "the check ends")
    print(f"alert to diagnosis: {time.monotonic() - began:.1f} s")
    told = json.loads(project.opsbook("incident", "show", "last", "--json", check=True).out)
    assert told["runs"][0]["mode"] == "check" and told["runs"][0]["outcome"] == "checked"
    assert told["parameters"] == {"host": "web-2"}
    assert "looked at web-2" in project.opsbook("records", "show", run, "--output", check=True).out
    assert not (project.root / "changed").exists()
    line = f"opsbook run restart -e dev -p host=web-2 --incident {found.id}"
    assert line in project.opsbook("incident", "show", "last", check=True).out
    project.opsbook(*line.split()[1:], "--yes", check=True)
    assert len(incidents(project)[0].runs) == 2


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"environment": "prod", "host": "a"}, "name no environment of this project"),
        ({"environment": "dev", "host": "--check {{x}} $(touch changed)\n"}, ""),
        ({"environment": "dev", "host": "a\0b"}, ""),
    ],
)
def test_what_is_not_checked_by_itself_says_why(server: Server, labels: dict[str, str], why: str) -> None:
    assert server.send(notification("HostDown", **labels))
    until(lambda: incidents(server.project) and _decided(incidents(server.project)[0]), "it is decided")
    shown = server.project.opsbook("incident", "show", "last", check=True).out
    assert why in shown
    assert not (server.project.root / "changed").exists()


def _decided(found: Incident) -> bool:
    return bool(found.runs) or any(event.type == "not-diagnosed" for event in found.events)


def test_two_servers_of_one_project(server: Server) -> None:
    done = server.project.opsbook("serve", "--port", str(free_port()))
    assert done.code == 4 and "runs for this project already" in done.err
    assert "cannot be used" in server.project.opsbook("serve", "--port", str(server.port)).err
    token = server.project.root / ".opsbook/hook-token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert server.end() == 0
    token.chmod(0o644)
    assert "Others on this machine can read" in server.project.opsbook("serve", "--port", str(free_port())).err


def test_incidents_that_cannot_be_read_end_nothing(server: Server) -> None:
    """Each thread goes on beside them: what looks at all open incidents has met them, and alerts still arrive."""
    for number, kind in enumerate(("folder", "empty", "garbage", "missing", "not-utf-8")):
        path = server.project.root / f"records/incidents/inc-20261130T14223{number}Z-071406"
        path.mkdir(parents=True)
        journal = path / "journal.jsonl"
        if kind == "folder":
            journal.mkdir()
        elif kind != "missing":
            journal.write_bytes({"empty": b"", "garbage": b"{}\n[]\n", "not-utf-8": b"\xff\xfe\n"}[kind])
    assert server.send(notification("HostDown", environment="dev", host="web-2"))
    good = partial(server.project.opsbook, "incident", "list", "--all", "--json", check=True)
    until(lambda: any(each["runs"] for each in json.loads(good().out)), "a run is attached")
    time.sleep(6)  # longer than the pause between two looks at all of them
    assert server.client.get(f"{server.address}/healthz").json() == {"ok": True, "waiting": 0, "problem": ""}
    assert server.client.get(f"{server.address}/incidents").status_code == 200


def test_a_storm_loses_no_alert_and_writes_none_twice(server: Server) -> None:
    """1,000 alerts in 40 groups from four senders, each sent until it is accepted, and six kills -9 meanwhile."""
    storm(server, alerts=1000, groups=40, kills=6)


@pytest.mark.soak
@pytest.mark.parametrize("kills", [0, 20])
def test_ten_thousand_alerts(server: Server, kills: int) -> None:
    storm(server, alerts=10_000, groups=100, kills=kills)


def _fewer(left: list[int], than: float) -> bool:
    return len(left) < than


def most_memory(process: int) -> int:
    """The most that a process needed so far, in bytes."""
    (found,) = re.findall(r"^VmHWM:\s+([0-9]+) kB$", Path(f"/proc/{process}/status").read_text(), re.M)
    return int(found) * 1024


def storm(server: Server, alerts: int, groups: int, kills: int) -> None:
    left = list(range(alerts))
    lock, memory = threading.Lock(), [0]

    def send() -> None:
        while True:
            with lock:
                if not left:
                    return
                number = left.pop()
            told = notification(f"Storm{number % groups}", number=str(number))
            while not server.send(told):
                time.sleep(0.05)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for each in senders:
        each.start()
    for number in range(1, kills + 1):
        enough = alerts * (1 - number / (kills + 1))
        until(partial(_fewer, left, enough), "more are sent", 300)
        assert server.process is not None
        memory.append(most_memory(server.process.pid))
        server.end(signal.SIGKILL)
        server.start()
    for each in senders:
        each.join(600)
    until(lambda: not list((server.project.root / ".opsbook/hooks").glob("*.json")), "all is written", 300)
    found = incidents(server.project)
    seen = [alert.labels["number"] for each in found for alert in each.alerts.values()]
    fired = [event for each in found for event in each.events if event.type == "alert-fired"]
    assert sorted(map(int, seen)) == list(range(alerts)), "lost"
    assert len(fired) == alerts, "twice"
    assert len(found) == groups
    assert server.project.opsbook("incident", "verify").code == 0
    assert server.process is not None
    memory.append(most_memory(server.process.pid))
    print(f"most memory: {max(memory) // 2**20} MiB")
    assert max(memory) < 300 * 2**20


def test_the_page_of_an_incident_on_a_phone_is_live(server: Server, chromium: Any, tmp_path: Path) -> None:
    here = settings.load(server.project.root, given=True)
    assert server.send(notification("HostDown", summary="web-2 is <b>down</b>", environment="dev", host="web-2"))
    until(lambda: bool(incidents(server.project)), "an incident is open")
    (found,) = incidents(server.project)
    with chromium.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce") as context:
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(f"{server.address}/")
        page.click("text=web-2 is <b>down</b>")
        assert page.locator("h1").inner_text() == "web-2 is <b>down</b>"
        page.wait_for_selector("#connection:has-text('Current as of')")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        Acting(here, found.id).acknowledge()
        page.wait_for_selector(".badge.acknowledged")
        Acting(here, found.id).note("the fan stopped <i>again</i>")
        page.wait_for_selector("text=the fan stopped <i>again</i>")
        page.screenshot(path=str(tmp_path / "phone.png"), full_page=True)
        server.end(signal.SIGKILL)
        page.wait_for_selector("#connection:has-text('this may be old')")
        server.start()
        page.wait_for_selector("#connection:has-text('Current as of')")
    # The server was away for a while, and the page asked again and again.
    assert [each for each in wrong if "net::ERR_" not in each] == []
    assert incidents(server.project)[0].state is State.ACKNOWLEDGED


QUERY = 'label_replace(up, "place", "$environment", "", "")'


@installed
def test_environments_and_their_dashboards_stay_current(
    server: Server, prometheus: str, chromium: Any, tmp_path: Path
) -> None:
    root = server.project.root
    policy = root / "playbooks/inventories/dev/environment.yml"
    more = f"settings: {{prometheus: 'http://{prometheus}'}}\nhealth: {{web: 'http://127.0.0.1:1/'}}\n"
    policy.write_text(f"{policy.read_text()}{more}")
    panels = [
        {
            "title": "What is <up>",
            "query": 'label_replace(up, "place", "$environment", "", "")',
            "legend": "{{place}}/{{job}}",
        },
        {"title": "Wrong", "query": "up ==", "about": "Never well."},
    ]
    assert server.send(notification("HostDown", summary="web-2 is <b>down</b>", environment="dev", host="web-2"))
    until(lambda: bool(incidents(server.project)), "an incident is open")
    file = root / "dashboards/own.yml"
    file.parent.mkdir()
    file.write_text(json.dumps({"title": "Our own", "panels": panels}))
    with chromium.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(f"{server.address}/")
        page.click("text=Environments")
        page.wait_for_selector("#connection:has-text('Current as of')")
        seen = page.locator("#live").inner_text()
        assert all(each in seen for each in ("web-2 is <b>down</b>", "no answer"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.click("a[href*='/dashboards/']")
        page.wait_for_selector("figure:nth-child(2)")
        page.wait_for_selector("#connection:has-text('Current as of')")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        plotted = page.locator("figure").all_text_contents()
        assert "What is <up>" in plotted[0] and "dev/itself" in plotted[0] and "polyline" in page.content()
        assert "parse error" in plotted[1] and "Never well." in plotted[1]
        file.write_text(json.dumps({"title": "Our own", "panels": panels[1:]}))
        page.wait_for_selector("figure:only-child")
        page.screenshot(path=str(tmp_path / "phone.png"), full_page=True)
    client, places = server.client, f"{server.address}/dashboards"
    assert client.get(f"{places}/dev/own?over=2y").status_code == 404
    assert client.get(f"{places}/dev/..%2f..%2fopsbook").status_code == 404
    policy.write_text(policy.read_text().replace(f"http://{prometheus}", "http://ann:a-password@127.0.0.1:1"))
    said = client.get(f"{places}/dev/own").text
    assert "its address has a login" in said and "a-password" not in said
    file.write_text("title: 1\npanels: {}\nmore: x\n")
    told = client.get(f"{places}/dev/own")
    assert (told.status_code, "dashboards/own.yml: " in told.text) == (404, True)
    assert all(each in told.text for each in ("title", "panels", "more"))


def test_a_prometheus_that_hangs_keeps_no_alert_out(server: Server) -> None:
    """As many look at its dashboards as there are threads, and go away."""
    root = server.project.root
    (root / "dashboards").mkdir()
    (root / "dashboards/own.yml").write_text('title: Own\npanels: [{title: Up, query: "up"}]\n')
    policy = root / "playbooks/inventories/dev/environment.yml"
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        policy.write_text(f"{policy.read_text()}settings: {{prometheus: '{address}'}}\n")

        def look(_: int) -> None:
            with contextlib.suppress(httpx.TimeoutException):
                httpx.get(f"{server.address}/dashboards/dev/own", timeout=1, trust_env=False)

        with ThreadPoolExecutor(60) as people:
            list(people.map(look, range(60)))
        began = time.monotonic()
        assert server.send(notification("HostDown", environment="dev", host="web-2"))
        assert time.monotonic() - began < 3
        server.end(signal.SIGKILL)
