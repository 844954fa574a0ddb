"""Small pages that opsbook refused, or of which it ran only a part: what each is now, and what is said of it."""

from pathlib import Path

import pytest

from opsbook.core.rules import lint
from opsbook.core.source import notebook

CASES = {path.stem: path for path in sorted((Path(__file__).parent / "cases").glob("*.md"))}

EXPECTED: dict[str, tuple[dict[str, list[str]], list[str]]] = {
    "fence-in-list-skipped": ({"first-make-room": ["echo one > one.txt"], "then-go-on": ["echo two"]}, []),
    "fence-indent-1-to-3-a": ({"steps": ["echo first"]}, []),
    "fence-indent-1-to-3-b": ({"steps": ["echo real"]}, []),
    "fence-text-in-cell": ({"steps": ["cat <<'EOF'\n```text\nhi\nEOF"]}, []),
    "foreign-front-matter-hugo": ({"diagnosis": []}, ["3 F002"]),
    "foreign-front-matter-jupytext": ({"steps": ["print(1)"]}, []),
    "foreign-front-matter-title": ({"what-to-do": ["df -h"]}, []),
    "info-string": ({"steps": ["echo hi"]}, []),
    "non-latin-step-names-done": (
        {"停止する": ["echo stop"], "fail": ["false"], "undo": ["from opsbook import done\nprint(done(…), done(…))"]},
        ["28 R002"],
    ),
    "non-latin-step-names-nihongo": ({"停止する": ["echo 停止"], "開始する": ["echo 開始"], "連絡する": []}, []),
    "non-latin-step-names-russkij": (
        {"остановить": ["echo стоп"], "сообщить-команде": [], "проверить": []},
        [],
    ),
    "readme-breaks-site": ({"steps": []}, []),
    "setext-headings": ({"stop-it": ["echo stop"], "start-it": ["echo start"]}, []),
    "shell-tag-silent-fm": ({"a": ["echo first", "echo second"]}, []),
    "tilde-fence-skipped-fm": ({"a": ["echo tilde"]}, []),
    "tilde-fence-skipped": ({"steps": ["echo first > first.txt", "echo second"]}, []),
}


@pytest.mark.parametrize("name", CASES)
def test_a_small_page(name: str) -> None:
    runbook, read = notebook.parse(CASES[name].read_text(encoding="utf-8"), f"runbooks/{name}.md")
    problems = lint.problems(runbook, read, lint.Known(frozenset()))
    found = {step.id: [cell.body for cell in step.cells] for step in runbook.steps()}
    steps, said = EXPECTED[name]
    assert {
        step: [body.replace('"停止する"', "…").replace('"開始する"', "…") for body in found[step]] for step in found
    } == steps
    assert [f"{problem.line} {problem.code}" for problem in problems if problem.code[0] != "M"] == said


def test_every_case_is_expected() -> None:
    assert set(CASES) == set(EXPECTED)
