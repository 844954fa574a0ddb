"""Pages of the site as text: what an author wrote stays, what a reader needs is added, and nothing runs."""

import html
import re
from datetime import UTC, datetime, timedelta

import markdown
import pytest
import yaml
from jinja2 import UndefinedError
from material.plugins.search.plugin import Parser

from opsbook.core.model.environment import Environment, Policy
from opsbook.core.model.runbook import Runbook
from opsbook.core.source import notebook
from opsbook.diagnose.trees import Node, Tree
from opsbook.html import data, render, text
from opsbook.operate.under_way import AskedQuestion, RunStatus
from opsbook.settings import Severity
from opsbook.site import facts, fences, lists
from opsbook.site.decision_tree import tree_page
from opsbook.site.facts import Facts, Run
from opsbook.site.lists import Sources
from opsbook.site.pages import Context, runbook_page

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"
DEV = Environment("dev", Policy(title="Here", contacts=("team: #here",)), "x", ("h",), choices={"Release": ("8.1.0",)})

PAGE = """\
---
title: Deploy it
summary: Put it out.
kind: deploy
owner: platform
duration: 3m
alerts: [ItIsDown]
lock: ["{environment}/web"]
rollback: automatic
---

# Deploy it

## Overview
See [the manual](../docs/manual.md), [the other](other.md#steps) and [the playbook](../playbooks/x.yml).

## Parameters

```python tags=["parameters"]
from opsbook.params import Release, Secret
version: Release           # Which version
token: Secret              # For the API
```

## Steps

### Do it
Expected: it is done,
and stays so.

```python timeout=60
print(version)
```

```console
$ deploy $version
```

### By hand
Turn the key.

### In a shell

```bash
echo "$version"
```

## Rollback

### Undo it

```python
print("undone")
```
"""


def parsed(source: str, name: str = "deploy-it") -> Runbook:
    runbook, problems = notebook.parse(source, f"runbooks/{name}.md")
    assert not problems
    return runbook


def context(*published: str) -> Context:
    return Context(NOW, (DEV,), lambda path: path in published)


def page(known: Facts | None = None, source: str = PAGE) -> str:
    return runbook_page(parsed(source), known or Facts(), context("docs/manual.md", "runbooks/other.md"))


def rendered(text_: str, *more: str) -> str:
    body = text_.split("---\n", 2)[2]
    extensions = [*more, "attr_list", "md_in_html", "tables", "pymdownx.superfences", "opsbook"]
    return str(markdown.markdown(body, extensions=extensions))


def test_the_prose_of_the_author_stays() -> None:
    made = rendered(page())
    assert "<h1>Deploy it</h1>" in made
    assert "Turn the key." in made
    assert '<p class="ob-expected">Expected: it is done,\nand stays so.</p>' in made


def test_code_is_folded_and_no_fence_is_left() -> None:
    made = rendered(page())
    assert made.count('<details class="ob-code"') == 4
    assert "python · 1 line" in made and "bash · 1 line" in made
    assert "```" not in made and "~~~" not in made and "tags=" not in made
    assert "$version</span>" in made


BEHIND = ("```bash\nls\n```", "```console\n$ ls\n```", "### Next\nGo on.", "~~~text\nx\n~~~")


@pytest.mark.parametrize("behind", BEHIND)
def test_what_is_expected_ends_where_something_else_begins(behind: str) -> None:
    made = rendered(
        page(source=PAGE.replace("Expected: it is done,\nand stays so.\n", f"Expected: it is done.\n{behind}\n"))
    )
    assert '<p class="ob-expected">Expected: it is done.</p>' in made
    assert "{:" not in made and made.count('class="ob-expected"') == 1


def test_a_page_without_headings_gets_one_and_shows_no_attributes() -> None:
    made = rendered("---\nx: y\n---\n" + page(source="No heading here.\n\n```bash\n# not a heading\nls\n```\n"))
    assert "<h1>deploy-it</h1>" in made and "{:" not in made
    assert made.index("<h1>") < made.index('class="ob-card"') < made.index("No heading here.")


@pytest.mark.parametrize(
    ("heading", "shown"),
    [
        ("### Do {: #evil }", '<h3 class="ob-step" id="evil">Do</h3>'),
        ("### Do {#mine .big}", '<h3 class="big ob-step" id="mine">Do</h3>'),
        ("### Do ###", '<h3 class="ob-step" id="do">Do</h3>'),
        ("### Restart {host}", '<h3 class="ob-step" id="restart-host">Restart {host}</h3>'),
    ],
)
def test_headings_keep_what_their_author_gave_them(heading: str, shown: str) -> None:
    assert shown in rendered(page(source=PAGE.replace("### Do it", heading))).replace("&#123;", "{")


