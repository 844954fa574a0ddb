"""What people do in a browser: signed in by the command line, with forms of the server's own pages only."""

import html
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsbook import settings
from opsbook.core.model.events import read
from opsbook.core.planning import context
from opsbook.incidents import store
from opsbook.incidents.acting import NOBODY, Acting, Opening, open_
from opsbook.incidents.incident import Incident, State
from opsbook.serve import forms, sessions
from tests.support import browser
from tests.support.alerts import notification
from tests.support.project import Project, until
from tests.support.serving import Server, incidents

pytestmark = pytest.mark.slow

chromium = browser.chromium


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    made = Server(project)
    yield made
    made.end()
    made.client.close()


def link(server: Server, *more: str) -> str:
    made = server.project.opsbook("sign-in", "--port", str(server.port), "--json", *more, check=True)
    return str(json.loads(made.out)["link"])


@contextmanager
def signed_in(server: Server, address: str = "") -> Iterator[httpx.Client]:
    """A browser of the operator, or of whose link this is; it sends forms as a page of this server does."""
    with httpx.Client(base_url=server.address, headers={"Origin": server.address}, follow_redirects=True) as made:
        assert made.get(address or link(server)).status_code == 200
        yield made


def opened(server: Server, title: str = "Nobody can log in") -> Incident:
    return open_(settings.load(server.project.root, given=True), Opening(title, environment="dev"))


def now(server: Server) -> Incident:
    return store.load(store.find(settings.load(server.project.root, given=True), "last"))


def test_a_link_is_valid_once_and_for_a_while(server: Server) -> None:
    first = link(server)
    with httpx.Client() as one, httpx.Client() as other:
        answer = one.get(first)
        assert (answer.status_code, answer.headers["location"]) == (303, "/incidents")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and first.partition("=")[2] not in cookie
        assert f"You act as {context.operator()}" in one.get(f"{server.address}/incidents").text
        assert one.get(first).status_code == 303, "who is signed in stays it"
        refused = other.get(first)
        assert refused.status_code == 403 and "was used before" in refused.text
        assert other.get(f"{server.address}/sign-in").status_code == 403
        assert other.get(f"{server.address}/sign-in?key=..%2f..%2fhook-token").status_code == 403
    late = link(server)
    (file,) = (server.project.root / ".opsbook" / sessions.FOLDER).iterdir()
    file.write_text(json.dumps({"who": "ann", "until": time.time() - 1}))
    assert httpx.get(late).status_code == 403 and not file.exists()


def test_only_who_is_signed_in_acts_and_only_from_a_page_of_the_server(server: Server) -> None:
    found = opened(server)
    place = f"/incidents/{found.id}"
    said = {"note": "<b>typed with care</b>"}
    with signed_in(server) as ann, httpx.Client(base_url=server.address) as somebody:
        shown = somebody.get(place).text
        assert "<form" not in shown and "opsbook sign-in" in shown
        refused = somebody.post(f"{place}/note", data=said, headers={"Origin": server.address})
        assert refused.status_code == 403 and "You are not signed in" in refused.text and "<b>" not in refused.text
        for origin in ("http://127.0.0.1:1", "null", "https://attacker.example", ""):
            elsewhere = ann.post(f"{place}/note", data=said, headers={"Origin": origin})
            assert elsewhere.status_code == 403 and "typed with care" not in elsewhere.text
        assert ann.post("/sign-out", headers={"Origin": "null"}).status_code == 403
        assert len(now(server).events) == len(found.events)
        assert ann.post(f"{place}/note", content=b"\xff=\xff").status_code == 404
        assert ann.post(f"{place}/note", content=b"note=" + b"x" * forms.LARGEST).status_code == 404
        assert ann.post(f"{place}/unheard-of").status_code == 400
        assert ann.post("/incidents/inc-1/note", data=said).status_code == 404
        assert ann.get(f"{place}/note").url.path == place, "a page that was loaded again"
        assert ann.post(f"{place}/note", data=said).url.path == place
        assert "&lt;b&gt;typed with care" in somebody.get(place).text
        assert ann.post("/sign-out").status_code == 200
        assert ann.post(f"{place}/note", data=said).status_code == 403
    assert len(now(server).events) == len(found.events) + 1


