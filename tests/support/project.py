"""A project in a temporary folder, and the real command line to work on it."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support import forked, modules

HOSTS = f"""\
all:
  vars:
    ansible_connection: local
    ansible_python_interpreter: "{modules.interpreter()}"
  children:
    app:
      hosts:
        web-1:
        web-2:
"""

POLICY = """\
title: Development
sandbox: true
choices:
  Service: [arcade, lobby]
  Release: ["1.0.0", "1.10"]
"""

PAGE = """\
---
title: A page
kind: maintenance
owner: team
reviewed: 2026-11-20
{front}---

# A page

## Overview
For tests.

"""


@dataclass
class Project:
    """A small project; `opsbook(...)` runs the command line in it."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    started: "list[subprocess.Popen[str]]" = field(default_factory=list, init=False)
    terminals: "list[Terminal]" = field(default_factory=list, init=False)

    @classmethod
    def made(cls, root: Path) -> "Project":
        """One with an environment, and no page yet."""
        made = cls(root)
        made.write("opsbook.toml", 'records = "records"\n')
        made.write("playbooks/inventories/dev/hosts.yml", HOSTS)
        made.write("playbooks/inventories/dev/environment.yml", POLICY)
        (root / "runbooks").mkdir()
        return made

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def page(self, body: str, name: str = "page", front: str = "") -> Path:
        """A runbook with the usual front matter; `body` starts at its first H2."""
        return self.write(f"runbooks/{name}.md", PAGE.format(front=front) + textwrap.dedent(body))

    def opsbook(self, *arguments: str, stdin: str = "", check: bool = False) -> "Result":
        """A command from its start to its end, in a process of its own that needs no time to start."""
        told = forked.run(arguments, self.root, self.environment(), stdin, 1200) if self._forks() else None
        result = self.real(*arguments, stdin=stdin) if told is None else Result(*told)
        assert "Traceback (most recent call last)" not in result.err, result.err
        if check:
            assert result.code == 0, f"{result.out}\n{result.err}"
        return result

    def real(self, *arguments: str, stdin: str = "") -> "Result":
        """The same, as a shell would start it."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """The command line in the background, forked as in `opsbook`."""
        forks = not options and self._forks() and forked.can(self.environment())
        process = (forked.Popen if forks else subprocess.Popen)(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        self.started.append(process)
        return process

    def _forks(self) -> bool:
        # Somebody else, or another interpreter, cannot be forked.
        return type(self).command is Project.command

    def end(self) -> None:
        """Ends what was started and not waited for, and tells what it said: why a test failed."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
                    print(process.args, process.communicate(timeout=60)[0])
            if process.stdout is not None:
                process.stdout.close()
        for terminal in self.terminals:
            terminal.end()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "opsbook.cli.main", *arguments]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONWARNINGS": "error", "XDG_STATE_HOME": str(self.root.parent / "home"), **self.env}

    def records(self) -> list[Path]:
        """The folders of the records of runs, oldest first. Incidents stand beside the years."""
        return sorted((p.parent for p in self.root.glob("records/[0-9]*/**/journal.jsonl")), key=_begun)

    def events(self) -> list[dict[str, Any]]:
        """The journal of the newest record."""
        lines = (self.records()[-1] / "journal.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def summary(self) -> dict[str, Any]:
        return dict(json.loads(self.opsbook("records", "show", "last", "--json", check=True).out))

    def wait_for_event(self, kind: str, where: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The first event of this type, as soon as it is there."""

        def found() -> dict[str, Any] | None:
            if not self.records():
                return None
            text = (self.records()[-1] / "journal.jsonl").read_text(encoding="utf-8")
            events: list[dict[str, Any]] = [
                json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")
            ]
            return next((e for e in events if e["type"] == kind and where(e["data"])), None)

        return until(found, f"event {kind}")


class Terminal:
    """A command on a terminal of its own; everything it writes is kept in `screen`."""

    def __init__(self, command: list[str], project: Project) -> None:
        master, slave = pty.openpty()
        self.screen = ""
        self._master = master
        environment = {**project.environment(), "TERM": "xterm", "COLUMNS": "100"}
        forks = command[:3] == Project.command(project) and forked.can(environment)
        self.process = (forked.Popen if forks else subprocess.Popen)(
            command,
            cwd=project.root,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        # Whatever keeps the terminal open must not keep the tests from ending.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        project.terminals.append(self)

    def _read(self) -> None:
        # Reading a terminal whose other end is closed gives EIO: that is its end.
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65536):
                self.screen += data.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.screen, f"{text!r} on the screen")

    def wait(self) -> int:
        """The exit code, when the command has ended."""
        code = self.process.wait(timeout=180)
        self._reader.join(timeout=180)
        os.close(self._master)
        return code

    def end(self) -> None:
        """Ends the command if nobody waited for it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=180)


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


def _begun(record: Path) -> tuple[str, str, str]:
    """When a run began: its id has the second alone, and two short ones may begin in one."""
    first = ""
    # It may be moved away meanwhile.
    with contextlib.suppress(OSError), (record / "journal.jsonl").open(encoding="utf-8", errors="replace") as lines:
        first = lines.readline()
    found = re.search(r'"time":\s*"([^"]+)"', first)
    # One that has written nothing yet began after those that have.
    return record.name[:16], found[1] if found else "~", record.name


def until(look: Callable[[], Any], what: str, seconds: float = 180.0) -> Any:
    """The first true thing `look` gives. Fails after the seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.02)
    return found


def processes_of(run: str) -> list[psutil.Process]:
    """Living processes that carry this run's mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("OPSBOOK_RUN") == run and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def left_of(run: str) -> list[psutil.Process]:
    """Living processes of a run: those with its mark, and its keeper, which has its id as an argument."""
    keepers = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "opsbook.core.engine.process.keeper" in process.cmdline() and run in process.cmdline():
                keepers.append(process)
    return [*processes_of(run), *keepers]


def names_of(run: str) -> set[str]:
    """The names of the run's living processes."""
    found = set()
    for process in processes_of(run):
        with contextlib.suppress(psutil.Error):
            found.add(process.name())
    return found


def assert_all_gone(run: str, seconds: float = 180.0) -> None:
    """No process of the run is left within the time."""
    deadline = time.monotonic() + seconds
    while left := left_of(run):
        assert time.monotonic() < deadline, [process.cmdline() for process in left]
        time.sleep(0.05)
