"""The site in a real browser, opened from the file system, with nothing but itself to load."""

import contextlib
import functools
import http.server
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from opsbook.core.source import notebook
from opsbook.site import facts, lists
from opsbook.site import site as site_files
from tests.fuzz.mutations import FUZZ
from tests.site.conftest import RUNBOOK, Open, line
from tests.support import browser

pytestmark = pytest.mark.slow


# -- the form


def test_the_form_writes_the_command(opened: Open) -> None:
    page = opened(RUNBOOK)
    assert line(page) == "opsbook run clear-cache -e dev -p name=…"
    assert page.locator(".ob-copy").is_disabled()
    page.fill("#ob-p-name", "it's full")
    page.fill("#ob-p-percent", "20")
    page.select_option("#ob-p-how", "hard")
    assert line(page) == r"opsbook run clear-cache -e dev -p 'name=it'\''s full' -p percent=20 -p how=hard"
    assert page.locator(".ob-copy").is_enabled()


REFUSED = (
    ("percent", "51", "51 is not between 1 and 50"),
    ("percent", "many", '"many" is not a whole number'),
    ("pause", "soon", '"soon" is not a duration'),
    ("host", "Web 1", "does not match"),
    ("percent", "", '"" is not a whole number'),
)


def test_it_refuses_what_the_command_line_refuses(opened: Open) -> None:
    page = opened(f"{RUNBOOK}?name=x")
    for name, value, said in REFUSED:
        field = page.locator(f"#ob-p-{name}")
        good = field.input_value()
        field.fill(value or "x")
        field.fill(value)
        wrong = page.locator(f"#ob-p-{name}-wrong")
        assert wrong.is_visible() and said in wrong.inner_text()
        assert page.locator(".ob-copy").is_disabled()
        assert field.get_attribute("aria-invalid") == "true"
        field.fill(good)
        assert page.locator(".ob-copy").is_enabled()