def test_through_a_proxy_its_address_counts(server: Server) -> None:
    found = opened(server)
    assert server.end() == 0
    for wrong in ("ops.example", "https://ops.example/incidents", "ftp://x", "https://ops.example:port"):
        refused = server.project.opsbook("serve", "--port", str(server.port), "--address", wrong)
        assert refused.code == 2 and "such as https://ops.example" in refused.err
    server.start("--address", "https://ops.example/")
    made = link(server, "--address", "https://ops.example")
    key = made.removeprefix("https://ops.example/sign-in?key=")
    cookie = httpx.get(f"{server.address}/sign-in?key={key}").headers["set-cookie"]
    assert "Secure" in cookie
    headers = {"Cookie": cookie.partition(";")[0]}
    for origin, code in (("https://ops.example", 303), (server.address, 403)):
        place = f"{server.address}/incidents/{found.id}/ack"
        assert httpx.post(place, headers={**headers, "Origin": origin}).status_code == code
    assert now(server).state is State.ACKNOWLEDGED


def test_every_form_does_what_its_command_does(server: Server) -> None:
    """From the first look to a review that is written, as the person who signed in."""
    server.project.write("oncall/platform.ics", "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//y//EN\nEND:VCALENDAR\n")
    runs = server.project
    runs.page("## Steps\n\n```python\nprint(1)\n```\n", "page")
    runs.opsbook("run", "page", "-e", "dev", check=True)
    here = settings.load(server.project.root, given=True)
    with signed_in(server, f"/sign-in?key={sessions.make_link(here, 'zoe@elsewhere')}") as zoe:
        assert zoe.post("/incidents/open", data={"title": " "}).status_code == 400
        made = zoe.post("/incidents/open", data={"title": "Slow", "severity": "high", "environment": "dev"})
        place = made.url.path

        def send(form: str, code: int = 200, **said: str) -> str:
            answer = zoe.post(f"{place}/{form}", data=said)
            assert answer.status_code == code, answer.text
            return html.unescape(answer.text)

        Acting(here, "last").acknowledge()
        assert f"already, by {context.operator()}" in send("ack", 400)
        send("note", note="first\nsecond")
        send("severity", severity="low", why="few players")
        send("role", role="scribe", who="")
        send("update", audience="players", message="We work on it.")
        assert NOBODY in send("escalate", why="a second pair of eyes", to="platform")
        send("attach", run="last")
        send("mitigate", how="restarted")
        send("resolve", how="a full disk", anyway="")
        refused = send("close-review", 400)
        assert "There is no review" in refused
        assert "Written: reviews/" in send("review")
        send("action", task="rotate the log", owner="ann", due="2026-12-24")
        assert "'x' is no number" in send("close-action", 400, number="x", how="a <b>new</b> rule")
        send("close-action", number="1", how="a new rule")
        review = here.root / f"reviews/{now(server).id}.md"
        review.write_text(review.read_text().replace("TODO", "Done:"))
        send("close-review")
        offered = {each.name for state in State for each in forms.forms(here, state)}
        assert offered == {*forms._DOES}
    found = now(server)
    assert (found.state, found.severity, found.roles["scribe"], len(found.runs)) == (
        State.REVIEWED,
        "low",
        "zoe@elsewhere",
        1,
    )
    who = {getattr(fact, "by", None) for fact in map(read, found.events)}
    assert who == {"zoe@elsewhere", context.operator(), None}
    assert runs.opsbook("incident", "verify", "last").code == 0


def test_what_was_not_done_is_not_typed_again(server: Server) -> None:
    assert server.send(notification("HostDown", environment="dev", host="web-2"))
    until(lambda: bool(incidents(server.project)), "an incident is open")
    with signed_in(server) as ann:
        place = f"/incidents/{now(server).id}"
        refused = ann.post(f"{place}/resolve", data={"how": 'it was <i>"nothing"</i>'})
        assert refused.status_code == 400 and "HostDown still fires" in refused.text
        assert "<i>" not in refused.text and '\nit was <i>"nothing"</i></textarea>' in html.unescape(refused.text)
        assert ann.post(f"{place}/resolve", data={"how": "nothing", "anyway": "yes"}).status_code == 200
    assert now(server).state is State.RESOLVED


def test_an_incident_is_worked_on_from_a_phone(server: Server, chromium: Any, tmp_path: Path) -> None:
    """What is being typed stays while the page changes by itself."""
    here, found = settings.load(server.project.root, given=True), opened(server)
    with chromium.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce") as context_:
        page = context_.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(link(server), wait_until="domcontentloaded")
        page.click("text=Nobody can log in")
        page.wait_for_selector("#connection:has-text('Current as of')")
        page.click("button:has-text('Acknowledge')")
        page.wait_for_selector(".badge.acknowledged")
        page.click("summary:has-text('Note')")
        page.fill("textarea[name=note]", "the fan stopped")
        Acting(here, found.id).note("meanwhile")
        page.wait_for_selector("text=meanwhile")
        page.screenshot(path=str(tmp_path / "phone.png"), full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.click("button:has-text('Note')")
        page.wait_for_selector(".time :text('the fan stopped')")
    assert wrong == []
    assert now(server).state is State.ACKNOWLEDGED
