"""What reaches a terminal, and what a command does when its streams are odd, closed or go away."""

import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsbook.cli import main
from opsbook.console import common, person
from opsbook.console.live_view import LiveView
from opsbook.console.outlet import Outlet
from opsbook.console.text import json_text, plain
from opsbook.console.view import JsonView, PlainView
from opsbook.core.model.event import Event
from opsbook.core.model.person import Gone, Question
from tests.support.events import whole
from tests.support.project import Project, Terminal

pytestmark = pytest.mark.slow

EVIL = "\x1b]0;EVIL\x07"
BY_HAND = "## Steps\n\n### By hand\nDo something.\n"
PRINTING = """\
## Steps

### Talk

```python
for n in range(5):
    print("line", n)
```

### By hand
Do something.
"""


def _shell(project: Project, line: str, **env: str) -> "subprocess.CompletedProcess[bytes]":
    """A line of bash in which $O is the command line."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=project.root,
        env={**project.environment(), **env, "O": f"{sys.executable} -m opsbook.cli.main"},
        capture_output=True,
        timeout=120,
        check=False,
    )


# -- arguments and streams


def test_arguments_that_are_no_text(project: Project) -> None:
    project.page(BY_HAND)
    for arguments in (("run", "page", "-e", "dev", "-p", "name=\udcff"), ("--project", "\udcff", "list")):
        result = project.opsbook(*arguments)
        assert result.code == 2
        assert "is not UTF-8" in result.err
    assert project.records() == []


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(project: Project, closed: str) -> None:
    project.page(BY_HAND)
    done = _shell(project, f"$O list {closed}")
    assert done.returncode == 0
    assert b"Error" not in done.stderr
    if ">" not in closed:
        assert b"page" in done.stdout


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
def test_a_run_with_closed_streams(project: Project, closed: str) -> None:
    project.page(PRINTING)
    done = _shell(project, f"$O run page -e dev --answer by-hand=done {closed}")
    assert done.returncode == 0, done.stderr
    assert project.summary()["outcome"] == "succeeded"
    assert project.opsbook("records", "verify", "last").code == 0


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_a_terminal_of_another_encoding(project: Project, encoding: str) -> None:
    project.page(BY_HAND, front='summary: "Häuser → 🏠 …"\n')
    done = _shell(project, "$O list && $O show page && $O plan page -e dev", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert rb"\u2192" in done.stdout
    as_json = _shell(project, "$O list --json", PYTHONIOENCODING=encoding)
    assert json.loads(as_json.stdout.decode(encoding))[0]["summary"] == "Häuser → 🏠 …"


def test_verbose_prints_the_traceback_and_keeps_the_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(arguments: list[str]) -> int:
        raise ZeroDivisionError(f"in {arguments}")

    monkeypatch.setattr(main, "_command", broken)
    assert main.main(["list", "--verbose"]) == 70
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert "a fault in opsbook itself: ZeroDivisionError" in said
    assert main.main(["list"]) == 70
    assert "Traceback" not in capsys.readouterr().err


def test_a_broken_pipe_inside_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(arguments: list[str]) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(main, "_command", broken)
    assert main.main(["run"]) == 70


def test_a_reader_that_has_seen_enough_does_not_change_the_outcome(project: Project) -> None:
    for number in range(3000):
        project.write(f"runbooks/page-{number}.md", "# A page with a rather long title, so that pipes fill\n")
    assert _shell(project, "$O list | head -1").returncode == 0
    project.write("runbooks/broken.md", "---\nkind: none\n---\n")
    done = _shell(project, "$O check | head -1")
    assert done.returncode == 2
    assert b"Broken" not in done.stderr


@pytest.mark.parametrize("options", ["", "--json"])
def test_a_run_goes_on_when_nobody_reads_any_more(project: Project, options: str) -> None:
    project.page(PRINTING)
    done = _shell(project, f"$O run page -e dev --answer by-hand=done {options} | head -1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"\n") == 1
    assert project.summary()["outcome"] == "succeeded"
    assert project.opsbook("records", "verify", "last").code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_under_standard_output(project: Project) -> None:
    project.page(BY_HAND)
    listed = _shell(project, "$O list > /dev/full")
    assert listed.returncode == 70
    assert b"Standard output cannot be written: No space left on device." in listed.stderr
    ran = _shell(project, "$O run page -e dev --answer by-hand=done > /dev/full")
    assert ran.returncode == 0
    assert project.summary()["outcome"] == "succeeded"


def test_an_outlet_is_silent_for_good() -> None:
    class Closing(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            raise OSError(5, "Input/output error")

    stream = Closing()
    outlet = Outlet(stream)
    for _ in range(3):
        assert outlet.write("text") == 4
        outlet.flush()
    assert stream.writes == 1
    assert outlet.lost is not None


# -- what others may not send


def test_every_command_prints_through_one_function() -> None:
    package = Path(main.__file__).parents[1]
    edge = [path for inside in ("console/*.py", "*/commands/*.py", "cli/*.py") for path in package.glob(inside)]
    prints = {path.name for path in edge if re.search(r"(?<![\w.])print\(", path.read_text())}
    assert len(edge) > 60
    assert prints == {"text.py"}


@pytest.mark.parametrize(
    "text",
    [EVIL, "\x1b[31m", "\x9b31m", "\x1bP1$r\x1b\\", "\x1b", "\x1b]0;open", "\x1b\x1b[0m[31m", "\x07", "\x08", "\x7f"],
)
def test_nothing_that_a_terminal_obeys(text: str) -> None:
    for shown in (plain(f"a{text}b"), json_text([f"a{text}b"])):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
    assert json.loads(json_text([text])) == [text]


def test_escapes_of_others_never_reach_the_output(project: Project) -> None:
    project.write(
        "playbooks/inventories/dev/environment.yml",
        'title: "Dev\\e]0;EVIL\\a"\nchoices:\n  Service: ["arcade\\e]0;EVIL\\a"]\nurls: {a: "x\\e]0;EVIL\\a"}\n',
    )
    project.page(
        f"""\
        ## Parameters

        ```python tags=["parameters"]
        word: str  # What{EVIL}
        ```

        ## Steps

        ### One {EVIL}step

        ```python
        print({EVIL!r} + word)
        ```

        ### By hand{EVIL}
        Do something.
        """,
        front='summary: "Sum\\e]0;EVIL\\a"\n',
    )
    project.page(BY_HAND, "titled").write_text(
        '---\ntitle: "T\\e]0;EVIL\\a"\nkind: maintenance\nsummary: "\\e]0;EVIL\\a"\n---\n' + BY_HAND
    )
    given = ("page", "-e", "dev", "-p", f"word=x{EVIL}")
    outputs = [
        project.opsbook(*arguments)
        for arguments in (
            ("list",),
            ("check",),
            ("show", "page"),
            ("show", "titled"),
            ("plan", *given),
            ("plan", "titled", "-e", "dev"),
            ("env", "list"),
            ("env", "show", "dev"),
            ("env", "show", "dev", "--json"),
            ("run", *given, "--answer", "by-hand-0-evil=done"),
            ("run", *given, "--answer", "by-hand-0-evil=done", "--json"),
            ("records", "show", "last"),
            ("records", "list"),
            ("run", "page", "-e", f"dev{EVIL}"),
        )
    ]
    assert [result.code for result in outputs] == [0] * 13 + [2], outputs[9]
    for result in outputs:
        assert "\x1b" not in result.out + result.err
        assert "\x07" not in result.out + result.err


def test_escapes_of_others_never_reach_a_terminal(project: Project) -> None:
    project.page(
        f"""\
        ## Steps

        ### One {EVIL}step

        ```python
        from opsbook import ask
        print({EVIL!r})
        ask("colour", "Which{EVIL.replace(chr(27), chr(92) + "x1b").replace(chr(7), chr(92) + "x07")}?",
            choices=["red" + {EVIL!r}, "blue"])
        ```
        """
    )
    terminal = Terminal(project.command("run", "page", "-e", "dev", "--yes"), project)
    terminal.wait_for("blue] ")
    terminal.type("b\n")
    assert terminal.wait() == 0, terminal.screen
    assert "\x1b]" not in terminal.screen
    assert "\x07" not in terminal.screen


def _events() -> Iterator[Event]:
    step = {"step": "one", "title": f"One{EVIL}", "section": f"Steps{EVIL}"}
    output = {"output_type": "stream", "name": "stdout", "text": f"out{EVIL}put\n"}
    answered = {"name": "go", "value": f"yes{EVIL}", "by": f"ann{EVIL}@host", "note": ""}
    why = f"because{EVIL}\nof" + "x" * 9000
    told: list[tuple[str, dict[str, Any]]] = [
        ("step-started", step),
        ("output", {"output": output}),
        ("output", {"output": output | {"text": "".join(f"{n}\n" for n in range(10_000))}}),
        ("output", {"output": output | {"text": "y" * 1_000_000}}),
        ("output", {"output": {"output_type": "error", "traceback": ["z" * 9000] * 900}}),
        ("effect-intent", {"summary": f"GET{EVIL}" + "s" * 9000, "step": "one", "changes": True}),
        ("question-answered", answered),
        ("effect-refused", {"why": why}),
        ("cancel-requested", {"by": f"eve{EVIL}"}),
        ("rollback-started", {"reason": why}),
        ("step-finished", {"step": "one", "status": "failed", "seconds": 1.0, "why": why}),
    ]
    for number, (kind, data) in enumerate(told):
        yield Event(number, "2026-11-20T00:00:00.000Z", kind, whole(kind, **data))


@pytest.mark.parametrize("make", [PlainView, LiveView, JsonView])
def test_no_view_lets_escapes_through(capsys: pytest.CaptureFixture[str], make: type) -> None:
    shown = make()
    for event in _events():
        shown.event(event)
        if isinstance(shown, LiveView):
            shown._console.print(shown._now())
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said
    if not isinstance(shown, JsonView):
        assert "EVIL" not in said
        assert len(said) < 1_500_000
        assert max(map(len, said.split("\n"))) < 2200


def test_one_output_does_not_flood(capsys: pytest.CaptureFixture[str]) -> None:
    shown = PlainView()
    output = {"output_type": "stream", "name": "stdout", "text": "".join(f"{n}\n" for n in range(10_000))}
    shown.event(Event(1, "", "output", whole("output", output=output)))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 200
    assert lines[0].endswith("| 0")
    assert lines[-1].endswith("| 9999")
    assert "9801 lines are left out here; the record has them" in lines[100]
    shown.event(Event(2, "", "output", whole("output", output=output | {"text": "y" * 5000 + "\n"})))
    assert "yy… (3000 characters are left out; the record has them)" in capsys.readouterr().out


@pytest.mark.parametrize("make", [PlainView, LiveView, JsonView])
def test_a_view_whose_terminal_is_gone_goes_on(make: type, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", Outlet(stream))
        shown = make()
        for event in _events():
            shown.event(event)
            with shown.paused():
                pass
        shown.close()


# -- eighty columns

RUN = "20261120T181203Z-rotate-the-credential-7f3k"
WHEN = "2026-11-20 18:12:03 +0000"
TABLES = {
    "records": (
        ("RUN", "ENVIRONMENT", "OUTCOME", "TOOK", "STARTED", "BY"),
        (RUN, "dev", "lost", "3m 05s", WHEN, "ann@host"),
    ),
    "locks": (("TARGET", "RUN", "BY", "SINCE", "WHAT FOR"), ("dev/a[b]:x:", RUN, "ann@host", WHEN, "It leaked " * 9)),
    "list": (
        ("NAME", "OWNER", "WHAT IT DOES"),
        ("rotate-the-credential", "team-a", "Give everything another one. " * 9),
    ),
}


class Wide(io.StringIO):
    """A terminal of eighty columns, and all that it ever got."""

    def isatty(self) -> bool:
        return True


def _wide(monkeypatch: pytest.MonkeyPatch) -> Wide:
    """Standard output is such a terminal for the rest of the test."""
    made = Wide()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", made)
    return made


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_eighty_columns_cuts_no_word(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    wide = _wide(monkeypatch)
    names, row = TABLES[name]
    common.table(names, [row, row])
    said = re.sub(r"\x1b\[[0-9;]*m", "", wide.getvalue())
    assert "…" not in said
    assert sorted(said.replace("─", "").split()) == sorted(" ".join((*names, *row, *row)).split())
    # A text that is wider than the terminal is for the terminal to break, where nothing else would fit beside it.
    assert all(len(line) <= 80 or name == "locks" for line in said.splitlines())


def test_the_live_view_hides_no_cursor_and_breaks_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = _wide(monkeypatch)
    shown = LiveView()
    with contextlib.closing(shown):
        shown._live.start()
        for event in _events():
            shown.event(event)
            rows = shown._console.render_lines(shown._now(), pad=False)
            assert len(rows) <= 2 + shown.LINES
            assert all(sum(part.cell_length for part in row) < 80 for row in rows)
        with shown.paused():
            pass
    said = wide.getvalue()
    assert "\x1b[?25" not in said and "\x1b[2K" in said


def test_a_question_is_not_erased_when_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = _wide(monkeypatch)
    shown = LiveView()
    with contextlib.closing(shown):
        shown._live.start()
        for event in list(_events())[:2]:
            shown.event(event)
        shown._live.refresh()
        with shown.paused():
            sys.stdout.write("Is it well?\n")
        shown._live.refresh()
    behind = wide.getvalue().partition("Is it well?")[2]
    assert "One" in behind and "\x1b[1A" not in behind.partition("One")[0]


# -- questions


class _View:
    def paused(self) -> Any:
        return contextlib.nullcontext()

    def once(self, text: str) -> str:
        return text


@pytest.mark.parametrize("text", ["", "maybe\n"])
def test_the_end_of_input_is_a_person_who_left(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    with os.fdopen(reading) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        asked = person.TerminalPerson(_View(), "ann@host").ask(Question("go", "confirm", "Go?", ("yes", "no")))  # type: ignore[arg-type]
        with pytest.raises(Gone):
            asyncio.run(asked)


def test_a_terminal_that_gives_an_error_is_a_person_who_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(io.StringIO):
        def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdin", Lost())
    assert person._read_line() == ""
