"""Links, alerts and reviews: what leads nowhere is found, and what leads somewhere is left alone."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from opsbook.core.catalog import catalog
from opsbook.core.rules import lint
from opsbook.core.source import notebook
from opsbook.errors import InputError
from opsbook.lint import checks
from opsbook.settings import Settings

FRONT = (
    f"---\ntitle: A page\nkind: incident\nowner: team\nreviewed: {datetime.now(UTC).date()}\n{{}}---\n\n# A page\n\n"
)
BODY = "## Mitigation\n\n### Act: the first `time` (now)\nDo it.\n\n### Act\n\nDo.\n\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("runbooks/other.md", "procedures/by-hand.md", "docs/a b.md", "runbooks/image.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(FRONT.format("") + BODY if name.startswith(("r", "p")) else "x")
    (tmp_path / "runbooks/image.png").write_text("x")
    return Settings(tmp_path, tmp_path / "records", tmp_path / ".opsbook")


def said(settings: Settings, text: str, front: str = "", body: str = BODY) -> list[str]:
    (settings.root / "runbooks/page.md").write_text(FRONT.format(front) + body + text)
    return [f"{p.line}:{p.column} {p.code} {p.message}" for p in checks.check(settings, ["page"])]


@pytest.mark.parametrize(
    "text",
    [
        "[a](other.md) [b](../procedures/by-hand.md#mitigation) ![c](image.png 'title') [d](<../docs/a b.md>)",
        "[a](../docs/a%20b.md) [b](.) [c](..) [e](other.md?x=1)",
        "[a](https://x/y.md) [b](mailto:x@y) [c](//x/y) [d](/docs/a%20b.md) [e]() [f]({{ url }}) [g](x/{{ y }})",
        "`[a](gone.md)` ``a ` [b](gone.md)`` \\`x",
        "```console\n[a](gone.md)\n```\n~~~\n[b](gone.md)\n~~~",
        "1. One\n\n   ```text\n   [a](gone.md)\n   ```\n",
        "> ```\n> [a](gone.md)\n> ```\n\n#### Below\n[a](#below)",
        "<!-- [a](gone.md)\n\n[b](gone.md) -->",
        "[a]\n\n[a]: other.md\n[^1]: a note (gone.md)",
        "[a](#act-the-first-time-now) [b](#act) [c](#a-page) [d](#) [e](#top-of-it)\n\nTop of it\n---------",
        '[a](#mine) [b](#yours)\n\n#### Heading {#mine}\n<a id="yours"></a>',
        "[a](#act_1) [b](#act-1)\n\n#### Act",
        "[a](#zurück) [b](#zuruck) [c](#q-a)\n\n#### Zurück\n#### Q & A",
        "[![alt](image.png)](other.md)",
        "[x](other.md (title))",
    ],
)
def test_what_leads_somewhere(settings: Settings, text: str) -> None:
    assert said(settings, text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See [a](gone.txt).", "19:9 L001 the link leads to runbooks/gone.txt, which is not there"),
        ("![a](gone.png)", "19:6 L001 the link leads to runbooks/gone.png, which is not there"),
        ("[![a](image.png)](../gone/)", "19:19 L001 the link leads to gone, which is not there"),
        ("[a]: gone.md", "19:6 L002 there is no runbooks/gone.md."),
        ("[a](othr.md)", "19:5 L002 there is no runbooks/othr.md. Did you mean other?"),
        ("[a](../procedures/by-hnd.md#x)", "19:5 L002 there is no procedures/by-hnd.md. Did you mean by-hand?"),
        ("[a](#akt)", "19:5 L003 no heading of this page has the anchor #akt. Did you mean act?"),
        ("`x` [a](#Act) `y`", "19:9 L003 no heading of this page has the anchor #Act."),
        ("[a](" + "x" * 300 + ")", "19:5 L001 the link leads to"),
    ],
)
def test_what_leads_nowhere(settings: Settings, text: str, expected: str) -> None:
    (found,) = said(settings, text)
    assert found.startswith(expected)


def test_a_dead_link_keeps_no_page_from_running(settings: Settings) -> None:
    assert said(settings, "[a](gone.md)")
    assert catalog.load(settings, "page").title == "A page"


RULES = """\
groups:
- name: a
  rules:
  - record: x:y
    expr: y
  - alert: Down   # when it is down
    annotations:
      summary: it
      runbook_url: "{}"
  - alert: Slow
    expr: x > 1
