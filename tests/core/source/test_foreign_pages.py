"""Pages as others write them: which of their fences run, as which steps, and which are examples.

Each file in pages/ has one trait; none was written for opsbook.
"""

import json
from pathlib import Path

import jupytext
import pytest

from opsbook.core.model.runbook import Runbook, tally
from opsbook.core.source import notebook
from opsbook.core.source.page_name import name_of
from opsbook.lab import page
from tests.support import ROOT

PAGES = {path.stem: path for path in sorted((Path(__file__).parent / "pages").glob("*.md"))}

STEPS = {
    "numbered-list": {
        "take-it-out-of-the-pool": ["echo drain"],
        "tell-the-team-in-the-channel": "by hand",
        "restart-it-and-look": ["echo restart", "echo look"],
    },
    "bullets": {"look": ["echo du", "echo df"]},
    "interrupted-list": {
        "stop-the-writer": ["echo stop"],
        "move-the-file": ["echo move"],
        "start-the-writer-again-by-hand": "by hand",
    },
    "tildes": {"steps": ["echo one", "echo '~~~'"]},
    "four-backticks": {"steps": ["cat <<'EOF'\n```bash\necho inside\n```\nEOF"]},
    "quote": {"do-it": ["echo vendor"]},
    "admonitions": {"steps": ["echo snapshot", "echo go"]},
    "tabs": {"restart": ["echo before"], "restart-2": "by hand", "restart-3": ["echo after"]},
    "html": {"unfold": ["echo unfolded"]},
    "prompts": {"look": ["# a comment is no prompt\necho runs"]},
    "hugo": {"diagnosis": ["echo ping"], "mitigation": ["echo reboot"]},
    "docusaurus": {"run-it": ["echo backup", "echo labelled"]},
    "jekyll": {"renew": ["echo renew"]},
    "runme": {"setup": ["echo setup", "echo hello"]},
    "jupytext": {
        "steps": ["%precision 3\nimport math"],
        "result": ["%%time\nprint(math.pi)", "echo shell"],
    },
    "underlined": {"stop-it": ["echo stop"], "start-it": ["echo start"]},
    "japanese": {"停止する": ["echo 停止"], "開始する": ["echo 開始"], "連絡する": "by hand"},
    "arabic-and-emoji": {"إيقاف-الخدمة": ["echo stop"], "rocket": ["echo launch"], "uberprufen": ["echo check"]},
    "other-languages": {"steps": ["echo indented", "echo zsh"]},
    "wiki": {"check": "by hand", "fix": ["# Purge\necho purge"]},
}

EXAMPLES = {
    "admonitions": (14,),
    "html": (15,),
    "jupytext": (35,),
    "prompts": (5, 10, 14),
    "runme": (19,),
    "other-languages": (9, 13, 17),
}
"""Lines of commands that a run of the page leaves out."""

TITLES = {
    "underlined": "Restart",
    "html": "Details",
    "hugo": "Node down",
    "japanese": "キャッシュの再起動",
    "wiki": "On-call: the queue is full",
}


def read(name: str) -> Runbook:
    runbook, problems = notebook.parse(PAGES[name].read_text(encoding="utf-8"), f"runbooks/{name}.md")
    assert runbook.bare
    hard = [problem for problem in problems if not problem.warning and problem.code not in ("D004", "D010", "D011")]
    assert not hard
    return runbook


@pytest.mark.parametrize("name", PAGES)
def test_what_runs(name: str) -> None:
    runbook = read(name)
    found = {step.id: "by hand" if step.manual else [cell.body for cell in step.cells] for step in runbook.forward()}
    assert found == STEPS[name]
    assert tally(runbook.forward()).examples == EXAMPLES.get(name, ())
    assert runbook.title == TITLES.get(name, runbook.title)


def test_every_page_is_expected() -> None:
    assert set(PAGES) == set(STEPS)


