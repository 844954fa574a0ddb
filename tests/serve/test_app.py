"""What the server answers, and above all what it refuses."""

import html
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import uvicorn

from opsbook import settings
from opsbook.core.model.redact import Redactor
from opsbook.core.record.store import PAGE
from opsbook.incidents import acting, facts, intake, store
from opsbook.incidents.acting import Acting, Opening
from opsbook.serve import app
from opsbook.serve.heartbeat import SILENT, Heartbeats
from opsbook.serve.metrics import Metrics
from opsbook.serve.serving import Bucket, Serving
from opsbook.serve.spool import Spool
from opsbook.serve.worker import Counted
from tests.support.alerts import notification
from tests.support.project import Project, until

TOKEN = "a-token-of-a-test"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
HOOK = "/hooks/alertmanager"


@pytest.fixture
def serving(project: Project) -> Serving:
    found = settings.load(project.root, given=True)
    spool = Spool(found.state / "hooks")
    return Serving(found, TOKEN.encode(), spool, Counted(), Metrics(found, Heartbeats(found)), lambda: None)


@pytest.fixture
def client(serving: Serving) -> Iterator[httpx.Client]:
    with answering(serving) as made:
        yield made


@contextmanager
def answering(serving: Serving) -> Iterator[httpx.Client]:
    """A client of the application, which listens in a thread of this process."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app.application(serving), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as made:
        yield made
    server.should_exit = True
    thread.join()
    listening.close()


def kept(serving: Serving) -> list[Any]:
    return [json.loads(path.read_bytes()) for path in serving.spool.waiting()]


def test_what_is_accepted_is_on_disk(serving: Serving, client: httpx.Client) -> None:
    told = notification("HostDown")
    assert client.post(HOOK, json=told, headers=KNOWN).status_code == 200
    assert kept(serving) == [told]


@pytest.mark.parametrize(
    "shown",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer"}],
)
def test_without_the_token_nothing_is_kept(serving: Serving, client: httpx.Client, shown: dict[str, str]) -> None:
    answer = client.post(HOOK, json=notification("HostDown"), headers=shown)
    assert answer.status_code == 401 and TOKEN not in answer.text
    assert kept(serving) == [] and serving.counted.refused == 1


def test_what_is_too_long_is_not_read(serving: Serving, client: httpx.Client) -> None:
    def parts() -> Iterator[bytes]:
        """Without a length in advance."""
        for number in range(1000):
            sent.append(number)
            yield b"[" * 1_000_000

    sent: list[int] = []
    assert client.post(HOOK, content=b"[" * (app.LARGEST + 1), headers=KNOWN).status_code == 413
    assert client.post(HOOK, content=parts(), headers=KNOWN).status_code == 400
    assert kept(serving) == []


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 1_000_000, b'{"groupKey":"x","alerts":7}', b"\x00\xff"])
def test_what_is_no_notification_is_refused(serving: Serving, client: httpx.Client, data: bytes) -> None:
    answer = client.post(HOOK, content=data, headers=KNOWN)
    assert answer.status_code == 400 and "no notification of Alertmanager" in answer.text
    assert kept(serving) == []


def test_too_many_are_asked_to_come_again(serving: Serving, client: httpx.Client) -> None:
    serving.bucket = Bucket(0.001, 3)
    codes = [client.post(HOOK, json=notification("A"), headers=KNOWN).status_code for _ in range(5)]
    # 503, because Alertmanager sends again after it, and not after 429.
    assert codes == [200, 200, 200, 503, 503] and len(kept(serving)) == 3


def test_what_cannot_be_kept_is_asked_for_again(serving: Serving, client: httpx.Client) -> None:
    folder = serving.settings.state / "hooks"
    folder.rmdir()
    folder.write_text("")
    assert client.post(HOOK, json=notification("A"), headers=KNOWN).status_code == 503


def test_a_page_of_elsewhere_does_not_reach_it(client: httpx.Client) -> None:
    for address in ("/incidents", "/metrics", "/healthz"):
        assert client.get(address, headers={"Host": "attacker.example"}).status_code == 400


@pytest.mark.parametrize("path", ["inc-1", "..", "%2e%2e%2f2026", "inc-20261130T120000Z-000000", "<b>"])
def test_what_is_no_incident_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/incidents/{path}", follow_redirects=False)
    assert answer.status_code in (302, 404) and "<b>" not in answer.text


def test_pages_show_text_and_run_nothing_of_it(serving: Serving, client: httpx.Client) -> None:
    title = "<script>alert(1)</script> {{ 7*7 }}"
    found = acting.open_(serving.settings, Opening(title))
    Acting(serving.settings, found.id).note('"><img src=x onerror=alert(1)>')
    for address in ("/incidents", f"/incidents/{found.id}"):
        answer = client.get(address)
        assert answer.status_code == 200 and "<script>alert" not in answer.text and "<img" not in answer.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7*7 }}" in answer.text
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_metrics_count_incidents_and_quote_their_labels(serving: Serving, client: httpx.Client) -> None:
    first = acting.open_(serving.settings, Opening("x", "low"))
    acting.open_(serving.settings, Opening("y"))
    assert 'opsbook_incidents{severity="low",state="open"} 1' in client.get("/metrics").text
    Acting(serving.settings, first.id).resolve("done", anyway=False)
    assert 'opsbook_incidents{severity="low",state="resolved"} 1' in client.get("/metrics").text
    assert "opsbook_notifications_accepted_total 0" in client.get("/metrics").text


def test_it_says_when_alerts_cannot_be_written(serving: Serving, client: httpx.Client) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.post(HOOK, content=b"{}", headers=KNOWN).status_code == 400
    assert "no notification of Alertmanager" in client.get("/incidents").text
    serving.problems = lambda: ["these threads have ended: opsbook-paging"]
    assert client.get("/healthz").json()["problem"] == "these threads have ended: opsbook-paging"
    serving.problems = list
    serving.counted.failing = "No space left on device"
    answer = client.get("/healthz")
    assert answer.status_code == 503 and answer.json()["problem"] == "No space left on device"
    assert "No space left on device" in client.get("/incidents").text


def test_notifications_keep_their_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "hooks")
    for number in range(50):
        spool.put(str(number).encode())
    assert [data for _, data in spool.batch(100, 1000)] == [str(number).encode() for number in range(50)]
    assert len(list(spool.batch(7, 1000))) == 7 and len(list(spool.batch(100, 10))) == 11


def test_a_heartbeat_that_stops_is_an_incident_once(project: Project) -> None:
    found = settings.load(project.root, given=True)
    told = intake.parsed(json.dumps(notification("Watchdog", severity="none", environment="dev")).encode())
    beats = Heartbeats(found)
    assert list(beats.silent(time.time() + 2 * SILENT)) == []
    beats.hear([told])
    assert beats.latest() > time.time() - 60
    # Another process goes on with what this one heard.
    again = Heartbeats(found)
    assert list(again.silent(time.time() + SILENT - 5)) == []
    (opened,) = again.silent(time.time() + SILENT + 5)
    assert (opened.severity, opened.environment, opened.by) == ("critical", "dev", "opsbook")
    assert "No alerts arrive any more from dev" in opened.title
    assert list(again.silent(time.time() + 9 * SILENT)) == [] and list(Heartbeats(found).silent(1e12)) == []
    (found.state / "heartbeats.json").write_text("nothing")
    assert Heartbeats(found).latest() == 0


def test_an_incident_leads_to_its_page_of_the_site_filled_in(serving: Serving, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "runbooks").mkdir(parents=True)
    (site / "index.html").write_text("the site")
    (site / "runbooks/restart-it.html").write_text("<h1>Restart it</h1>")
    (tmp_path / "secret").write_text("a secret")
    (site / "link").symlink_to(tmp_path / "secret")
    serving.site = site
    values = {"host": "a b&c", "how": '"><b>'}
    for page in ("restart-it", "unknown"):
        opened = facts.IncidentOpened(
            incident=store.new_id(),
            title=page,
            severity="high",
            environment="dev",
            by="ann",
            runbook=page,
            parameters=values,
        )
        store.create(serving.settings, [opened], Redactor())
    with answering(serving) as client:
        first, second = (client.get(f"/incidents/{each.name}").text for each in store.every(serving.settings.records))
        assert "/site/" not in first, "the site has no such page"
        (link,) = re.findall(r'href="(/site/[^"]+)"', second)
        address = html.unescape(link)
        assert dict(parse_qsl(urlsplit(address).query)) == {"environment": "dev", **values}
        assert "Restart it" in client.get(address).text
        assert "/site/" in client.get("/incidents").text
        assert client.get("/site/").text == "the site"
        for outside in ("link", "../secret", "%2e%2e/secret", "..%2fsecret"):
            assert client.get(f"/site/{outside}").status_code == 404


RUN = """\
## Steps

