"""Real terminals: tmux, which can be killed. A terminal is gone then as when its window is closed."""

import contextlib
import json
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from opsbook.core.locks import lock
from opsbook.core.record import seal, store
from tests.support.project import Project, assert_all_gone, until

CONFIG = """\
set -g remain-on-exit on
set -g exit-empty off
set -g history-limit 5000
"""


class Tmux:
    """A tmux server of its own; `open` gives a terminal in which a command runs."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self._folder = folder
        (folder / "tmux.conf").write_text(CONFIG)

    def call(self, *arguments: str) -> str:
        """What tmux says to one of its commands."""
        given = ["tmux", "-u", "-S", str(self._folder / "socket"), "-f", str(self._folder / "tmux.conf")]
        done = subprocess.run(
            [*given, *arguments],
            cwd=self.project.root,
            env={**self.project.environment(), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        )
        return done.stdout

    def open(self, *arguments: str) -> "Pane":
        """A terminal whose only program is the command line."""
        return self._new(self.project.command(*arguments))

    def shell(self, *arguments: str) -> "Pane":
        """A terminal with a shell, in which somebody types the command."""
        pane = self._new(["bash", "--noprofile", "--norc", "-i"])
        pane.type(shlex.join(self.project.command(*arguments)))
        return pane

    def _new(self, command: list[str]) -> "Pane":
        size = ("-x", "150", "-y", "50")
        made = self.call("new-session", "-d", *size, "-P", "-F", "#{pane_id}", "-c", str(self.project.root), *command)
        return Pane(self, made.strip())

    def kill(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.call("kill-server")


class Pane:
    """One terminal."""

    def __init__(self, tmux: Tmux, name: str) -> None:
        self._tmux = tmux
        self.name = name

    @property
    def process(self) -> psutil.Process:
        """What runs in it."""
        return psutil.Process(int(self._tmux.call("display-message", "-p", "-t", self.name, "#{pane_pid}")))

    @property
    def screen(self) -> str:
        """All that is to be seen, also what went out at the top."""
        return self._tmux.call("capture-pane", "-p", "-J", "-S", "-", "-t", self.name)

    def type(self, text: str) -> None:
        """A line, as a person types it."""
        self._tmux.call("send-keys", "-t", self.name, "-l", text)
        self.key("Enter")

    def key(self, name: str) -> None:
        self._tmux.call("send-keys", "-t", self.name, name)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Until the text is to be seen, so many times; where a line was broken to fit does not matter."""

        def seen() -> bool:
            return max(self.screen.count(text), " ".join(self.screen.split()).count(text)) >= times

        self._until(seen, f"{text!r} on the screen")

    def wait(self) -> int:
        """The exit code, when the command has ended."""

        def look() -> str:
            form = "#{pane_dead} #{pane_dead_status}"
            dead, _, status = self._tmux.call("display-message", "-p", "-t", self.name, form).strip().partition(" ")
            if dead == "1" and not status:
                # Where two end at once, tmux may overlook one of them, until another child of its ends.
                self._tmux.call("run-shell", "true")
            return status

        return int(self._until(look, "the end of the command"))

    def _until(self, look: Callable[[], Any], what: str) -> Any:
        def calmly() -> Any:
            # Each look is a process of its own.
            time.sleep(0.05)
            return look()

        try:
            return until(calmly, what)
        except AssertionError as error:
            state = self._tmux.call("display-message", "-p", "-t", self.name, "#{pane_dead} #{pane_dead_signal}")
            raise AssertionError(f"{error}; {state}\n{self.screen}") from None

    def kill(self, what: str = "pane") -> None:
        """Close the terminal under whatever runs in it: the pane, its session, or the whole server."""
        target = () if what == "server" else ("-t", self.name)
        self._tmux.call(f"kill-{what}", *target)


@contextlib.contextmanager
def opened(project: Project) -> Iterator[Tmux]:
    """A tmux server, until the test is over."""
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    # The path of a socket has to be short, and that of a test's folder is not.
    with tempfile.TemporaryDirectory(prefix="opsbook-tmux-") as folder:
        made = Tmux(project, Path(folder))
        try:
            yield made
        finally:
            made.kill()


def end_all_of(project: Project) -> None:
    """End what a test that failed left behind: without a terminal it would wait for ever."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd() == str(project.root):
                process.kill()


# -- what several tests look at


def journal(record: Path) -> list[dict[str, Any]]:
    """The events of a record whose run may still write."""
    lines = (record / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def told(project: Project, kind: str) -> list[dict[str, Any]]:
    """The data of all events of a type, of the newest record."""
    return [event["data"] for event in journal(project.records()[-1]) if event["type"] == kind]


def did(project: Project) -> list[str]:
    """What the pages of these tests leave behind, one word for each effect that ended."""
    path = project.root / "done.txt"
    return path.read_text().split() if path.is_file() else []


def without_terminal(project: Project) -> None:
    """The run's process lives, and the terminal it was started at is really gone."""
    (begun,) = told(project, "run-started")
    until(lambda: psutil.Process(begun["pid"]).terminal() is None, "the loss of the terminal")


def ended(project: Project, outcome: str = "succeeded") -> dict[str, Any]:
    """The summary of the newest run, once it is over as it should be: sealed, whole, and nothing of it is left."""
    record = project.records()[-1]
    until((record / "seal.json").is_file, "the seal")
    # Its locks are given back after that, and its journal last of all.
    until(lambda: not store.alive(record / "journal.jsonl"), "the end of the run")
    assert_all_gone(record.name)
    found: dict[str, Any] = json.loads((record / "record.json").read_text(encoding="utf-8"))
    assert found["outcome"] == outcome, found["reason"]
    assert seal.verify(record) == []
    return found


def locked(project: Project) -> bool:
    """Whether any run holds a lock."""
    return bool(lock.holders(project.root / ".opsbook"))


def hold(project: Project, target: str = "dev/web") -> Callable[[], None]:
    """Lock a target for a run that is none; returns what gives it back."""
    state = project.root / ".opsbook"
    lock.acquire(state, [lock.Lock(target, "another-run", "eve@host", "Another page", "2026-11-20T00:00:00Z")])
    return lambda: lock.release(state, "another-run")
