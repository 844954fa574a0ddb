"""Pages that nobody meant to write: problems with a place, and nothing runs that a reader does not see as code."""

import datetime
import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from opsbook.core.model.front import FrontMatter, split
from opsbook.core.model.runbook import Cell, Runbook
from opsbook.core.rules import lint
from opsbook.core.source import front, notebook
from opsbook.core.source.problem import Problem
from opsbook.lint import fix
from opsbook.lint.documented import rules
from tests.fuzz.mutations import ANY_TEXT, FUZZ, edited, is_sentence, joined
from tests.support import ROOT

PAGES = tuple(
    p.read_text(encoding="utf-8") for d in ("runbooks", "procedures") for p in sorted((ROOT / d).glob("*.md"))
)
FRONTS = tuple(f"---\n{split(page)[0]}\n---\n" for page in PAGES)
CODES = {rule.code for rule in rules()}
TODAY = datetime.date(2026, 11, 20)
KNOWN = lint.Known(frozenset({"release.yml"}), frozenset({"page"}), frozenset(), lambda _: False, TODAY)

YAML_WORDS = (
    *(
        "---\n",
        "\n",
        "\n",
        ": ",
        "- ",
        "  ",
        "\t",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "<<: ",
        "? ",
        "| ",
        ">-\n",
        "'",
        '"',
    ),
    *("!!binary ", "!!set ", "!!python/object/apply:os.system ", "!!timestamp ", "%YAML 9.9\n", "...\n", "#", "~", "="),
    *("title", "kind: ", "lock: ", "reviewed: ", "review_every: ", "rollback: ", "owner: ", "duration: ", "alerts: "),
    *("0", "1e999", ".nan", "-.inf", "0x1F", "1:60", "2026-11-20", "9" * 400 + "d", "9" * 5000, "true", "null"),
    *('["{environment}/{x!r:>9999999999}"]', '["{"]', '"\\ud800"', '"\\U00110000"', "deploy", "90d"),
)
PAGE_WORDS = (
    *("```python", "```bash", "```console", "```", "````", "~~~", "```python\nprint(1)\n```\n", "   ```python\n"),
    *(' tags=["parameters"]', " tags=5", " tags=[[1]]", " timeout=NaN", " timeout=1e999", f" timeout=1{'0' * 400}"),
    *(" {tags: 1}", ' name=""', " active=5", "<!--", "-->", "<!-- #region tags=5 -->", "<!-- #endregion -->", "%%bash"),
    *("# ", "## ", "### ", "## Steps\n", "## Parameters\n", "## Rollback\n", "### One\n", "Expected: ", "---\n", "> "),
    *("1. ", "  ", "\t", "<div>\n", "\\", "`", "print(666)", "# x\u2028!touch /tmp/x", "0x" + "f" * 5000, "'\\d'"),
)


def looked_at(text: str) -> tuple[Runbook, list[Problem]]:
    """The page with everything lint has to say of it."""
    runbook, found = notebook.parse(text, "runbooks/page.md")
    return runbook, lint.problems(runbook, found, KNOWN)


def assert_placed(problems: list[Problem], text: str) -> None:
    """Every problem has a rule, a place in the text and a sentence."""
    last = text.count("\n") + 2
    for problem in problems:
        assert problem.code in CODES
        assert 1 <= problem.line <= last, problem
        assert problem.column >= 1, problem
        assert is_sentence(problem.message), problem


def would_run(runbook: Runbook) -> list[Cell]:
    """Every cell that a run may hand to the kernel."""
    found = [cell for step in runbook.steps() for cell in step.cells]
    return found if runbook.parameters_cell is None else [runbook.parameters_cell, *found]


def seen(text: str) -> set[tuple[int, str]]:
    """The code that a reader of Markdown sees in fences: the line on which each begins (from 1), and its text."""
    start = split(text)[1]
    body = "\n".join(text.removeprefix("\ufeff").split("\n")[start:])
    fences = [token for token in MarkdownIt("commonmark").parse(body) if token.type == "fence" and token.map]
    return {(start + token.map[0] + 2, _plain(token.content)) for token in fences if token.map}


def _plain(code: str) -> str:
    return "\n".join(line.strip() for line in code.strip("\n").split("\n"))


def _shown(cell: Cell) -> set[str]:
    """A cell as it may stand in the page: its language is said by the fence, or by the first line."""
    return {_plain(cell.source), _plain(cell.body)}


@FUZZ
@given(joined(YAML_WORDS).map("---\n{}\n---\n".format) | edited(FRONTS, YAML_WORDS) | ANY_TEXT)
def test_front_matter(text: str) -> None:
    matter, problems = front.parse(text, "runbooks/page.md")
    assert_placed(problems, text)
    told = json.loads(json.dumps(asdict(matter), allow_nan=False, default=str))
    assert FrontMatter.read(told) == FrontMatter.thorough(told) == matter


@pytest.mark.slow
@FUZZ
@given(edited(PAGES, (*PAGE_WORDS, *YAML_WORDS)) | joined(PAGE_WORDS) | ANY_TEXT)
def test_a_page(text: str) -> None:
    runbook, problems = looked_at(text)
    assert_placed(problems, text)
    if all(problem.warning for problem in problems):
        visible = seen(text)
        for cell in would_run(runbook):
            assert any((cell.line, shown) in visible for shown in _shown(cell)), (cell, visible)


@pytest.mark.slow
@FUZZ
@given(edited(PAGES, (*PAGE_WORDS, *YAML_WORDS)) | st.tuples(joined(YAML_WORDS), joined(PAGE_WORDS)).map("\n".join))
def test_a_correction_corrects(text: str) -> None:
    """`check --fix` changes the lines it names, and does not ask for the same change again."""
    made = fix.fixes(text, looked_at(text)[1])
    after = fix.apply(text, made)
    again = fix.fixes(after, looked_at(after)[1])
    assert not {(one.line, one.code) for one in made if one.removed == len(one.lines)} & {
        (one.line, one.code) for one in again if one.removed == len(one.lines)
    }