@pytest.mark.parametrize("title", [EVIL, "The <db> of {: .cls }", "[a](b) *c* `d` _e_ &amp; \\n"])
def test_titles_are_text(title: str) -> None:
    """In the heading, and as HTML in the front matter, which themes use as it is."""
    quoted = title.replace("'", "''")
    source = PAGE.replace("title: Deploy it", f"title: '{quoted}'").replace("# Deploy it\n", "")
    shown = page(source=source)
    assert yaml.safe_load(shown.split("---\n")[1])["title"] == html.escape(title)
    heading = re.search("<h1>(.*?)</h1>", rendered(shown))
    assert heading and html.unescape(heading[1]) == " ".join(title.split()) and "<" not in heading[1]


def test_owners_are_text() -> None:
    shown = lists.freshness(sources(runbooks=(parsed(PAGE.replace("owner: platform", f"owner: '{EVIL}'")),)))
    assert "<script" not in shown


def test_roles_and_steps_by_hand_can_be_told_apart() -> None:
    made = rendered(page())
    assert '<h2 class="ob-section ob-change" id="steps">' in made
    assert '<h2 class="ob-section ob-undo" id="rollback">' in made
    assert '<h3 class="ob-step ob-manual" id="by-hand">' in made


def test_links_lead_to_the_site_or_are_no_links() -> None:
    made = rendered(page())
    assert 'href="../manual.md"' in made
    assert 'href="other.md#steps"' in made
    assert "the playbook (<code>playbooks/x.yml</code>)" in made


def test_the_form_offers_what_the_environment_offers_and_no_secret() -> None:
    shown = page()
    assert '"choices":{"dev":{"Release":["8.1.0"]}}' in shown
    assert 'name="token"' in shown and "asked for when the run starts" in shown
    assert "opsbook run deploy-it -e dev -p version=…" in shown


@pytest.mark.parametrize("state", ["never", "fresh", "stale"])
def test_only_a_run_makes_a_page_green(state: str) -> None:
    age = {"fresh": 10, "stale": 100}
    runs = [run("succeeded", age[state])] if state in age else []
    found = facts.facts(runs, None, NOW)
    assert found.state == state
    assert f'class="ob-state ob-{state}"' in page(found)


def test_a_run_that_failed_lately_does_not_make_it_green() -> None:
    found = facts.facts([run("failed", 1), run("succeeded", 200)], timedelta(days=90), NOW)
    assert found.state == "stale"
    assert (found.rate, found.counted) == (0.5, 2)


def test_times_are_measured_from_runs_that_went_well() -> None:
    runs = [run("succeeded", n, seconds=float(n)) for n in range(1, 20)] + [run("failed", 20, seconds=900.0)]
    found = facts.facts(runs, None, NOW)
    assert (found.median, found.slow) == (10.0, 19.0)
    twenty = facts.facts([run("succeeded", n, seconds=float(n)) for n in range(1, 21)], None, NOW)
    assert twenty.slow == 19.0
    one = facts.facts([run("succeeded", 1)], None, NOW)
    assert (one.median, one.slow) == (5.0, None) and "19 of 20" not in page(one)
    assert found.steps == {"do-it": 10.0}
    assert "usually 10 s" in page(found)


def run(outcome: str, days: int, seconds: float = 5.0, **more: object) -> Run:
    told = {
        **{"run": f"2026-deploy-it-{days}", "runbook": "deploy-it", "title": "Deploy it", "environment": "dev"},
        **{"operator": "ann@host", "outcome": outcome, "reason": "it is so", "seconds": seconds, **more},
        "started": (NOW - timedelta(days=days)).isoformat(),
        "steps": [{"step": "do-it", "status": "succeeded", "seconds": seconds}],
    }
    found = facts.run(told, page=False)
    assert found is not None
    return found


def test_a_record_that_says_nothing_is_no_run() -> None:
    assert facts.run({"run": "x", "runbook": None, "started": None}, page=False) is None
    assert facts.run({"run": "x", "runbook": "y", "started": "yesterday"}, page=False) is None


# -- lists


def sources(**more: object) -> Sources:
    known = {"now": NOW, "name": "Operations", "runbooks": (parsed(PAGE),), "environments": (DEV,), **more}
    return Sources(**known)  # type: ignore[arg-type]


def test_home_leads_from_an_alert_to_its_runbook() -> None:
    shown = lists.home(sources())
    assert '<code>ItIsDown</code></td><td data-label="go to"><a href="runbooks/deploy-it.html">Deploy it</a>' in shown
    assert "team: #here" in shown and "Nothing is going on." in shown


def test_home_shows_what_is_not_done_with() -> None:
    waiting = RunStatus("r1", "Deploy it", "dev", "ann", "waiting", "2026", "", AskedQuestion("go", "Go?", (), "2026"))
    shown = lists.home(sources(under_way=(waiting,), runs=(run("succeeded", 1),)))
    assert "asks go: Go?" in shown and "<code>r1</code>" in shown
    assert "All records" in shown


