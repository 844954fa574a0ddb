"""The parameters cell, whatever stands in it: read and never run, and what is accepted holds nothing that acts."""

import ast
import builtins
import json
import warnings
from pathlib import Path

import pytest
from hypothesis import given

from opsbook.core.model.parameter import Parameter, literal
from opsbook.core.model.runbook import Cell
from opsbook.core.source import notebook, parameters
from opsbook.core.source.problem import Problem
from tests.fuzz.mutations import ANY_TEXT, FUZZ, edited, is_sentence, joined

CELLS = (
    "from typing import Annotated, Literal\n"
    "from opsbook.params import Between, Duration, Pattern, Release, Secret, Service\n\n"
    'service: Service = "arcade"  # What to deploy\n'
    "version: Release\n"
    'strategy: Literal["rolling", "canary"] = "rolling"  # How # traffic moves\n'
    "percent: Annotated[int, Between(1, 50)] = 10\n"
    "share: Annotated[float, Between(0.5, 1e3)] | None = None\n",
    "import datetime\n"
    "hosts: list[str] = ['a,b', ' c ', '']\n"
    "day: datetime.date | None = datetime.date(2026, 11, 20)\n"
    'wait: Duration = Duration("30s")\n'
    "token: Secret\n"
    "dry: bool = False\n"
    "ports: list[int] = [80, 0x1F, -1]\n"
    'ticket: Annotated[str, Pattern("[A-Z]+-[0-9]+")]\n'
    "note: str | None = ''\n",
)
WORDS = (
    *(
        "x: ",
        "int",
        "str",
        "float",
        "bool",
        "list[",
        "]",
        "Literal[",
        "Annotated[",
        "Secret",
        "Duration",
        "date",
        " | None",
    ),
    *(
        " = ",
        "(",
        ")",
        ", ",
        "\n",
        "    ",
        "# ",
        "'",
        '"',
        '"""',
        "\\",
        ";",
        "=",
        ":",
        "[",
        "{",
        "}",
        "*",
        "**",
        "-",
        "~",
    ),
    *("Between(", "Pattern(", "'['", "'(?P<n>a)(?P=n'", "'a{99999999999999}'", "'[[a]]'", "'\\d'", "'\\ud800'", "b'a'"),
    *(
        "0",
        "1",
        "1e999",
        "1j",
        "0x" + "f" * 5000,
        "9" * 400,
        "True",
        "None",
        "...",
        "'a'",
        "f'{BOOM}'",
        "date(1, 1, 1)",
    ),
    *("BOOM", "lambda: BOOM", "=BOOM", "@BOOM\n", "if BOOM: pass", "import os", "!touch BOOM", "%%bash\n", "()", ".x"),
    *("date(99999999999999999999, 1, 1)", "Annotated[()]", "Literal[()]", "Duration('9s', x=BOOM)", "await ", "yield "),
)
CALLS = {"Between", "Pattern", "Duration", "date", "datetime.date"}


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that exists as soon as something of a cell was run."""
    return tmp_path_factory.mktemp("canary") / "sang"


def armed(source: str, canary: Path) -> str:
    """The source with every BOOM as code that leaves a file."""
    return source.replace("BOOM", f"__import__('pathlib').Path({str(canary)!r}).touch()")


def read(source: str) -> tuple[tuple[Parameter, ...], list[Problem]]:
    """The cell by itself, and as it stands in a page."""
    notebook.parse(f'## Parameters\n\n```python tags=["parameters"]\n{source}\n```\n', "runbooks/page.md")
    return parameters.parse(Cell("parameters/1", source, 4), "runbooks/page.md")


def tree(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def assert_inert(source: str) -> None:
    """The run executes the cell later: only imports, texts, and assignments of literals may be accepted."""
    for node in tree(source).body:
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.AnnAssign):
            assert isinstance(node, ast.Expr)
            assert isinstance(ast.literal_eval(node.value), str)
        calls = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
        assert {ast.unparse(call.func) for call in calls} <= CALLS
        for call in calls:
            assert not call.keywords
            _ = [ast.literal_eval(argument) for argument in call.args]


def assert_usable(parameter: Parameter) -> None:
    """What is made of a parameter: its words, its schema, and the code that gives it its value."""
    assert is_sentence(parameter.kind)
    json.dumps(parameter.schema(), allow_nan=False).encode()
    json.dumps(parameter.default, allow_nan=False, ensure_ascii=False).encode()
    ast.parse(literal(parameter, parameter.default))
    parameter.description.encode()


@pytest.mark.slow
@FUZZ
@given(joined(WORDS) | edited(CELLS, WORDS) | ANY_TEXT)
def test_a_cell_is_never_run(canary: Path, source: str) -> None:
    source = armed(source, canary)
    found, problems = read(source)
    for problem in problems:
        assert problem.code in ("P001", "P002")
        assert 4 <= problem.line <= 4 + len(source)
        assert is_sentence(problem.message)
    for parameter in found:
        assert_usable(parameter)
    if not problems:
        assert_inert(source)
    assert not canary.exists()


@FUZZ
@given(edited(CELLS, WORDS))
def test_a_default_is_what_is_written(source: str) -> None:
    """No default is split, stripped or rounded on its way from the page to the plan."""
    found, problems = read(source.replace("BOOM", "0"))
    written = {} if problems else _defaults(source.replace("BOOM", "0"))
    for parameter in found:
        if parameter.name in written and parameter.base in ("str", "int", "float", "bool"):
            assert parameter.default == written[parameter.name]


def _defaults(source: str) -> dict[str, object]:
    nodes = (node for node in tree(source).body if isinstance(node, ast.AnnAssign))
    return {
        ast.unparse(node.target): ast.literal_eval(node.value)
        for node in nodes
        if node.value is not None and _is_literal(node.value)
    }


def _is_literal(node: ast.expr | None) -> bool:
    return node is not None and not any(isinstance(inner, ast.Call) for inner in ast.walk(node))


def test_the_canary_sings(canary: Path) -> None:
    """The code that is planted would leave its file if anything ran it."""
    builtins.exec(armed("BOOM", canary))
    assert canary.exists()
    canary.unlink()