def test_who_sees_a_problem_sees_its_line() -> None:
    _, problems = notebook.parse(PAGES["tabs"].read_text(encoding="utf-8"), "runbooks/tabs.md")
    assert [(each.line, each.code) for each in problems] == [(11, "D011"), (17, "D011")]
    _, problems = notebook.parse(PAGES["html"].read_text(encoding="utf-8"), "runbooks/html.md")
    assert [(each.line, each.code) for each in problems] == [(15, "D010")]
    _, problems = notebook.parse(PAGES["wiki"].read_text(encoding="utf-8"), "runbooks/wiki.md")
    assert [(each.line, each.code, each.message) for each in problems] == [
        (3, "F002", "opsbook does not read date"),
        (5, "F002", "opsbook does not read draft"),
    ]


CONSOLE = "```console\n$ look\n```\n\n"
RUNS = "```bash\ntrue\n```\n\n"
TABS = "".join(f'=== "{name}"\n\n    ```bash\n    {name}\n    ```\n\n' for name in ("one", "two"))


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (f"## A\n\n{CONSOLE}### B\n\n{RUNS}", {"b": (1, 1)}),
        (f"## A\n\n{CONSOLE}### B\n\nBy hand.\n\n### C\n\n{RUNS}", {"b": (0, 0), "c": (1, 1)}),
        (f"## A\n\n### B\n\n{CONSOLE}1. First:\n\n   ```bash\n   true\n   ```\n", {"first": (1, 1)}),
        (f"Before.\n\n{CONSOLE}## A\n\n{RUNS}", {"steps": (0, 1), "a": (1, 0)}),
        (f"Before.\n\n## A\n\n{RUNS}", {"a": (1, 0)}),
        (f"## A\n\n{TABS}{CONSOLE}{RUNS}", {"a": (0, 3), "a-2": (1, 0)}),
        (f"## A\n\n{CONSOLE}{TABS}", {"a": (0, 3)}),
    ],
)
def test_an_example_counts_wherever_it_is(text: str, steps: dict[str, tuple[int, int]]) -> None:
    runbook, _ = notebook.parse(f"# T\n\n{text}", "runbooks/t.md")
    assert {step.id: (len(step.cells), len(step.examples)) for step in runbook.steps()} == steps


EVERY = [
    *PAGES.values(),
    *sorted(path for folder in ("runbooks", "procedures") for path in (ROOT / folder).rglob("*.md")),
]


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_jupyter_opens_the_cells_that_a_run_runs(path: Path) -> None:
    """Jupytext reads the copy for a lab; both have the same cells in the same order."""
    runbook, _ = notebook.parse(path.read_text(encoding="utf-8"), f"runbooks/{path.name}")
    cells = sorted(
        (cell for section in runbook.sections for step in section.steps for cell in step.cells),
        key=lambda cell: cell.line,
    )
    book = jupytext.reads(page.written(runbook, "A note.", {}, []), fmt="md")
    opened = [(cell.metadata["opsbook"], cell.source) for cell in book.cells if "opsbook" in cell.metadata]
    assert opened == [(cell.id, cell.source) for cell in cells]
    others = [cell for cell in book.cells if cell.cell_type == "code" and "opsbook" not in cell.metadata]
    assert all(cell.metadata.get("tags") == ["injected-parameters"] or "roll_back" in cell.source for cell in others)
    assert json.dumps(book)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runbooks/restart.md", "restart"),
        ("runbooks/README.md", "readme"),
        ("runbooks/db/README.md", "db-readme"),
        ("procedures/index.md", "procedures-index"),
        ("/home/x/runbooks/ours/runbooks/db/_index.md", "db-index"),
        ("runbooks/x.html.md", "x"),
        ("runbooks/Disk full.md", "disk-full"),
        ("runbooks/v1.2-up.md", "v1-2-up"),
        ("runbooks/再起動.md", "再起動"),
    ],
)
def test_the_name_of_a_page(path: str, name: str) -> None:
    assert name_of(Path(path)) == name