def test_rows_of_the_home_page_lead_to_records_and_say_what_they_are() -> None:
    """A tree is one row with all that somebody sees who needs it."""
    changed = run("succeeded", 1)
    lost = RunStatus(changed.id, "Deploy it", "dev", "ann", "lost", "2026", "")
    going = RunStatus("r1", "Deploy it", "dev", "ann", "running", "2026", "")
    check = parsed(PAGE.replace("kind: deploy", "kind: check").replace("alerts: [ItIsDown]\n", ""))
    tree = Tree("t", "Is it?", Node("A?", 1), ("slow", "down"))
    shown = lists.home(sources(runbooks=(check,), runs=(changed,), under_way=(lost, going), trees=(tree,)))
    assert shown.count(f'href="records/index.html#{changed.id}"') == 2 and "index.html#r1" not in shown
    assert shown.count("asks, then sends you on") == 1 and "slow<br>down" in shown
    assert "<tr><td></td>" not in shown


def test_the_card_begins_with_who_to_call_and_says_how_code_unfolds() -> None:
    shown = page()
    assert re.search("<dl><dt[^>]*>call</dt>", shown) and "<kbd>c</kbd>" in shown


DRILL = """\
---
title: "Drill: it is slow"
summary: Practise what annoys everybody.
kind: training
owner: platform
environments: [dev]
alerts: [ItIsSlow]
drill:
  solved_by: [mend-cache]
  hints: [Look at the cache.]
---

# Drill: it is slow

## Overview
Practise what annoys everybody.

## Symptoms
Alert `ItIsSlow`: players wait.

## Fault
The cache is full.

## Parameters

```python tags=["parameters"]
from opsbook.params import Duration
par: Duration = "5m"   # For who knows the cache
```

## Steps

### Fill the cache
Expected: the cache is full.

```python
playbook("fill-cache.yml")
```

## Contacts
Platform team.
"""


def test_a_drill_is_practised_from_its_page_and_not_given_away() -> None:
    known = facts.facts([run("failed", 1, runbook="deploy-it")], None, NOW)
    shown = page(known, DRILL)
    assert "cache" not in shown.lower() and "opsbook run" not in shown
    for told in ("players wait.", "Platform team.", "$ opsbook drill start deploy-it\n", "opsbook drill stop"):
        assert told in shown
    assert "{:" not in rendered(shown) and "Press <kbd>" not in shown


def test_runs_of_a_drill_do_not_give_it_away() -> None:
    made = run("failed", 1, steps=(("fill-the-cache", "failed", 1.0),), reason="Fill the cache: full")
    going = RunStatus("r1", "Drill: it is slow", "dev", "ann", "running", "2026", "Fill the cache")
    found = sources(runbooks=(parsed(DRILL),), runs=(made,), under_way=(going,))
    files = "".join(content for _, content in lists.record_data(found))
    assert made.id in files
    assert "cache" not in (files + lists.records(found) + lists.home(found)).lower()


# -- what search knows


def searched(page_: str) -> dict[str, str]:
    """What the search of the theme takes from a page: the text of each section by its title."""
    found = Parser()
    found.feed(rendered(page_, "toc"))
    found.close()
    return {"".join(each.title).strip(): "".join(each.text) for each in found.data if not each.is_excluded()}


def test_search_knows_what_a_page_is_looked_for_by_and_no_list() -> None:
    known = facts.facts([run("succeeded", 1)], None, NOW)
    found = searched(page(known))
    assert "Last runs" not in found and found["Deploy it"].split("</p>")[1].split() == [
        *("owner", "platform", "alerts", "<code>ItIsDown</code>")
    ]
    assert "<pre><code>print(version)" in found["Do it"] and "For the API ·" not in found["Parameters"]
    tree = Tree("t", "Is it?", Node("A?", 1), ("slow", "down"))
    severity = Severity(name="S1", means="All", respond="now")
    home = searched(lists.home(sources(runs=(run("succeeded", 1),), trees=(tree,), severities=(severity,))))
    assert home["How bad is it?"].split() == ["severity", "means", "respond", "within", "call", "S1", "All", "now"]
    assert home["Who to call"].split() == ["environment", "contacts", "dev", "team:", "#here"]
    assert "ItIsDown" not in "".join(home.values()) and "What was changed lately" not in home
    for made in (lists.runbooks(sources()), lists.freshness(sources())):
        assert "Deploy it" not in "".join(searched(made).values())
    assert "slow, down" in "".join(searched(tree_page(tree)).values())


def test_the_page_for_lost_addresses_leads_on() -> None:
    made = lists.lost_page("<main><h1>404 - Not found</h1></main>", "/ops")
    assert 'for="__search"' in made and 'href="/ops/index.html"' in made and "404" not in made
    assert lists.lost_page("<h1>Ours</h1>", "") == "<h1>Ours</h1>"


