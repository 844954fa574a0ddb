"""One trial of the kill matrix: a run in which something is killed, and an operator who goes on with it.

The operator looks at the target itself before every answer, as the page on unknown effects asks for. What has to be
true after a kill, and in the end, stands in `Trial.looked_at` and `Trial.ended`, one sentence each.
"""

import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from opsbook.cli.main import main as command_line
from opsbook.core.model.event import Event
from opsbook.core.record import journal
from tests.soak.killer import LINES
from tests.soak.target import LOCK, NAMES, PLAYED, PLAYED_ON, TOGETHER, Target
from tests.support.kill_plans import Kill, Plan
from tests.support.project import left_of, processes_of, until

GONE = 60.0
"""Seconds after a kill in which every process of the run has to be gone."""

_MOST = 6
"""How often an operator goes on with one run, at most."""

_KILLER = Path(__file__).parents[1] / "soak/killer.py"

UNKNOWN, MARKED, NEVER = "unknown", "marked", "never"
"""Fates of effects besides succeeded and failed: no result, or an interrupted one; marked as done; never begun."""


@dataclass
class Figures:
    """What one trial measured."""

    seconds: float = 0.0
    gone: float = 0.0
    resumes: int = 0
    unknown: int = 0
    repeated: int = 0
    kills: list[Kill] = field(default_factory=list)


