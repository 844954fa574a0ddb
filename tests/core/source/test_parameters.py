"""The parameters cell, and the values people type."""

import pytest

from opsbook.core.model.parameter import Parameter, literal
from opsbook.core.model.runbook import Cell
from opsbook.core.source import parameters


def parse(source: str) -> tuple[dict[str, Parameter], list[str]]:
    found, problems = parameters.parse(Cell("parameters/1", source, 1), "p.md")
    return {p.name: p for p in found}, [str(p) for p in problems]


def one(annotation: str) -> Parameter:
    found, problems = parse(f"x: {annotation}")
    assert not problems
    return found["x"]


def test_everything_the_language_has() -> None:
    found, problems = parse(
        "import datetime\n"
        "from typing import Annotated, Literal\n"
        'service: Service = "arcade"  # What to deploy\n'
        "version: Release\n"
        'strategy: Literal["rolling", "canary"] = "rolling"  # How # traffic moves\n'
        "percent: Annotated[int, Between(1, 50)] = 10\n"
        "hosts: list[str] = ['a', 'b']\n"
        "day: datetime.date | None = None\n"
        'wait: Duration = "30s"\n'
        "token: Secret\n"
        'ticket: Annotated[str, Pattern("[A-Z]+-[0-9]+")]\n'
    )
    assert problems == []
    assert list(found) == [
        "service",
        "version",
        "strategy",
        "percent",
        "hosts",
        "day",
        "wait",
        "token",
        "ticket",
    ]
    assert found["service"].description == "What to deploy"
    assert found["strategy"].description == "How # traffic moves"
    assert found["version"].required and not found["service"].required
    assert found["version"].choice_of == "Release"
    assert found["percent"].schema() == {"type": "integer", "minimum": 1.0, "maximum": 50.0}
    assert found["hosts"].default == ["a", "b"]
    assert found["token"].secret and found["token"].schema()["writeOnly"]


@pytest.mark.parametrize(
    "line",
    [
        "x = 3",
        "x: dict",
        "x: int = 'a'",
        "x: int = 1 + 1",
        "x: int = None",
        "x: str = f()",
        "print('hello')",
        "x: int | str",
        "x: Annotated[int, Above(3)]",
        "x: Annotated[int, Between(5, 1)]",
        'x: Annotated[str, Pattern("[")]',
        "x: Secret = 'abc'",
        "x: Literal[1, 'a']",
        "_x: int",
        "x: int = 3\nx: int = 4",
        "x: bool = 1",
        "x: int = True",
        "x: Annotated[int, Between(1, 5)] = 9",
    ],
)
def test_anything_else_is_a_problem_with_a_place(line: str) -> None:
    _, problems = parse(line)
    assert len(problems) == 1
    assert problems[0].startswith("p.md:")


def test_a_cell_that_is_not_python() -> None:
    _, problems = parse("x: int =")
    assert "P001" in problems[0]


@pytest.mark.parametrize("text", ["1.10", "007", "1e5", "1_000", "nan", "None", "true", "", " a ", "{{ x }}", "$(id)"])
def test_text_stays_as_typed(text: str) -> None:
    assert one("str").convert(text) == text


@pytest.mark.parametrize(
    ("annotation", "typed", "value"),
    [
        ("int", "007", 7),
        ("float", "1e3", 1000.0),
        ("bool", "yes", True),
        ("bool", "false", False),
        ("list[int]", "1,2,3", [1, 2, 3]),
        ("datetime.date", "2026-11-20", "2026-11-20"),
        ("Duration", "3m", "3m"),
        ("Literal[1, 2]", "2", 2),
        ("int | None", "", None),
    ],
)
def test_conversions(annotation: str, typed: str, value: object) -> None:
    assert one(annotation).convert(typed) == value


@pytest.mark.parametrize(
    ("annotation", "typed"),
    [
        ("int", "1_000"),
        ("int", "1.5"),
        ("int", "١"),
        ("float", "nan"),
        ("float", "infinity"),
        ("float", "1e999"),
        ("bool", "1"),
        ("datetime.date", "20.11.2026"),
        ("Duration", "3 fortnights"),
        ("Literal['a', 'b']", "c"),
        ("Annotated[int, Between(1, 5)]", "6"),
        ("Annotated[Duration, Between(1, 60)]", "2m"),
        ("Annotated[str, Pattern('[a-z]+')]", "a\nb"),
    ],
)
def test_wrong_values_are_refused(annotation: str, typed: str) -> None:
    with pytest.raises(ValueError, match="."):
        one(annotation).convert(typed)


@pytest.mark.parametrize("value", ["'; rm -rf /", "{{ x }}", 'a"b', "a\nb", "\\", "\u2028", "''' + 1"])
def test_injected_source_evaluates_to_the_value(value: str) -> None:
    assert eval(literal(one("str"), value)) == value


def test_injected_types() -> None:
    import datetime

    assert eval(literal(one("datetime.date"), "2026-11-20")) == datetime.date(2026, 11, 20)
    assert eval(literal(one("Duration"), "3m")) == 180.0
    assert eval(literal(one("list[datetime.date]"), ["2026-11-20"])) == [datetime.date(2026, 11, 20)]
    assert "s3cret" not in literal(one("Secret"), "s3cret")


@pytest.mark.parametrize("name", ["PATH", "HOME", "IFS", "OPSBOOK_RUN"])
def test_names_that_programs_rely_on(name: str) -> None:
    """A shell cell gets its parameters as variables."""
    found, problems = parse(f"{name}: str")
    assert found == {}
    assert "a variable that programs rely on" in problems[0]
