"""What a shell starts. All other tests have their commands forked from a process that has imported everything."""

import argparse
import json
import os
import pkgutil
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import opsbook
from opsbook.cli.parsers import COMMANDS, Command, parser
from opsbook.core.model.front import Kind
from tests.support import forked as forked_commands
from tests.support.project import Project, Result, Terminal

pytestmark = pytest.mark.slow

ALONE = """\
import importlib, os, sys
import pydantic, yaml
import opsbook.cli.main
failed = []
for name in sys.argv[1:]:
    pid = os.fork()
    if not pid:
        importlib.import_module(name)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        failed.append(name)
sys.exit(" ".join(failed) or 0)
"""
"""Imports each module in a process that has imported only what starts a command; says what could not be."""


def imported_alone(names: list[str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *names],
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    return done.returncode, done.stderr


@pytest.fixture
def page(project: Project) -> Project:
    project.page("## Steps\n\n### By hand\nDo something.\n")
    return project


def script(project: Project, *arguments: str) -> Result:
    """The program that installing opsbook leaves."""
    command = [str(Path(sys.executable).with_name("opsbook")), *arguments]
    done = subprocess.run(
        command, cwd=project.root, env=project.environment(), capture_output=True, text=True, check=False, timeout=180
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("plan", "page", "-e", "dev", "--json"),
        ("run", "paeg", "-e", "dev", "--json"),
    ],
)
def test_each_way_to_start_it_does_the_same(page: Project, arguments: tuple[str, ...]) -> None:
    assert page.opsbook(*arguments) == page.real(*arguments) == script(page, *arguments)


def test_a_forked_command_has_only_what_it_was_given(page: Project) -> None:
    """Nothing of one command is left to the next one."""
    page.env["OPSBOOK_OF_ONE_COMMAND"] = "x"
    before = page.opsbook("list", check=True)
    elsewhere = Project(page.root.parent)
    assert elsewhere.opsbook("list").code == 2
    del page.env["OPSBOOK_OF_ONE_COMMAND"]
    assert page.opsbook("list", check=True) == before
    said = page.opsbook("run", "page", "-e", "dev", "--answer", "by-hand=done", check=True)
    assert "succeeded" in said.out
    assert page.opsbook("run", "page", "-e", "dev", stdin="done\n").code == 2


def test_one_strange_environment_lets_all_others_fork(project: Project) -> None:
    usual = project.environment()
    forked_commands.end()
    assert not forked_commands.can({**usual, "PYTHONWARNINGS": "ignore"})
    assert forked_commands.can(usual)


KERNEL = """\
## Steps

### Tell

```python
import json, os, signal, sys, warnings
from pathlib import Path
from opsbook import attach
process = lambda pid: [Path(f"/proc/{pid}/{name}").read_text().split(chr(0)) for name in ("cmdline", "environ")]
mask = os.umask(0o22)
attach("told.json", json.dumps({
    "kernel": process("self"),
    "keeper": process(os.getppid()),
    "environment": dict(os.environ),
    "sessions": [os.getsid(0) == os.getpid(), os.getsid(os.getppid()) == os.getppid()],
    "program": os.readlink("/proc/self/exe"),
    "started": [sys.argv, sys.path, os.getcwd(), sys.dont_write_bytecode, sys.warnoptions, mask],
    "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "filters": [str(each) for each in warnings.filters if each[2].__module__ == "builtins"],
    "streams": [stream.encoding + stream.errors for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__)],
    "opsbook": sorted(name for name in sys.modules if name.startswith("opsbook.core.effects")),
    "debugger": sorted(name for name in sys.modules if name.startswith(("debugpy", "pydevd"))),
}))
```
"""
"""What a kernel and its keeper have of whoever started them."""


def test_a_forked_kernel_is_like_one_that_was_started(project: Project) -> None:
    project.page(KERNEL)
    told = []

    def in_the_background(*arguments: str) -> Result:
        process = project.start(*arguments)
        assert isinstance(process, forked_commands.Popen)
        out = process.communicate(timeout=180)[0]
        return Result(process.returncode, out, "")

    for start in (project.opsbook, in_the_background, project.real):
        assert start("run", "page", "-e", "dev").code == 0
        (path,) = project.records()[-1].rglob("*told.json")
        text = path.read_text().replace(project.records()[-1].name, "RUN")
        told.append(json.loads(re.sub(r"opsbook-\w{8}\b", "PRIVATE", text)))
    forked, begun, started = told
    assert forked["kernel"][1] == started["kernel"][1]
    assert "OPSBOOK_RUN=RUN" in forked["kernel"][1]
    assert started["debugger"] == [], "a run has nobody who debugs, and loading it takes as long as the rest"
    assert forked == begun == started


def test_a_forked_command_ends_like_one_that_was_started(page: Project) -> None:
    """At a terminal, and by a signal."""
    command = [*page.command("run", "page", "-e", "dev", "--yes")]
    ends = []
    for words in (command, ["env", *command]):
        for number in (None, signal.SIGINT, signal.SIGKILL):
            terminal = Terminal(words, page)
            assert isinstance(terminal.process, forked_commands.Popen) == (words == command)
            terminal.wait_for("done/skip/problem")
            if number is None:
                terminal.type("done\n")
            else:
                terminal.process.send_signal(number)
            ends.append((terminal.wait(), "By hand" in terminal.screen, "\x1b[1m" in terminal.screen))
    assert ends[:3] == ends[3:]
    assert [code for code, *_ in ends[:3]] == [0, 5, -signal.SIGKILL]


def test_a_page_of_every_kind_can_be_written() -> None:
    (kind,) = (action for action in parser("new")._actions if action.dest == "kind")
    assert kind.choices == list(get_args(Kind))


@pytest.mark.slow
@pytest.mark.soak
def test_each_command_can_be_imported_first() -> None:
    """Or whether it works would depend on what was imported before it."""
    names = {command.code.partition(":")[0] for name in COMMANDS for command in _with_inner(parser(name))}
    assert imported_alone(sorted(names)) == (0, "")


def _with_inner(command: Command) -> Iterator[Command]:
    inner = [each for each in command._actions if isinstance(each, argparse._SubParsersAction)]
    if not inner:
        yield command
    for each in inner:
        yield from each.choices.values()


@pytest.mark.slow
@pytest.mark.soak
def test_each_module_can_be_imported_first() -> None:
    names = [found.name for found in pkgutil.walk_packages(opsbook.__path__, "opsbook.")]
    # Papermill warns of itself, and imports these two: they are its plugins.
    plugins = {"opsbook.integrations.papermill", "opsbook.integrations.papermill_io"}
    assert imported_alone([name for name in names if name not in plugins]) == (0, "")


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_starts_by_itself(page: Project, command: str) -> None:
    told = page.real(command, "--help")
    assert (told.code, told.err) == (0, "")
    assert f"opsbook {command}" in told.out