### Wait for <b>somebody</b>
```python timeout=60
from opsbook import ask
ask("colour", "Which <i>one</i>?", choices=["red", "blue"])
```

### Go on
```python
print("done")
```
"""


@pytest.mark.slow
def test_a_run_is_followed_until_it_is_a_record(project: Project, client: httpx.Client) -> None:
    project.page(RUN, "waits", front="rollback: none\n")
    project.start("run", "waits", "-e", "dev", "--detach")
    until(lambda: project.records() and "Which" in json.dumps(status(project)), "its question")
    run = project.records()[-1].name
    page = client.get(f"/runs/{run}").text
    assert "Wait for &lt;b&gt;somebody" in page and "Which &lt;i&gt;one" in page and "not reached" in page
    with client.stream("GET", f"/runs/{run}/events", timeout=30) as told:
        bodies = (json.loads(line[6:])["body"] for line in told.iter_lines() if line.startswith("data: "))
        assert f"opsbook answer {run}" in next(bodies)
        project.opsbook("answer", run, "colour=red", check=True)
        last = next(body for body in bodies if "Its record" in body)
    assert "succeeded" in last and "opsbook answer" not in last
    assert client.get(f"/runs/{run}").text == (project.records()[-1] / PAGE).read_text()
    page_ = project.records()[-1] / PAGE
    page_.write_text(page_.read_text() + "<script>more()</script>")
    changed = client.get(f"/runs/{run}")
    assert changed.status_code == 404 and "was changed after it was sealed" in changed.text
    quarantine = project.root / "records/quarantine"
    quarantine.mkdir()
    project.records()[-1].rename(quarantine / run)
    for strange in (run, run[:-1], "%2e%2e%2fopsbook.toml", "x" * 300):
        assert client.get(f"/runs/{strange}").status_code == 404, strange


def status(project: Project) -> Any:
    return json.loads(project.opsbook("status", "--json", check=True).out)["runs"]
