"""What steps print, as each view shows it."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest

from opsbook.console.live_view import LiveView
from opsbook.console.view import PlainView
from opsbook.core.model.event import Event
from tests.support.events import whole
from tests.support.project import Project
from tests.support.terminals import Tmux, end_all_of, opened

TURNED = ("\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)))

PAGE = """\
## Steps

### Bar
```python
import sys
for i in range(0, 101, 5):
    sys.stdout.write(f"\\rprogress {i}%"); sys.stdout.flush()
print("\\ndone")
```

### Turned
```bash
printf 'user \\xe2\\x80\\xaetxt.exe\\xe2\\x80\\xac \\a ok\\n'
```

### Many
```bash
seq -f 'number %g' 1 100
```

### Result
```python
from opsbook import command
command(["echo", "quoted once"])
```

### Fails
```python
print("before it")
raise ValueError("no luck\\u202e")
```
"""


def event(number: int, kind: str, **data: Any) -> Event:
    return Event(number, "2026-11-20T00:00:00.000Z", kind, whole(kind, **data))


def output(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output": {"output_type": "stream", "name": name, "text": text}}


@pytest.fixture
def tmux(project: Project) -> Iterator[Tmux]:
    with opened(project) as made:
        yield made
        end_all_of(project)


@pytest.mark.slow
def test_a_pipe_gets_whole_lines_as_a_terminal_shows_them(project: Project) -> None:
    project.page(PAGE)
    done = project.opsbook("run", "page", "-e", "dev")
    lines = [line.removeprefix("    | ") for line in done.out.splitlines() if line.startswith("    |")]
    assert lines[:3] == ["progress 100%", "done", r"user \u202etxt.exe\u202c \u0007 ok"]
    assert lines[3:103] == [f"number {n}" for n in range(1, 101)]
    told = [re.sub(r"in \d+\.\d s", "in N s", line) for line in lines if "quoted once" in line]
    assert told == ["quoted once", "echo quoted once -> 0 in N s"]
    assert r"ValueError: no luck\u202e" in done.out
    page = html.unescape((project.records()[-1] / "index.html").read_text(encoding="utf-8"))
    assert "progress 100%\ndone" in page and "progress 95%" not in page
    for arguments in (
        ("records", "show", "last"),
        ("records", "show", "last", "--json"),
        ("run", "page", "-e", "dev", "--json"),
    ):
        said = project.opsbook(*arguments).out
        assert r"no luck\u202e" in said and not any(sign in said for sign in TURNED)

    quiet = project.opsbook("run", "page", "-e", "dev", "--quiet").out
    assert "number" not in quiet.replace("'number %g'", "") and "before it" not in quiet.partition("Traceback")[0]
    assert "    | ValueError: no luck" in quiet
    assert "Steps / Many" in quiet


@pytest.mark.slow
def test_a_terminal_keeps_output_below_its_step(project: Project, tmux: Tmux) -> None:
    project.page(PAGE)
    pane = tmux.open("run", "page", "-e", "dev", "--yes")
    pane.wait_for("What now?")
    screen = pane.screen
    run = project.records()[-1].name
    bar, turned, many = (re.escape(text) for text in ("  ✓ Bar  0.", "  ✓ Turned  0.", "  ✓ Many  0."))
    below = rf"{bar}\d s\n    \| progress 100%\n    \| done\n{turned}\d s\n    \| user \\u202etxt.exe.*\n{many}\d s\n"
    assert re.search(below, screen), screen
    assert "    | number 20\n    | … 60 lines left out here. All of them:\n" in screen
    assert f"    |   opsbook records show {run} --step many --output\n    | number 81\n" in screen
    assert screen.index("✗ Fails") < screen.index("| before it") < screen.index("ValueError: no luck")
    pane.type("stop")
    pane.wait()
    quiet = tmux.open("run", "page", "-e", "dev", "--yes", "--quiet")
    quiet.wait_for("What now?")
    assert "number" not in quiet.screen and "ValueError: no luck" in quiet.screen
    quiet.type("stop")
    quiet.wait()


@pytest.mark.slow
def test_what_was_printed_is_seen_before_a_question(project: Project, tmux: Tmux) -> None:
    project.page(
        """\
        ## Steps

        ### Volumes
        ```python
        from opsbook import confirm
        print("will delete vol-1")
        confirm("sure", "Delete it?")
        print("deleted vol-1")
        ```
        """
    )
    pane = tmux.open("run", "page", "-e", "dev", "--yes")
    pane.wait_for("[yes/no]")
    assert "  … Volumes\n    | will delete vol-1\n\nDelete it?" in pane.screen
    pane.type("yes")
    pane.wait()
    assert pane.screen.count("will delete") == 1
    assert re.search(r"✓ Volumes  [0-9.]+ s\n    \| deleted vol-1\n", pane.screen)


@pytest.mark.parametrize("sign", TURNED)
def test_signs_that_turn_text_round_are_escaped(capsys: pytest.CaptureFixture[str], sign: str) -> None:
    shown = PlainView()
    shown.event(event(1, "step-started", step="one", title=f"One{sign}", section="Steps"))
    shown.event(event(2, "output", **output(f"out{sign}put\n")))
    shown.event(event(3, "step-finished", step="one", status="failed", why=f"because{sign}"))
    said = capsys.readouterr().out
    assert sign not in said
    assert said.count(f"\\u{ord(sign):04x}") == 3


def test_lines_of_two_streams_are_never_joined(capsys: pytest.CaptureFixture[str]) -> None:
    shown = PlainView()
    for number, (text, name) in enumerate(
        [("one ", "stdout"), ("err", "stderr"), ("line\ntw", "stdout"), ("or\n", "stderr"), ("o", "stdout")]
    ):
        shown.event(event(number, "output", **output(text, name)))
    assert capsys.readouterr().out == "    | one line\n    | error\n"
    shown.event(event(9, "cell-finished", cell="one/1", status="succeeded"))
    assert capsys.readouterr().out == "    | two\n"


def test_the_live_part_shows_the_unfinished_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = LiveView()
    shown.event(event(1, "step-started", step="one", title="One", section="Steps"))
    for number, text in enumerate(["a\nb\nc\n", "\rprogress 1%", "\rprogress 20%"]):
        shown.event(event(number, "output", **output(text)))
    with shown._console.capture() as captured:
        shown._console.print(shown._now())
    assert [line.strip() for line in captured.get().splitlines()[1:]] == ["| a", "| b", "| c", "| progress 20%"]


def test_what_runs_again_shows_nothing_again(capsys: pytest.CaptureFixture[str]) -> None:
    shown = PlainView()
    for cell, replay in (("one/1", True), ("look:one/1", False), ("two/1", False)):
        shown.event(event(1, "cell-started", cell=cell, step="one", replay=replay))
        shown.event(event(2, "output", cell=cell, **output(f"{cell}\n")))
        shown.event(event(3, "cell-finished", cell=cell, status="succeeded"))
    assert capsys.readouterr().out == "    | two/1\n"
