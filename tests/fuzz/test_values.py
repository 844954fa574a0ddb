"""What people type as values: taken as it was typed, or refused with the parameter's name; nothing is guessed."""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opsbook.console import inputs
from opsbook.core.model.effect import digest
from opsbook.core.model.environment import Environment, Policy
from opsbook.core.model.parameter import Parameter, literal
from opsbook.core.model.runbook import Cell
from opsbook.core.model.text import span_seconds
from opsbook.core.planning.bind import bind
from opsbook.core.source import parameters
from opsbook.errors import InputError
from opsbook.params import Duration
from tests.fuzz.mutations import ANY_TEXT, FUZZ, ODD, assert_clear, edited, is_sentence, joined

DEV = Environment("dev", Policy(), "inv", ("h",), {}, {"Release": ("1.0.0", "1.10"), "Service": ()})

KINDS = {
    "text": "str",
    "maybe": "str | None",
    "whole": "int",
    "number": "float",
    "switch": "bool",
    "day": "datetime.date",
    "wait": "Duration",
    "texts": "list[str]",
    "wholes": "list[int]",
    "word": 'Literal["a", "b", "-1", "ü"]',
    "level": "Literal[1, 2, -1]",
    "share": "Annotated[float, Between(0.5, 50)]",
    "pause": "Annotated[Duration, Between(1, 60)]",
    "ticket": 'Annotated[str, Pattern("[A-Z]+-[0-9]+")]',
    "release": "Release",
    "releases": "list[Release]",
    "service": "Service",
    "token": "Secret",
}

TYPED = st.sampled_from(
    (
        *("", " ", "0", "007", "1.10", "-1", "+5", "1e3", "1e999", "nan", "inf", "١", "1_000", "0x1F", "9" * 5000),
        *("true", "Yes", "on", "2026-11-20", "20261120", "2026-W47-5", "0001-01-01", "3m", " 3m ", "1.5h\n", "0s"),
        *("9" * 400 + "d", "a", "b", "1", "A-1", "A-1\n", "1.0.0", "1.0.1", "a,b", ",", " a , ,b", "{{ x }}", "$(id)"),
        *("env:A", "file:/x", "vault:", "env:", "ENV:A", "env:A\0", "file:\ud800", "s3cret-value", "None", "[1]", "'"),
    )
)
ANYTHING = TYPED | ANY_TEXT | st.text(st.characters(), max_size=8)
"""Also what no file holds: halves of characters, as another program may hand them over."""


def of(annotation: str) -> Parameter:
    """The parameter that a page with this annotation has."""
    (found,), problems = parameters.parse(Cell("parameters/1", f"it: {annotation}", 1), "page.md")
    assert not problems
    return found


PARAMETERS = {name: of(annotation) for name, annotation in KINDS.items()}


def bound(kind: str, typed: str | list[str]) -> tuple[bool, Any]:
    """Whether the value was taken, and the value or the refusal. A refusal is a sentence with the name."""
    found = bind([PARAMETERS[kind]], {"it": typed}, DEV)
    try:
        found.complete("page")
    except InputError as error:
        assert_clear(error)
        (problem,) = error.problems
        assert problem.startswith("Parameter it: ")
        assert is_sentence(problem.removeprefix("Parameter it: "))
        assert len(problem) < 600
        return False, problem
    return True, found.secrets["it"] if PARAMETERS[kind].secret else found.values["it"]


def assert_in_plan(kind: str, value: Any) -> None:
    """A value goes into the plan, its digest, and as source into the kernel: there it is what it was."""
    assert len(digest({"it": value})) == 64
    json.dumps(value, allow_nan=False).encode()
    made = eval(literal(PARAMETERS[kind], value))
    if kind in ("day", "wait", "pause") and value is not None:
        assert str(made) == value if kind == "day" else made == Duration(value)
    else:
        assert made == value
        assert type(made) is type(value)


@FUZZ
@given(st.sampled_from(sorted(set(KINDS) - {"token"})), ANYTHING)
def test_a_value_is_what_was_typed_or_refused(kind: str, typed: str) -> None:
    taken, value = bound(kind, typed)
    if taken:
        assert_in_plan(kind, value)
        assert _CHECKS[kind](value, typed)
    elif kind in ("text", "maybe", "texts"):
        assert re.search("[\0\ud800-\udfff]", typed)


_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "text": lambda value, typed: value == typed,
    "maybe": lambda value, typed: value == (typed or None),
    "whole": lambda value, typed: value == int(typed),
    "number": lambda value, typed: value == float(typed),
    "switch": lambda value, typed: value is (typed.lower() in ("true", "yes", "on")),
    "day": lambda value, _: re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value),
    "wait": lambda value, typed: value == typed and span_seconds(typed) >= 0,
    "texts": lambda value, typed: value == [part.strip() for part in typed.split(",") if part.strip()],
    "wholes": lambda value, typed: value == [int(part) for part in typed.split(",") if part.strip()],
    "word": lambda value, typed: value == typed and value in ("a", "b", "-1", "ü"),
    "level": lambda value, typed: str(value) == typed and value in (1, 2, -1),
    "share": lambda value, _: 0.5 <= value <= 50,
    "pause": lambda value, typed: value == typed and 1 <= span_seconds(typed) <= 60,
    "ticket": lambda value, typed: value == typed and re.fullmatch("[A-Z]+-[0-9]+", typed),
    "release": lambda value, typed: value == typed and value in ("1.0.0", "1.10"),
    "releases": lambda value, _: set(value) <= {"1.0.0", "1.10"},
    "service": lambda _, __: False,
}