class Trial:
    """A run, what is done to it, and what has to be true of it."""

    def __init__(self, target: Target, planned: Plan) -> None:
        self.figures = Figures()
        self._target = target
        self._project = target.project
        self._plan = planned
        self._repeated: set[str] = set()
        self._asks, self._hasty, self._again = planned.asks, planned.hasty, planned.again

    def carry_out(self) -> Figures:
        """From the first command to the last check. Raises AssertionError with what is not true."""
        started = time.monotonic()
        code = self._struck(self._plan.kill, "run", "page", "-e", "dev")
        self.looked_at(self._plan.kill, code)
        while not self._went_on():
            assert self.figures.resumes < _MOST, f"{_MOST} resumes were not enough: {self._told()['reason']}"
        self.ended()
        self.figures.seconds = time.monotonic() - started
        return self.figures

    # -- killing

    def _struck(self, kill: Kill, *arguments: str) -> int | None:
        """Start a command and kill; its exit code when all of it is gone. None if the moment never came."""
        struck = self._target.root / f"struck-{len(self.figures.kills)}"
        process = self._started(kill, struck, arguments)
        try:
            if kill.boundary not in LINES:
                self._kill_from_outside(kill, process.pid)
                struck.touch()
            code = process.wait(timeout=180)
        finally:
            process.kill()
            process.wait()
        if not struck.exists():
            return None
        self.figures.kills.append(kill)
        self.figures.gone = max(self.figures.gone, self._gone())
        self._target.release()
        return code

    def _started(self, kill: Kill, struck: Path, arguments: tuple[str, ...]) -> "subprocess.Popen[bytes]":
        command = self._project.command(*arguments)
        if kill.boundary in LINES:
            aim = {"victim": kill.victim, "boundary": kill.boundary, "name": kill.name, "struck": str(struck)}
            command = [sys.executable, str(_KILLER), json.dumps(aim), *arguments]
        for name in _brakes(kill):
            self._target.brake(*name)
        with (self._target.root / "terminal.txt").open("ab") as screen:
            return subprocess.Popen(
                command,
                cwd=self._project.root,
                env=self._project.environment(),
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=screen,
            )

    def _kill_from_outside(self, kill: Kill, runner: int) -> None:
        """Wait for the moment, then kill."""
        until(lambda: self._reached(kill), str(kill), 600)
        time.sleep(kill.jitter)
        pid = until(lambda: self._victim(kill.victim, runner), kill.victim)
        psutil.Process(pid).kill()

    def _reached(self, kill: Kill) -> bool:
        """The brakes; or the random moment: so many events, or the end; for a playbook, that it is there."""
        brakes = self._target.reached()
        if kill.boundary != "random":
            half = kill.boundary != "half" or sum(self._target.counts(kill.name)) == 1
            return brakes == len(_brakes(kill)) and half
        if kill.victim == "ansible-playbook":
            return self._fates()[kill.name] == UNKNOWN and self._victim(kill.victim, 0) is not None
        return self._lines() >= kill.event or brakes > 0

    def _victim(self, name: str, runner: int) -> int | None:
        """The process that is to be killed, if it is there."""
        if name == "runner":
            return runner
        if name == "ansible-playbook":
            return next(self._playbooks(), None)
        pid = next((e.data["pid"] for e in self._events() if e.type == "kernel-started"), None)
        return psutil.Process(pid).ppid() if pid and name == "keeper" else pid

    def _playbooks(self) -> Iterator[int]:
        """What runs a playbook, not the processes it forks."""
        for process in processes_of(self._run) if self._project.records() else ():
            with contextlib.suppress(psutil.Error):
                parent = process.parent()
                if _plays(process) and not (parent and _plays(parent)):
                    yield process.pid

    def _gone(self) -> float:
        """Seconds until no process of the run was left, and none of its private folders."""
        started = time.monotonic()
        private = Path(self._project.env["XDG_RUNTIME_DIR"])
        while left := [*left_of(self._run), *private.iterdir()]:
            assert time.monotonic() - started < GONE, f"left behind {GONE:g} s after the kill: {left}"
            time.sleep(0.02)
        return time.monotonic() - started

    # -- what is known

    @property
    def _run(self) -> str:
        return self._project.records()[-1].name

    def _lines(self) -> int:
        return sum((path / journal.NAME).read_bytes().count(b"\n") for path in self._project.records())

    def _events(self) -> list[Event]:
        """The journal, up to its last whole event. Raises InputError if it does not hold together."""
        return journal.read(self._project.records()[-1] / journal.NAME) if self._project.records() else []

    def _told(self) -> dict[str, Any]:
        return dict(json.loads(self._says("records", "show", self._run, "--json")))

    def _says(self, *arguments: str, code: int = 0) -> str:
        """What a command that only looks prints."""
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            found = command_line(["--project", str(self._project.root), *arguments])
        assert found == code, f"opsbook {' '.join(arguments)} ended with {found}: {out.getvalue()}{err.getvalue()}"
        return out.getvalue()

    def _locked(self) -> bool:
        """Whether the run, and nobody else, holds its lock."""
        return [(lock["target"], lock["run"]) for lock in json.loads(self._says("locks", "--json"))] == [
            (LOCK, self._run)
        ]

    def _fates(self) -> dict[str, str]:
        """What the journal says became of every effect, derived here once more."""
        fates, names = dict.fromkeys(NAMES, NEVER), {}
        for event in self._events():
            data = event.data
            if event.type == "effect-intent" and data["changes"]:
                names[event.seq] = _named(data["summary"])
                fates[names[event.seq]] = UNKNOWN
            elif event.type == "effect-result" and data["intent"] in names:
                status = UNKNOWN if data["status"] == "interrupted" else data["status"]
                fates[names[data["intent"]]] = MARKED if data.get("marked") else status
        return fates

    def _unknown(self) -> list[str]:
        return [name for name, fate in self._fates().items() if fate == UNKNOWN]

    # -- what has to be true after a kill

    def looked_at(self, kill: Kill, code: int | None) -> None:
        """Everything that has to be true as soon as the processes are gone."""
        fates, told = self._fates(), self._told()
        unknown = self._unknown()
        self.figures.unknown += len(unknown)
        assert code is not None, "the kill never came"
        if kill.victim == "runner":
            assert (code, told["outcome"], told["state"]) == (-9, "lost", "lost")
        else:
            assert told["outcome"] == "failed", f"it is {told['outcome']}: {told['reason']}"
            assert (code, told["state"]) == (3 if self._touched(fates) else 1, "sealed")
            self._says("records", "verify", self._run)
        assert sorted(map(_named, told["unknown"])) == sorted(unknown), "the summary names what is unknown, no more"
        if self._touched(fates):
            assert self._locked(), "a run that changed something keeps its lock"
        for name, fate in fates.items():
            self._agrees(name, fate)
        self._exactly(kill, fates[kill.name])

    def _touched(self, fates: dict[str, str]) -> bool:
        return any(fate not in (NEVER, "failed") for fate in fates.values())

    def _agrees(self, name: str, fate: str) -> None:
        """The journal says nothing of an effect that its target does not."""
        counts = self._target.counts(name)
        happened = all(count == 1 for count in counts) or name in self._repeated or fate == MARKED
        if fate == "succeeded":
            assert happened, f"{name} succeeded and happened {counts} times"
        elif fate != UNKNOWN:
            assert fate == MARKED or not any(counts), f"{name} is {fate} and happened {counts} times"
        assert all(count <= 1 for count in counts) or name in self._repeated, f"{name} happened {counts} times"

    def _exactly(self, kill: Kill, fate: str) -> None:
        """The boundary was the one that was meant."""
        expected = _EXPECTED.get((kill.victim, kill.boundary)) or _EXPECTED.get(("any", kill.boundary))
        if expected is None:
            return
        fates, counts = expected
        if kill.name in PLAYED and counts is not None and len(counts) == 1:
            counts = counts * len(PLAYED_ON)
        found = self._target.counts(kill.name)
        assert fate in fates, f"{kill.name} is {fate}, not {' or '.join(fates)}"
        assert counts is None or sorted(found) == counts, f"{kill.name} happened {found} times, not {counts}"

    # -- going on

    def _went_on(self) -> bool:
        """One resume of an operator who looks first. Whether the run succeeded."""
        before = self._fates()
        unknown = [name for name, fate in before.items() if fate == UNKNOWN]
        changed = self._target.total() > 0
        options = self._options(unknown, changed=changed)
        self.figures.resumes += 1
        if self._again and before[self._again.name] == NEVER and ("--answer" in options or not unknown):
            kill, self._again = self._again, None
            if (code := self._struck(kill, "resume", self._run, *options)) is not None:
                self.looked_at(kill, code)
                return False
            return bool(self._told()["outcome"] == "succeeded")
        done = self._project.opsbook("resume", self._run, *options)
        if done.code == 0:
            return True
        self._stopped(done.code, options, unknown)
        return False

    def _options(self, unknown: list[str], *, changed: bool) -> list[str]:
        """What this operator says ahead."""
        options = []
        if changed and self._hasty:
            self._hasty = False
        elif changed:
            options.append("--accept-changes")
        if not unknown:
            return options
        if self._plan.repeats and unknown[0] in PLAYED:
            self._repeated.update(unknown)
            return [*options, "--retry-unknown"]
        if self._asks:
            self._asks = False
            return options
        return [*options, "--answer", f"unknown={self._answer(unknown)}"]

    def _answer(self, unknown: list[str]) -> str:
        """What a look at the target says. Where two of them differ, the operator does what is missing by hand."""
        happened = {name: all(self._target.counts(name)) for name in unknown}
        if not any(happened.values()):
            self._repeated.update(name for name in unknown if any(self._target.counts(name)))
            return "again"
        for name in [name for name, found in happened.items() if not found]:
            assert name in TOGETHER, f"{name} is unknown beside {unknown}"
            self._target.by_hand(name)
        return "done"

    def _stopped(self, code: int, options: list[str], unknown: list[str]) -> None:
        """A resume that stopped says why, in a record that is whole, and keeps the lock."""
        told = self._told()
        assert (code, told["outcome"]) == (5, "waiting"), f"{code}, {told['outcome']}: {told['reason']}"
        differs = "something changed since" in told["reason"]
        assert differs == ("--accept-changes" not in options and self._target.total() > 0), told["reason"]
        if not differs:
            named = _named(told["reason"])
            assert named in unknown, f"{told['reason']} names none of {unknown}"
            assert "--answer" not in options or len(unknown) > 1, "an answer was given"
        left = self._unknown()
        assert sorted(map(_named, told["unknown"])) == sorted(left), "the summary names what is unknown, no more"
        self._says("records", "verify", self._run)
        assert self._locked() or not self._touched(self._fates())

    # -- in the end

    def ended(self) -> None:
        """Everything that has to be true of a run that succeeded in the end."""
        told, fates = self._told(), self._fates()
        assert (told["outcome"], told["unknown"]) == ("succeeded", [])
        for name in NAMES:
            counts = self._target.counts(name)
            least = all(counts) and name in self._repeated and max(counts) <= 2
            assert all(count == 1 for count in counts) or least, f"{name} happened {counts} times"
            assert fates[name] in ("succeeded", MARKED), f"{name} is {fates[name]}"
        self.figures.repeated = sum(max(self._target.counts(name)) > 1 for name in self._repeated)
        assert not self._target.counts("undone")[0], "nothing was rolled back"
        self._says("records", "verify", self._run)
        assert json.loads(self._says("locks", "--json")) == []
        self._gone()