"""


def alerts(settings: Settings, text: str, name: str = "alerts/team/x.yaml") -> list[str]:
    path = settings.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [str(problem) for problem in checks.check(settings, [])]


@pytest.mark.parametrize(
    "url",
    [
        "https://x/runbooks/other",
        "https://x/other.md",
        "https://x/other/index.html",
        "https://x/y/other.html#act",
        "https://x/other/?a={{ $labels.a }}&b=/c#d",
        "other",
        "https://x/{{ $labels.alertname }}",
    ],
)
def test_a_runbook_url_that_leads_to_a_document(settings: Settings, url: str) -> None:
    assert alerts(settings, RULES.format(url)) == []


def test_a_runbook_url_that_leads_nowhere(settings: Settings) -> None:
    place = "alerts/team/x.yaml:9:1 L005 the runbook_url of Down leads to othr, which is no document."
    assert alerts(settings, RULES.format("https://x/othr/")) == [f"{place} Did you mean other?"]
    assert checks.check(settings, ["other"]) == []


def test_rules_of_the_operator_and_of_several_documents(settings: Settings) -> None:
    indented = RULES.format("https://x/gone").replace("\n", "\n  ").rstrip()
    text = f"kind: ConfigMap\n---\nkind: PrometheusRule\nspec:\n  {indented}\n"
    (found,) = alerts(settings, text)
    assert found.startswith("alerts/team/x.yaml:13:1 L005")


@pytest.mark.parametrize("text", ["", "- a\n", "groups: 3\n", "groups: [3, {rules: {}}]\n", "spec:\n"])
def test_yaml_that_is_something_else(settings: Settings, text: str) -> None:
    assert alerts(settings, text) == []


def test_an_alert_that_no_rule_has(settings: Settings) -> None:
    assert said(settings, "", "alerts: [Down]\n") == []
    alerts(settings, RULES.format("https://x/other"))
    assert said(settings, "", "alerts: [Down, Slow]\n") == []
    assert said(settings, "", "alerts: [Slwo]\n") == [
        "6:1 L004 no file below alerts/ has the alert Slwo. Did you mean Slow?"
    ]


def test_rules_that_cannot_be_read_are_a_warning_and_hide_nothing_else(settings: Settings) -> None:
    alerts(settings, RULES.format("https://x/other"))
    (found,) = alerts(settings, "groups: [\n", "alerts/broken.yml")
    assert found.startswith("alerts/broken.yml:1:1 L006 these alert rules cannot be read")
    assert said(settings, "", "alerts: [Elsewhere]\n") == []


@pytest.mark.parametrize(
    ("reviewed", "every", "overdue"),
    [("2026-01-01", "90d", True), ("2026-09-01", "90d", False), ("2026-01-01", "999999999999d", False)],
)
def test_a_review_that_is_over(reviewed: str, every: str, overdue: bool) -> None:
    text = f"---\ntitle: T\nowner: o\nreviewed: {reviewed}\nreview_every: {every}\n---\n\n# T\n\n## Steps\nDo.\n"
    runbook, _ = notebook.parse(text, "procedures/t.md")
    found = lint.problems(runbook, (), lint.Known(frozenset(), today=date(2026, 11, 20)))
    assert [(problem.code, problem.line, problem.warning) for problem in found] == [("M003", 4, True)] * overdue
    assert lint.problems(runbook, (), lint.Known(frozenset())) == []


@pytest.mark.parametrize(
    "name", ["page", "page.md", "runbooks/page.md", "./runbooks/../runbooks/page.md", "{root}/runbooks/page.md"]
)
def test_a_document_is_named_or_shown_by_its_path(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (settings.root / "runbooks/page.md").write_text("x")
    monkeypatch.chdir(settings.root)
    assert checks.chosen_by(settings, [name.format(root=settings.root)] * 2) == [settings.root / "runbooks/page.md"]
    monkeypatch.chdir(settings.root / "runbooks")
    assert checks.chosen_by(settings, [name.format(root=settings.root)]) == [settings.root / "runbooks/page.md"]


def test_paths_that_are_no_documents(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(settings.root)
    (settings.root / "runbooks/_drafts").mkdir()
    (settings.root / "runbooks/_drafts/page.md").write_text("x")
    (settings.root / "docs/other.md").write_text("x")
    assert checks.chosen_by(settings, ["runbooks/_drafts/page.md"]) == []
    with pytest.raises(InputError, match=r"docs/other.md is no document"):
        checks.chosen_by(settings, ["docs/other.md"])
    with pytest.raises(InputError, match=r"There is no runbook or procedure named othr"):
        checks.chosen_by(settings, ["runbooks/othr.md"])


def test_only_the_named_path_is_checked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(settings.root)
    (settings.root / "runbooks/bad.md").write_text("# B\n\n## Steps\n```python\nx = (\n```\n")
    (settings.root / "procedures/other.md").write_text(FRONT.format("") + BODY)
    assert checks.check(settings, ["procedures/by-hand.md"]) == []
    (found,) = checks.check(settings, ["runbooks/other.md"])
    assert (found.code, found.path) == ("D005", "runbooks/other.md")