@FUZZ
@given(ANYTHING | st.lists(ANYTHING, max_size=3))
def test_a_secret_is_a_reference_and_never_shown(typed: str | list[str]) -> None:
    taken, told = bound("token", typed)
    texts = [typed] if isinstance(typed, str) else typed
    if taken:
        assert [told] == texts
        assert told.partition(":")[0] in ("env", "file", "vault")
        assert told.partition(":")[2]
    for text in texts if not taken else ():
        assert len(text) < 6 or text not in told or text in bound("token", "")[1]


@FUZZ
@given(st.sampled_from(("texts", "wholes", "releases", "text", "level")), st.lists(ANYTHING, max_size=4))
def test_the_items_of_a_list_are_what_was_typed(kind: str, typed: list[str]) -> None:
    taken, value = bound(kind, typed)
    if taken and PARAMETERS[kind].many:
        assert [str(item) for item in value] == (typed if kind != "wholes" else [str(int(item)) for item in typed])
    elif taken:
        assert len(typed) == 1


@FUZZ
@given(st.dictionaries(ANYTHING, ANYTHING | st.lists(ANYTHING, max_size=3), max_size=4))
def test_names_that_nobody_knows(given_: dict[str, str | list[str]]) -> None:
    """Every wrong name is told, all at once, and none of them does any harm."""
    with pytest.raises(InputError) as caught:
        bind([*PARAMETERS.values()][:1], {**given_, "it ": "x"}, DEV).complete("page")
    assert_clear(caught.value)
    unknown = [problem for problem in caught.value.problems if problem.startswith("There is no parameter")]
    assert len(unknown) == len(set(given_) | {"it "}) - ("it" in given_)


# -- --params-file

FILES = (
    "version: 1.10\npercent: 007\nhosts: [a, 'b,c', 1e3]\nnote: |\n  two\n  lines\nempty:\nnothing: null\n",
    '{"version": "1.10", "percent": 1.50, "hosts": ["a", true, null], "note": "\\ud83d\\ude00"}',
)
FILE_WORDS = (
    *(
        ": ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\n",
        "  ",
        "\t",
        "'",
        '"',
        "|\n",
        ">\n",
        "&a ",
        "*a",
        "!!int ",
        "!!binary ",
    ),
    *("!!python/object/apply:os.system ['touch x']", "? ", "---\n", "...\n", "%YAML 9\n", "#", "<<", "version", "1.10"),
    *("\\ud800", "\\u0000", '"\\U00110000"', "NaN", "1e999", "[[[[", "{a: {", "~", "null", "true", "0o17", "=", "1:30"),
)


def from_file(path: Path, content: bytes) -> dict[str, Any]:
    """What a file with this content gives. Raises InputError."""
    path.write_bytes(content)
    options = argparse.Namespace(params_file=path, parameter=[], answer=[], runbook="page", environment="dev")
    return dict(inputs.request(options).given)


@FUZZ
@given(
    (joined(FILE_WORDS) | edited(FILES, FILE_WORDS)).map(lambda text: text.encode(errors="replace"))
    | st.binary(max_size=40)
)
def test_a_file_of_values_is_taken_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "values.yml"
    try:
        found = from_file(path, content)
    except InputError as error:
        assert_clear(error)
        assert all(str(path) in problem for problem in error.problems)
        return
    for name, value in found.items():
        assert isinstance(name, str)
        assert isinstance(value, str | None) or all(isinstance(item, str) for item in value)
    bind([*PARAMETERS.values()], found, DEV)


PLAIN = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12) | TYPED.filter(str.isprintable)
SCALARS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()


@FUZZ
@given(
    st.dictionaries(PLAIN, PLAIN | st.lists(PLAIN, max_size=3), max_size=4), st.sampled_from(("json", "tabs", "yaml"))
)
def test_text_in_a_file_stays_as_it_is(tmp_path: Path, values: dict[str, Any], how: str) -> None:
    written = {
        "json": lambda: json.dumps(values),
        "tabs": lambda: json.dumps(values, indent="\t", ensure_ascii=False),
        "yaml": lambda: yaml.safe_dump(values, allow_unicode=True, default_style='"'),
    }[how]()
    assert from_file(tmp_path / "values.yml", written.encode()) == values


@FUZZ
@given(st.dictionaries(st.text("abc", min_size=1), SCALARS | st.none() | st.lists(SCALARS, max_size=3), max_size=4))
def test_numbers_in_a_file_stay_the_text_that_they_are(tmp_path: Path, values: dict[str, Any]) -> None:
    """Whatever YAML or JSON would make of it: 1.10 is 1.10, and true is a word. Only null is nothing."""
    expected = {name: _typed(value) for name, value in values.items()}
    assert from_file(tmp_path / "values.json", json.dumps(values).encode()) == expected
    lines = "".join(f"{name}: {_flow(text)}\n" for name, text in expected.items())
    assert from_file(tmp_path / "values.yml", lines.encode()) == expected


def _typed(value: Any) -> str | list[str] | None:
    if value is None:
        return None
    return [json.dumps(item) for item in value] if isinstance(value, list) else json.dumps(value)


def _flow(text: str | list[str] | None) -> str:
    return f"[{', '.join(text)}]" if isinstance(text, list) else text or "~"


@pytest.mark.parametrize("content", ["a: 1\na: 2\n", '{"a": 1, "a": 2}'])
def test_a_name_twice_in_a_file_is_nobodys_guess(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="the key a is there twice"):
        from_file(tmp_path / "values.yml", content.encode())


def test_odd_characters_are_tried() -> None:
    """What these tests rely on: such text is not simply refused."""
    assert all(bound("text", sign) == (sign != "\0", sign) for sign in ODD if sign != "\0")