_EXPECTED: dict[tuple[str, str], tuple[tuple[str, ...], list[int] | None]] = {
    ("runner", "before-intent"): ((NEVER,), [0]),
    ("runner", "torn-intent"): ((NEVER,), [0]),
    ("runner", "after-intent"): ((UNKNOWN,), [0]),
    ("runner", "before-result"): ((UNKNOWN,), [1]),
    ("runner", "torn-result"): ((UNKNOWN,), [1]),
    ("runner", "after-result"): (("succeeded",), [1]),
    # The runner has the request in its hand, and writes the intent; the kernel never gets the go-ahead.
    ("kernel", "before-intent"): ((NEVER, UNKNOWN), [0]),
    ("kernel", "after-intent"): ((UNKNOWN,), [0]),
    # A runner that lives has the kernel's report, and writes it.
    ("kernel", "before-result"): (("succeeded",), [1]),
    ("kernel", "after-result"): (("succeeded",), [1]),
    ("keeper", "before-result"): (("succeeded",), [1]),
    ("keeper", "after-result"): (("succeeded",), [1]),
    ("any", "under-way"): ((UNKNOWN,), [0]),
    ("any", "happened"): ((UNKNOWN,), [1]),
    # A playbook that was killed reported no end: nobody knows how far it came.
    ("ansible-playbook", "half"): ((UNKNOWN,), [0, 1]),
    # Before its first task it cannot have done anything.
    ("ansible-playbook", "random"): ((UNKNOWN, "failed"), None),
}
"""By victim and boundary: what may have become of the effect, and how often it happened on each host."""


def _brakes(kill: Kill) -> list[tuple[str, str]]:
    """Where the target has to stand still for a kill from outside: name and `before` or `after`."""
    hosts = [f"{kill.name}@{host}" for host in PLAYED_ON] if kill.name in PLAYED else [kill.name]
    match kill.boundary:
        case "under-way":
            return [(name, "before") for name in hosts]
        case "happened":
            return [(name, "after") for name in hosts]
        case "half":
            return [(hosts[0], "before")]
        case "random" if kill.victim == "ansible-playbook":
            return [(name, "before") for name in hosts]
        case "random":
            return [(NAMES[-1], "before")]
        case _:
            return []


def _named(text: str) -> str:
    """The effect that a text names."""
    return next((name for name in NAMES if name in text), text)


def _plays(process: psutil.Process) -> bool:
    return process.name() == "ansible-playboo"  # as much of the name as the system keeps