def test_what_is_stale_is_listed_by_owner() -> None:
    shown = lists.freshness(sources())
    assert "## platform" in shown and "never run" in shown
    fresh = lists.freshness(sources(facts={"deploy-it": facts.facts([run("succeeded", 1)], None, NOW)}))
    assert "Every page was proved lately." in fresh


def test_records_are_data_by_month_and_no_page() -> None:
    found = sources(runs=(run("succeeded", 1), run("failed", 40)))
    assert '"months":["2026-11","2026-10"]' in lists.records(found)
    files = dict(lists.record_data(found))
    assert set(files) == {"assets/records/2026-11.js", "assets/records/2026-10.js"}


def test_empty_lists_say_what_to_do() -> None:
    empty = Sources(now=NOW, name="Operations")
    assert "opsbook new NAME" in lists.runbooks(empty)
    assert "Nothing was run yet." in lists.records(empty)
    assert "Nothing was run yet." in lists.home(empty)


# -- text stays text


def test_what_records_and_pages_say_is_text_everywhere() -> None:
    bad = run("succeeded", 1, reason=EVIL, operator=EVIL, title=EVIL, environment=EVIL)
    known = facts.facts([bad], None, NOW)
    evil = PAGE.replace("Put it out.", f"'{EVIL}'").replace("owner: platform", f"owner: '{EVIL}'")
    # No run says this of itself; a page must not believe any of it.
    now = RunStatus(*[EVIL] * 7)  # type: ignore[arg-type]
    found = sources(runs=(bad,), facts={"deploy-it": known}, under_way=(now,))
    shown = [page(known, evil), *(make(found) for make in lists.PAGES.values())]
    for each in (*shown, *(content for _, content in lists.record_data(found))):
        assert "<script>alert" not in each.replace(f"description: '{EVIL}'", ""), each


def test_a_template_has_every_value_and_a_value_is_no_template() -> None:
    """A value that is missing is an error, and none of them is HTML or a template."""
    with pytest.raises(UndefinedError):
        render("site/lost.html")
    shown = render("site/lost.html", root=f"{{{{ 7 * 7 }}}}\n{EVIL}")
    assert "{{ 7 * 7 }}&#10;&lt;script&gt;" in shown and "49" not in shown and "<script" not in shown


def test_text_and_data_cannot_leave_their_place() -> None:
    assert text("a\n\n\"<b>'") == "a&#10;&#10;&quot;&lt;b&gt;&#x27;"
    assert data("</script>\u2028") == '"\\u003c/script>\\u2028"'


# -- fences


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('```python tags=["parameters"]', "```python"),
        ("```python timeout=60", "```python"),
        ('~~~~bash title="x" tags=["read"]', '~~~~bash title="x"'),
        ('```python linenums="1"', '```python linenums="1"'),
        ("```python", "```python"),
        ("```", "```"),
        ("```python {.x}", "```python {.x}"),
        ("text tags=[1]", "text tags=[1]"),
    ],
)
def test_a_fence_keeps_what_a_page_understands(line: str, expected: str) -> None:
    assert fences.plain(line) == expected


def test_what_stands_in_a_fence_is_left_alone() -> None:
    inside = '````markdown\n```python tags=["x"]\nprint(1)\n```\n````\n'
    made = markdown.markdown(inside, extensions=["pymdownx.superfences", "opsbook"])
    assert "tags=" in made
    outside = '```python tags=["x"] timeout=3\nprint(1)\n```\n\nAfter.\n'
    made = markdown.markdown(outside, extensions=["pymdownx.superfences", "opsbook"])
    assert "tags=" not in made and "<p>After.</p>" in made


@pytest.mark.parametrize(
    "source",
    [
        '> ```python tags=["x"]\n> print(1)\n> ```\n\nAfter.\n',
        'As in\n\n    ```python tags=["y"]\n    x\n\n~~~python timeout=3\nprint(1)\n~~~\n\nAfter.\n',
        '- a\n\n    ```python tags=["x"]\n    print(1)\n    ```\n\nAfter.\n',
    ],
)
def test_a_fence_is_found_where_a_reader_sees_one(source: str) -> None:
    made = markdown.markdown(source, extensions=["pymdownx.superfences", "opsbook"])
    assert '<span class="nb">print</span>' in made and "<p>After.</p>" in made
    assert "timeout" not in made and '["x"]' not in made


def test_assets_are_there() -> None:
    from opsbook.site import site

    found = site.assets()
    assert {*site.SCRIPTS, *site.STYLES, f"{site.ASSETS}/iframe-worker.js"} <= set(found)
    assert not any(b"http://" in found[name] or b"https://" in found[name] for name in found if name.endswith("css"))
