"""docs/reference: every page is what the code says, and the code says something of everything."""

import inspect
import re
from pathlib import Path
from typing import Any, get_origin

import pytest
from pydantic import BaseModel

import opsbook
from opsbook import settings, shapes
from opsbook.cli.parsers import COMMANDS
from opsbook.core.effects import basic, promql
from opsbook.core.model.environment import Channel, ChoiceRule, Policy, Rotation
from opsbook.core.model.front import FrontMatter
from opsbook.core.model.outcome import Exit, Outcome
from opsbook.core.source import parameters
from opsbook.training.plan_file import Member, TrainingRole
from tests.support import ROOT
from tools.reference import commands, pages
from tools.reference import effects as reference_effects
from tools.reference import parameters as reference_parameters
from tools.reference.keys import _fields
from tools.reference.text import documented, link, sentence, table

FOLDER = ROOT / pages.FOLDER
FILES = dict(pages.files())


@pytest.mark.parametrize("name", FILES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    path = FOLDER / name
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    assert written == FILES[name], f"{path} is old; write it anew: {pages.RENEW}"


def test_no_page_is_left_over() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_page_has_one_title_and_says_how_it_is_renewed(name: str) -> None:
    lines = re.sub(r"^(`{3,}).*?^\1$", "", FILES[name], flags=re.DOTALL | re.MULTILINE).split("\n")
    assert [line for line in lines if line.startswith("# ")] == [lines[0]]
    assert pages.RENEW in lines[2]
    assert FILES[name].endswith("\n")
    assert not FILES[name].endswith("\n\n")


@pytest.mark.parametrize("name", FILES)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", FILES[name]):
        path, _, anchor = target.partition("#")
        text = FILES.get(path or name) or (FOLDER / path).read_text(encoding="utf-8")
        headings = [link(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
        assert not anchor or headings.count(f"#{anchor}") == 1, target


@pytest.mark.parametrize(
    "model",
    [
        shapes.model(FrontMatter),
        Policy,
        ChoiceRule,
        Channel,
        Rotation,
        shapes.model(settings._Content),
        TrainingRole,
        Member,
    ],
)
def test_every_key_has_a_description_and_an_example_that_is_right(model: type[BaseModel]) -> None:
    for name, field in _fields(model):
        assert field.description, name
        *tables, key = name.split(".")
        for example in field.examples or ():
            value = needed(model, name) | {key: example}
            for outer in reversed(tables):
                many = get_origin(model.model_fields[outer].annotation) in (tuple, list)
                value = {outer: [value] if many else value}
            model.model_validate(value)
        assert field.examples or [other for other, _ in _fields(model) if other.startswith(f"{name}.")], name


def needed(model: type[BaseModel], name: str) -> dict[str, Any]:
    """Examples of the keys beside this one, in its table, that have to be given."""
    table = name.rpartition(".")[0]
    beside = {other.rpartition(".")[2]: each for other, each in _fields(model) if other.rpartition(".")[0] == table}
    return {key: each.examples[0] for key, each in beside.items() if each.is_required() and each.examples}


def test_every_effect_has_a_text() -> None:
    for name in opsbook.__all__:
        assert f"\n### {name}\n" in FILES["effects.md"] or f"\n### Class {name}\n" in FILES["effects.md"]
        thing = getattr(opsbook, name)
        assert inspect.getdoc(thing if inspect.isroutine(thing) or inspect.isclass(thing) else type(thing)), name


def test_an_effect_without_the_parameter_changes_nothing() -> None:
    only_read = (basic, promql)
    said = [word for each in only_read for word in re.findall(r"\bchanges=(\w+)", inspect.getsource(each))]
    assert said
    assert set(said) == {"False"}
    elsewhere = {"command", "effect", "http", "playbook", "sql"}
    by_words = set(reference_effects._BY_ITS_WORDS)
    for name in opsbook.__all__:
        thing = getattr(opsbook, name)
        if inspect.isfunction(thing):
            assert ("changes" in inspect.signature(thing).parameters) == (name in elsewhere), name
            reads = thing.__module__ in {each.__name__ for each in only_read}
            assert reads == (name not in elsewhere | by_words), name


def test_every_type_of_the_parameters_cell_is_there() -> None:
    allowed = parameters._ALLOWED.replace("... | None", "...|None").split()
    named = {kind.name.replace(" ", "") for kind in reference_parameters.TYPES}
    assert set(allowed) - {"Annotated[...]"} | {"Between", "Pattern"} == named
    for kind in reference_parameters.TYPES:
        assert reference_parameters.read(kind.line).description, kind.name


def test_every_command_is_there_with_a_text_for_each_argument() -> None:
    text = FILES["commands.md"]
    for name, about in COMMANDS.items():
        assert (f"\n## {name}\n" in text) == bool(about.text), name
    assert "| ." not in text, "an argument has no help"
    assert "\n.\n" not in text, "a command has no text"


def test_a_usage_depends_on_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert pages.page("commands") == FILES["commands.md"]
    assert max(map(len, re.findall(r"^opsbook .*$", FILES["commands.md"], re.MULTILINE))) <= commands.WIDTH


@pytest.mark.parametrize("kind", [Exit, Outcome])
def test_every_end_is_described(kind: type[Exit] | type[Outcome]) -> None:
    assert sorted(documented(kind)) == sorted(kind.__members__)
    for text in documented(kind).values():
        assert text in FILES["exit-codes.md"]


def test_every_page_is_written(tmp_path: Path) -> None:
    pages.write(tmp_path)
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == FILES


def test_markdown() -> None:
    assert table(("a", "b"), [("x|y", "z\nz")]) == "| a | b |\n| --- | --- |\n| x\\|y | z z |\n"
    assert (sentence("what"), sentence("Why?"), sentence(" e.g.")) == ("What.", "Why?", "E.g.")
    assert link("`retention.keep_last`") == "#retentionkeep_last"
