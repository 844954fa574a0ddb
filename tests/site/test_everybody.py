"""The site for everybody: on a phone, on paper, in the dark, by keyboard, and small."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.site.conftest import EVIL, LISTS, PAGES, RUNBOOK, Open

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("path", [path for path in LISTS if path != "records/index.html"])
def test_on_a_phone_each_cell_says_what_it_is(opened: Open, path: str) -> None:
    page = opened(path, 360)
    page.locator("table.ob-rows td[data-label]").first.wait_for()
    for cell in page.locator("table.ob-rows td[data-label]:visible").all():
        label = cell.evaluate("(cell) => getComputedStyle(cell, '::before').content")
        assert label.strip('"') not in ("", "none")
        assert cell.evaluate("(cell) => getComputedStyle(cell).display") == "block"


def test_on_a_phone_a_record_is_two_lines(opened: Open) -> None:
    page = opened("records/index.html", 360)
    row = page.locator(".ob-records tr[id]").first
    row.wait_for()
    assert row.bounding_box()["height"] < 80
    said = row.evaluate("(row) => getComputedStyle(row.lastElementChild, '::before').content")
    assert "took" in said


@pytest.mark.parametrize("path", ["records/index.html", "runbooks/index.html"])
def test_on_a_phone_the_hint_of_the_filter_is_whole(opened: Open, path: str) -> None:
    page = opened(path, 360)
    wide = page.evaluate("""() => {
      const field = document.querySelector("#ob-filter");
      const style = getComputedStyle(field, "::placeholder");
      const pen = document.createElement("canvas").getContext("2d");
      pen.font = `${style.fontSize} ${style.fontFamily}`;
      const inside = getComputedStyle(field);
      const room = field.clientWidth - parseFloat(inside.paddingLeft) - parseFloat(inside.paddingRight);
      return [pen.measureText(field.placeholder).width, room];
    }""")
    assert wide[0] <= wide[1]


def test_the_line_is_whole_on_a_phone_and_copied_as_it_is(opened: Open) -> None:
    page = opened(f"{RUNBOOK}?name={'very-long-' * 30}&tags=a%20b", 360)
    code = page.locator(".ob-line code")
    assert page.evaluate(
        "(() => { const e = document.querySelector('.ob-line'); return e.scrollWidth <= e.clientWidth; })()"
    )
    assert code.bounding_box()["height"] > 100
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.ob-line code'))")
    assert page.evaluate("getSelection().toString()") == code.text_content()


def test_paper_is_white_whatever_the_screen_is(opened: Open) -> None:
    page = opened(RUNBOOK, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    for selector in ("h1", "h2", "h3", ".ob-card dt", ".ob-card dd", ".ob-summary", ".ob-line code", ".ob-field label"):
        colour = page.evaluate(f"getComputedStyle(document.querySelector({selector!r})).color")
        red, green, blue = map(int, re.findall(r"[0-9]+", colour)[:3])
        assert red + green + blue < 3 * 128, (selector, colour)
    ground = page.evaluate("getComputedStyle(document.querySelector('.ob-card')).backgroundColor")
    assert min(map(int, re.findall(r"[0-9]+", ground)[:3])) > 230, ground


def _go(page: Any, path: str) -> None:
    """To another page of the site, in the same tab."""
    page.goto(page.url.partition("/site/")[0] + f"/site/{path}")


def test_a_phone_needs_no_sideways_scrolling(opened: Open) -> None:
    page = opened(PAGES[0], 360)
    for path in PAGES:
        _go(page, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_dark_where_the_system_is(opened: Open) -> None:
    for scheme, expected in (("dark", "slate"), ("light", "default")):
        page = opened(RUNBOOK, color_scheme=scheme)
        assert page.locator("body").get_attribute("data-md-color-scheme") == expected


def test_on_paper_it_is_a_checklist(opened: Open) -> None:
    page = opened(RUNBOOK)
    page.emulate_media(media="print")
    box = page.evaluate("getComputedStyle(document.querySelector('.ob-step'), '::before').content")
    assert "☐" in box
    assert not page.locator("details.ob-code").last.is_visible()
    assert not page.locator(".md-header").is_visible()
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert not page.locator("details.ob-code").last.is_visible(), "as the theme does before it prints"
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = false))")
    page.keyboard.press("c")
    assert page.locator("details.ob-code").last.is_visible(), "whoever unfolds it gets it"


def test_a_page_is_small(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert path.stat().st_size <= 150_000, path


def test_no_link_leads_nowhere(site: Path, chromium: Any) -> None:
    """MkDocs looks at links in Markdown only: those in the lists are looked at here."""
    page = chromium.new_page()
    for path in set(site.rglob("*.html")) - {site / "404.html"}:
        page.goto(path.as_uri())
        for link in page.evaluate(
            "[...document.querySelectorAll('a[href]')].map((a) => new URL(a.getAttribute('href'), a.baseURI).href)"
        ):
            if link.startswith("file:"):
                assert Path(link.removeprefix("file://").partition("#")[0].partition("?")[0]).is_file(), (path, link)
    page.close()


def test_the_data_is_what_the_records_say(site: Path) -> None:
    (month,) = (site / "assets/records").glob("*.js")
    text = month.read_text(encoding="utf-8")
    rows = json.loads(text[text.index(",") + 1 : text.rindex(")")])
    assert sorted(row[5] for row in rows) == ["failed", "succeeded", "succeeded"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_to_say(opened: Open, scheme: str) -> None:
    """WCAG AA, as far as a program can tell."""
    from axe_playwright_python.sync_playwright import Axe

    page = opened(PAGES[0], color_scheme=scheme)
    for path in PAGES:
        _go(page, path)
        page.keyboard.press("c")
        found = Axe().run(page, options={"preload": False, "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"


def test_a_record_has_a_page_of_its_own_that_runs_nothing(published: Any, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 360, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    said = ""
    page.on("request", lambda request: asked.append(request.url))
    for record in published.records():
        page.goto((record / "index.html").as_uri())
        assert page.locator("h1").inner_text().startswith("Check it in ")
        assert page.evaluate("window.bad") is None
        assert page.locator("a, form, script, img, iframe").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        said += page.locator("body").inner_text()
    assert EVIL in said
    assert all(url.startswith("file:") for url in asked)
    assert published.opsbook("records", "verify", "last").code == 0
    context.close()