def test_an_alert_fills_it_by_its_url(opened: Open) -> None:
    page = opened(f"{RUNBOOK}?name=a%20%26%20b&percent=7&tags=x&tags=y&token=s3cret&unknown=1")
    assert line(page) == "opsbook run clear-cache -e dev -p 'name=a & b' -p percent=7 -p tags=x -p tags=y"
    assert "s3cret" not in page.locator(".ob-form").inner_text()
    page = opened(f"{RUNBOOK}?name=x&how=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    assert page.locator(".ob-copy").is_disabled()


def test_the_copied_line_gives_a_shell_the_exact_values(opened: Open) -> None:
    page = opened(RUNBOOK)

    @FUZZ
    @given(st.text(alphabet=st.sampled_from("ab '\"\\$`!#&;|<>(){}[]*?~^%\t=-,.:/@ü😀") | st.characters(), min_size=1))
    def exact(value: str) -> None:
        # A field of one line has no line ends, a terminal takes control characters for keys, no file has the rest.
        value = "".join(c for c in value if c == "\t" or (c >= " " and c != "\x7f" and not "\ud800" <= c <= "\udfff"))
        assume(value)
        page.fill("#ob-p-name", value)
        words = subprocess.run(
            ["sh", "-c", f'opsbook() {{ printf "%s\\0" "$@"; }}; {line(page)}'], capture_output=True, check=True
        ).stdout
        given_ = words.decode().split("\0")[:-1]
        assert given_ == ["run", "clear-cache", "-e", "dev", "-p", f"name={value}"]
        assert shlex.split(line(page))[1:] == given_

    exact()


def test_values_are_put_where_they_are_used(opened: Open) -> None:
    page = opened(f"{RUNBOOK}?name=full&host=web-7")
    assert page.locator("code", has_text="redis-cli -h web-7").count() == 1
    page.keyboard.press("c")
    shown = page.locator(".ob-value")
    assert shown.first.get_attribute("data-value") in ("full", "web-7")
    page.fill("#ob-p-host", "web-8")
    assert page.locator("code", has_text="redis-cli -h web-8").count() == 1


def test_code_is_one_key_away(opened: Open) -> None:
    page = opened(RUNBOOK)
    code = page.locator("details.ob-code pre").last
    assert not code.is_visible()
    page.keyboard.press("c")
    assert code.is_visible()
    page.locator("#ob-p-name").press("c")
    assert code.is_visible(), "a letter in a field is a letter"
    page.locator("h1").click()
    page.keyboard.press("c")
    assert not code.is_visible()


# -- finding


def test_search_finds_a_runbook(opened: Open) -> None:
    page = opened("index.html")
    for words in ("CacheFull", "storage", "cache of a host is full", "redis-cli"):
        page.reload()
        page.keyboard.press("/")
        page.keyboard.type(words)
        page.locator(".md-search-result__link", has_text="Clear the cache").first.wait_for()


def test_home_leads_to_a_runbook_in_one_click(opened: Open) -> None:
    page = opened("index.html")
    page.locator("tr", has_text="CacheFull").locator("a").click()
    assert page.locator("h1").inner_text().startswith("Clear the cache")


def test_runbooks_can_be_narrowed_down(opened: Open) -> None:
    page = opened("runbooks/index.html")
    page.fill("#ob-filter", "cachefull")
    assert page.locator(".ob-list tbody tr:visible").count() == 1
    assert page.locator(".ob-count").inner_text() == "1 of 2"


def test_records_are_listed_and_narrowed_down(opened: Open) -> None:
    page = opened("records/index.html")
    page.locator(".ob-records tr[id]").nth(1).wait_for()
    page.fill("#ob-filter", "failed dev")
    assert page.locator(".ob-records tr[id]").count() == 1
    page.locator(".ob-records tr[id] a").click()
    assert "opsbook records show" in page.locator(".ob-records tr:visible").last.inner_text()
    page.fill("#ob-filter", "nothing has this")
    assert page.locator(".ob-count").inner_text() == "0 of 3"


def test_an_environment_says_what_is_published(opened: Open, site: Path) -> None:
    page = opened("records/index.html")
    page.locator(".ob-records tr[id]").nth(2).wait_for()
    assert "quiet" not in page.locator("#ob-records").inner_text()
    for name, pages in (("dev", 0), ("open", 1)):
        page.fill("#ob-filter", f"succeeded {name}")
        page.locator(".ob-records tr[id] a").click()
        assert page.get_by_text("the whole record").count() == pages
    page.get_by_text("the whole record").click()
    assert page.locator("h1").inner_text() == "Check it in open"
    assert page.evaluate("window.bad") is None
    assert len(list((site / "records").glob("*/index.html"))) == 1


def test_a_tree_is_walked_by_keyboard_alone(opened: Open) -> None:
    page = opened("index.html")
    page.locator("tr", has_text="It is slow").locator("a").press("Enter")
    question = page.locator(".ob-walk .ob-question")
    assert question.inner_text() == "Is it slow?"
    page.keyboard.press("1")
    assert question.inner_text() == "Is it full?"
    page.keyboard.press("Backspace")
    assert question.inner_text() == "Is it slow?"
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    assert page.locator(".ob-walk .ob-advice").inner_text() == "Clear it"
    assert page.locator(".ob-trail").inner_text().split("\n") == ["Is it slow? yes", "Is it full? yes"]
    page.keyboard.press("Enter")
    page.wait_for_url("**/clear-cache.html")


def test_what_hosts_said_runs_nothing(opened: Open) -> None:
    for path in ("index.html", "records/index.html", "runbooks/check-it.html", "freshness.html"):
        page = opened(path)
        for link in page.locator("#ob-records tr[id] a").all():
            link.click()
        assert page.evaluate("window.bad") is None
        assert page.locator("a[href^='javascript:']").count() == 0


# -- what the theme gives

COMMANDS = """\
opsbook list --kind check   # what looks
opsbook run check-it \\
-e dev"""


def test_a_console_is_copied_without_prompts_and_what_it_said(opened: Open) -> None:
    page = opened("manual.html")
    page.evaluate("document.querySelector('h1').append(document.createElement('textarea'))")
    buttons = page.locator(".md-clipboard, .md-code__button[data-md-type=copy]")
    for number, copied in enumerate((COMMANDS, "Only what it says.")):
        page.locator(".highlight").nth(number).hover()
        buttons.nth(number).click()
        page.locator("h1 textarea").fill("")
        page.locator("h1 textarea").press("Control+v")
        assert page.locator("h1 textarea").input_value() == copied


class Lost(http.server.SimpleHTTPRequestHandler):
    """A server that shows 404.html for whatever is not there."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = Path(self.directory, "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    handler = functools.partial(Lost, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_an_address_that_is_none_leads_on_and_asks_nobody_else(served: str, chromium: Any) -> None:
    with contextlib.closing(chromium.new_page()) as page:
        page.set_default_timeout(browser.PATIENCE)
        asked, wrong = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("response", lambda response: wrong.append(response.url) if response.status >= 400 else None)
        page.goto(f"{served}runbooks/of/old/nothing.html")
        page.locator("main label.md-button").click()
        page.keyboard.type("CacheFull")
        page.locator(".md-search-result__link", has_text="Clear the cache").first.wait_for()
        page.keyboard.press("Escape")
        page.locator("main").get_by_text("home").click()
        page.wait_for_url(f"{served}index.html")
    assert [url for url in asked if not url.startswith((served, "data:", "blob:"))] == []
    assert wrong == [f"{served}runbooks/of/old/nothing.html"]


def test_no_page_has_anything_of_another_host(site: Path) -> None:
    elsewhere = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\s(?:src|href)=.?(?:https?:)?//[^>]*")
    for path in site.rglob("*.html"):
        assert not elsewhere.search(path.read_text(encoding="utf-8")), path
    assert not re.search("href=.?https?:", (site / "404.html").read_text(encoding="utf-8"))


# -- many records


def many(folder: Path, number: int = 250) -> Path:
    """The page of so many records, as the site has it, without the theme around it."""
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    page = "---\ntitle: Deploy it\nkind: deploy\n---\n\n# Deploy it\n\n## Steps\n\n### Put it out\n\nDo.\n"
    runbook, _ = notebook.parse(page, "runbooks/deploy-it.md")
    told = {"runbook": "deploy-it", "title": "Deploy it", "environment": "dev", "outcome": "succeeded", "seconds": 4000}
    steps = [{"step": step, "status": "succeeded", "seconds": 185} for step in ("put-it-out", "gone-since")]
    runs = [
        facts.run(
            {**told, "run": f"r{n}", "started": (now - timedelta(hours=9 * n)).isoformat(), "steps": steps}, page=False
        )
        for n in range(number)
    ]
    sources = lists.Sources(now=now, name="x", runbooks=(runbook,), runs=tuple(filter(None, runs)))
    for path, data in lists.record_data(sources):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(data, encoding="utf-8")
    for path, content in site_files.assets().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    body = lists.records(sources).split("---\n", 2)[2]
    script = f"<script src='../{site_files.ASSETS}/opsbook.js'></script>"
    made = folder / "records/index.html"
    made.parent.mkdir()
    made.write_text(f"<!doctype html><meta charset=utf-8><body>{body}{script}", encoding="utf-8")
    return made


@pytest.fixture
def records(tmp_path: Path, chromium: Any) -> Iterator[Open]:
    """Open the page of many records at an address of its own; nothing on it fails."""
    context, made, wrong = chromium.new_context(), many(tmp_path), []

    def new(rest: str = "") -> Any:
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(made.as_uri() + rest)
        page.locator(".ob-count", has_text="of 250").wait_for()
        return page

    yield new
    context.close()
    assert not wrong


def test_a_link_opens_a_record_wherever_it_is(records: Open) -> None:
    page = records("#r240")
    assert page.locator("#r240 + .ob-more").is_visible()
    assert page.locator("#r240").bounding_box()["y"] < 900
    page.evaluate("location.hash = '#r249'")
    page.locator("#r249 + .ob-more").wait_for()
    page.fill("#ob-filter", "nothing has this")
    page.evaluate("location.hash = '#r1'")
    page.locator("#r1 + .ob-more").wait_for()


def test_an_address_that_names_no_record_breaks_nothing(records: Open) -> None:
    for rest in ("#%", "#%e4", "#gone", "#", "#__proto__"):
        page = records(rest)
        assert page.locator(".ob-records tr[id]").count() == 100, rest
        assert page.locator(".ob-more:visible").count() == 0, rest
        page.close()


def test_one_click_opens_a_record_and_one_closes_it(records: Open) -> None:
    page = records()
    first, second = page.locator("#r1 a"), page.locator("#r2 a")
    first.click()
    second.click()
    assert page.locator(".ob-more:visible").count() == 2
    assert page.url.endswith("#r2")
    first.click()
    assert [first.get_attribute("aria-expanded"), second.get_attribute("aria-expanded")] == ["false", "true"]
    assert page.locator(".ob-more:visible").count() == 1
    page.fill("#ob-filter", "dev")
    assert page.locator("#r2 + .ob-more").is_visible(), "a filter closes nothing that it shows"
    page.locator("#r2 a").click()
    assert page.locator(".ob-more:visible").count() == 0


def test_records_are_said_in_words(records: Open) -> None:
    page = records()
    heads = [each.inner_text() for each in page.locator(".ob-records thead th").all()]
    assert heads == ["outcome", "what", "environment", "by", "started", "took"]
    assert page.locator("#r1").inner_text().split("\t")[1:] == [
        "Deploy it deploy",
        "dev",
        "—",
        "2026-11-20 03:00",
        "1h 06m",
    ]
    page.locator("#r1 a").click()
    steps = [each.inner_text() for each in page.locator("#r1 + .ob-more li").all()]
    assert steps == ["Put it out: succeeded, 3m 05s", "gone-since: succeeded, 3m 05s"]
