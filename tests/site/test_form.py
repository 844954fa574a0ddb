"""The form of a page says of each value what the command line says of it, and writes a line that gives it back."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from opsbook.core.model.parameter import Parameter
from opsbook.core.planning import bind
from opsbook.core.source import notebook
from opsbook.site import site
from opsbook.site.form import form
from tests.support import browser
from tests.support.form_values import DEV, DOUBTED, ONLY_PYTHON, VALUES
from tools.reference.parameters import read

pytestmark = pytest.mark.slow

Open = Callable[..., Any]


def declared(annotation: str, name: str) -> Parameter:
    kind, equals, default = annotation.partition(" = ")
    return replace(read(f"{name}: {kind}{equals}{default}"), line=1)


def names(table: Mapping[str, tuple[str, ...]]) -> dict[str, Parameter]:
    return {annotation: declared(annotation, f"p{n}") for n, annotation in enumerate(table)}


@pytest.fixture
def page(tmp_path: Path, chromium: Any) -> Any:
    """Make a page of a form with these parameters, and open it."""
    context = chromium.new_context()
    context.set_default_timeout(browser.PATIENCE)
    wrong: list[str] = []

    def opened(parameters: list[Parameter], query: str = "", content: str = "") -> Any:
        for path, data in site.assets().items():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        runbook, _ = notebook.parse("---\ntitle: T\nkind: procedure\n---\n\n# T\n", "runbooks/t.md")
        made = form(replace(runbook, parameters=tuple(parameters)), [DEV])
        scripts = f"<script src='{site.ASSETS}/opsbook.js'></script>"
        file = tmp_path / "t.html"
        whole = f"<!doctype html><meta charset=utf-8><body><div class=md-content>{made}{content}</div>{scripts}"
        file.write_text(whole, encoding="utf-8")
        found = context.new_page()
        found.on("pageerror", lambda error: wrong.append(str(error)))
        found.goto(file.as_uri() + query)
        return found

    yield opened
    context.close()
    assert not wrong


TYPE = """([id, text]) => {
  const field = document.getElementById(id);
  if (field.tagName === "SELECT") field.append(new Option(text, text));
  field.value = text;
  if (field.tagName === "SELECT") field.selectedIndex = field.options.length - 1;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  const now = document.getElementById(id);
  return [now.getAttribute("aria-invalid"), document.getElementById(`${id}-wrong`).textContent,
          document.querySelector(".ob-line code").textContent];
}"""


def type_(page: Any, parameter: Parameter, text: str) -> tuple[bool, str, str]:
    invalid, said, line = page.evaluate(TYPE, [f"ob-p-{parameter.name}", text])
    return invalid != "true", said, line


def words(line: str, shell: str = "sh") -> list[str]:
    """The words that a shell gives to the program."""
    define = "function opsbook; printf '%s\\0' $argv; end" if shell == "fish" else 'opsbook() { printf "%s\\0" "$@"; }'
    done = subprocess.run([shell, "-c", f"{define}\n{line}"], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


def given(found: list[str]) -> dict[str, list[str]]:
    """The texts of each parameter, as the command line takes them from its words."""
    return bind.pairs([word for before, word in pairwise(found) if before == "-p"])


def bound(parameter: Parameter, texts: list[str] | None) -> bind.Bound:
    typed = {} if texts is None else {parameter.name: texts[0] if len(texts) == 1 else texts}
    return bind.bind([parameter], typed, DEV)


def texts_of(parameter: Parameter, text: str) -> list[str]:
    """What somebody gives who types this: a list has one text a line."""
    return text.rstrip("\n").split("\n") if parameter.many else [text]


def test_the_table_is_worth_its_name() -> None:
    assert sum(map(len, VALUES.values())) >= 120


def test_form_and_command_line_agree_on_every_value(page: Any) -> None:
    parameters = names(VALUES)
    opened = page(list(parameters.values()))
    different: list[tuple[Any, ...]] = []
    for annotation, texts in VALUES.items():
        parameter = parameters[annotation]
        for text in texts:
            if "\n" in text and not parameter.many and opened.locator(f"input#ob-p-{parameter.name}").count():
                continue  # A field of one line holds none.
            expected = bound(parameter, texts_of(parameter, text))
            accepted, said, line = type_(opened, parameter, text)
            if accepted == bool(expected.problems):
                different.append((annotation, text[:30], said, expected.problems))
            elif accepted:
                again = bound(parameter, given(shlex.split(line)).get(parameter.name))
                if (again.values, again.problems) != (expected.values, ()):
                    different.append((annotation, text[:30], line[-100:], expected.values))
    assert not different


def test_what_only_the_environment_knows_is_doubted(page: Any) -> None:
    parameters = names(DOUBTED)
    opened = page(list(parameters.values()))
    for annotation, texts in DOUBTED.items():
        for text in texts:
            assert bound(parameters[annotation], [text]).problems
            accepted, said, _ = type_(opened, parameters[annotation], text)
            assert accepted and "when this page was made" in said, annotation


def test_what_only_python_can_match_is_left_to_it(page: Any) -> None:
    parameters = names(ONLY_PYTHON)
    opened = page(list(parameters.values()))
    for annotation, texts in ONLY_PYTHON.items():
        assert not bound(parameters[annotation], [texts[0]]).problems
        assert all(type_(opened, parameters[annotation], text)[0] for text in texts), annotation


def test_a_field_that_nobody_touched_adds_nothing(page: Any) -> None:
    parameters = [each for each in names(VALUES).values() if not each.required]
    opened = page(parameters)
    assert opened.locator(".ob-line code").inner_text() == "opsbook run t -e dev"
    assert opened.locator(".ob-copy").is_enabled()
    opened.locator("label").first.click()
    assert opened.locator(".ob-line code").inner_text() == "opsbook run t -e dev"


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish"])
def test_every_shell_gives_the_exact_values_back(page: Any, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    name = declared("str", "name")
    tags = declared("list[str]", "tags")
    opened = page([name, tags], "?name=a%0Ab%09c&tags=a,b&tags=it's%0Afull")
    expected = {"name": ["a\nb\tc"], "tags": ["a,b", "it's\nfull"]}
    assert given(words(opened.locator(".ob-line code").text_content(), shell)) == expected
    for value in (
        "a\\",
        "a\\\\b",
        "\\'",
        "'\\''",
        "!x",
        "$(id)`id`",
        '"',
        "~/x *",
        "-x",
        "a;b&c|d",
        "(x) {y} [z]",
        "ü😀",
        "\\n",
    ):
        _, _, line = type_(opened, name, value)
        assert given(words(line, shell))["name"] == [value]


# -- what a link says


def link(**texts: str | list[str]) -> str:
    pairs = [(name, text) for name, each in texts.items() for text in ([each] if isinstance(each, str) else each)]
    return "?" + "&".join(f"{name.replace('__', '.')}={quote(text)}" for name, text in pairs)


def test_no_control_character_reaches_the_line(page: Any) -> None:
    opened = page([declared("str", "text"), declared("list[str] = []", "tags")])
    address = opened.url
    for code in (*range(1, 9), *range(0x0B, 0x20), 0x7F):
        opened.goto(address + link(text=f"{chr(code)}x #", tags=f"a,{chr(code)}"))
        line = opened.locator(".ob-line code").text_content()
        assert line == "opsbook run t -e dev -p text=… -p tags=…", code
        assert opened.locator(".ob-copy").is_disabled(), code
        assert "control character" in opened.locator("#ob-p-text-wrong").inner_text(), code


def test_a_link_means_what_the_command_line_means(page: Any) -> None:
    declared_ = {"tags": "list[str]", "force": "bool", "day": "datetime.date", "s": "str", "x": "Literal[True] = True"}
    parameters = {name: declared(annotation, name) for name, annotation in declared_.items()}
    cases: list[dict[str, list[str]]] = [
        {"tags": ["a,b", "c"]},
        {"tags": ["a,b"]},
        {"tags": ["", "a"]},
        {"force": ["yes"]},
        {"force": ["1"]},
        {"day": ["20261120"]},
        {"day": ["soon"]},
        {"s": ["a", "b"]},
        {"s": [""]},
        {"s": ["a\r\nb"]},
        {"x": ["True"]},
        {"x": ["true"]},
    ]
    for case in cases:
        ((name, texts),) = case.items()
        opened = page(list(parameters.values()), link(**{name: texts}))
        accepted = opened.locator(f"#ob-p-{name}").get_attribute("aria-invalid") != "true"
        expected = bound(parameters[name], texts)
        refused = bool(expected.problems) or "\r" in texts[0]
        assert accepted != refused, case
        line = opened.locator(".ob-line code").text_content()
        if accepted:
            assert bound(parameters[name], given(shlex.split(line)).get(name)).values == expected.values
        else:
            assert f"-p {name}=…" in line and opened.locator(".ob-copy").is_disabled()
        opened.close()


def test_a_parameter_may_be_called_like_anything_on_the_page(page: Any) -> None:
    taken = [declared('str = "x"', name) for name in ("environment", "records", "filter", "name", "runbook")]
    opened = page(taken, link(environment="dev", p__environment="mine"))
    assert opened.locator(".ob-line code").inner_text() == "opsbook run t -e dev -p environment=mine"
    opened.fill("#ob-p-environment", "other")
    assert opened.locator(".ob-line code").inner_text() == "opsbook run t -e dev -p environment=other"
    ids = opened.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))


def test_an_environment_that_the_page_does_not_offer_is_refused(page: Any) -> None:
    opened = page([], link(environment="production"))
    assert opened.locator(".ob-copy").is_disabled()
    assert (
        opened.locator("#ob-environment-wrong").inner_text()
        == "production is no environment in which this may run: there is dev"
    )
    assert opened.locator(".ob-line code").inner_text() == "opsbook run t -e production"
    opened.select_option("#ob-environment", "dev")
    assert opened.locator(".ob-copy").is_enabled() and not opened.locator("#ob-environment-wrong").is_visible()


def test_a_hint_says_the_unit(page: Any) -> None:
    opened = page([declared("Annotated[Duration, Between(2, 1800)]", "pause"), declared('list[str] = ["a,b"]', "tags")])
    assert opened.locator("#ob-p-pause-hint").inner_text() == "a duration such as 90s or 3m from 2s to 30m"
    assert "unless given: ['a,b']" in opened.locator("#ob-p-tags-hint").inner_text()
    _, said, _ = type_(opened, declared("Duration", "pause"), "1s")
    assert said == "1s is not between 2s and 30m"


# -- commands to type


COMMAND = "<pre class=language-bash><code>{}</code></pre>"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("printf %s $name", "bare"),
        ('printf %s "$name"', "in double quotes"),
        ('printf %s "a ${name} b" c', "among letters"),
        ("printf %s '{name}'", "in single quotes"),
        ("printf %s a{name}b", "inside a word"),
        ('printf %s "\\"$name"', "behind a quote that is none"),
        ("# it isn't quoted\nprintf %s $name", "behind an apostrophe"),
    ],
)
def test_a_command_has_the_value_whatever_quotes_it_stands_in(page: Any, command: str, said: str) -> None:
    opened = page([declared("str", "name")], content=COMMAND.format(command))
    before = subprocess.run(
        ["sh", "-c", re.sub(r"\$?\{name\}|\$name", "@", command)],
        capture_output=True,
        check=True,
    ).stdout.decode()
    for value in ("it's", 'a"b', "$HOME `id`", "a\\b", "a b", "x!y", "\\", "a'\"'b"):
        type_(opened, declared("str", "name"), value)
        shown = opened.locator("pre code").text_content()
        done = subprocess.run(["bash", "-c", shown], capture_output=True, check=True).stdout.decode()
        assert done == before.replace("@", value), (said, shown)


def test_defaults_are_in_commands_and_wrong_values_are_not(page: Any) -> None:
    host = declared('Annotated[str, Pattern("[a-z0-9-]+")] = "web-1"', "host")
    opened = page([host], content=COMMAND.format("ssh $host"))
    assert opened.locator("pre code").text_content() == "ssh web-1"
    for typed, shown in (("web-2", "ssh web-2"), ("x; rm -rf /", "ssh $host"), ("web-3", "ssh web-3")):
        type_(opened, host, typed)
        assert opened.locator("pre code").text_content() == shown


def test_only_the_parameter_itself_is_marked_in_python(page: Any) -> None:
    spans = (
        "<span class=n>d</span><span class=o>.</span><span class=n id=attribute>name</span> <span class=o>=</span> 5\n"
        "<span class=n id=assigned>name</span> <span class=o>=</span> 5\n"
        "<span class=n id=used>name</span><span class=p>)</span>"
    )
    opened = page(
        [declared("str", "name")], "?name=x", f"<details class=ob-code open><pre><code>{spans}</code></pre></details>"
    )
    marked = opened.evaluate("[...document.querySelectorAll('.ob-value')].map((each) => each.id)")
    assert json.dumps(marked) == '["used"]'
