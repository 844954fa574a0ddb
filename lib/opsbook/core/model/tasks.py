"""Tasks of a playbook, from Ansible's events: what runs, how it ended on each host, and the lines a person reads.

A running playbook and the event stream that a record keeps are read by the same code.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsbook.core.model.text import number_of, some

FEW = 10
"""Up to this many hosts in a play, each is named; of more hosts, only those in trouble."""

TROUBLE = ("failed", "unreachable")
STATES = ("ok", "changed", "skipped", "ignored", *TROUBLE)
"""How a task may end on a host, in the order in which it is told. `ignored`: it failed, and ignore_errors says so."""

HOST_ENDS = {f"runner_on_{state}": state for state in ("ok", "failed", "unreachable", "skipped")}
"""How a task ended on a host, by the event that says so."""

TASK_STARTS = ("playbook_on_task_start", "playbook_on_handler_task_start")
_FREE = ("free", "host_pinned")
"""Strategies in which hosts do not wait for each other."""

_MOST, _LONGEST = 20, 2000
"""Lines below a task (a quarter of them if there are many hosts), and characters of each. The stream has all of it."""

_LONGEST_TASK = 1e9
"""Seconds. Nothing takes longer; a stream that was damaged may say so."""

_OWN = frozenset("changed failed skipped attempts results invocation item ansible_loop_var".split())  # noqa: SIM905
"""Keys of a debug task's result that are not its message."""

Sample = Mapping[str, Any]
"""An event of Ansible, as the record's stream has it."""


@dataclass(frozen=True)
class TaskOnHost:
    """How a task ended on a host: `state` is one of STATES, `place` PATH:LINE, `message` why it failed.

    `said` is what debug printed; `files` are those it changed, as far as Ansible names them.
    """

    play: str
    task: str
    place: str
    host: str
    state: str
    seconds: float | None
    message: str
    said: tuple[str, ...]
    files: tuple[str, ...]
    result: Sample


@dataclass(frozen=True)
class TaskProgress:
    """Progress for people. `ended`: a task ended, and the line stays; `lines` and `failures` belong below it."""

    text: str
    ended: bool = False
    lines: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def on_host(sample: Sample) -> TaskOnHost | None:
    """How a task ended on a host, if this event says so."""
    state, host = HOST_ENDS.get(str(sample.get("event"))), sample.get("host")
    if state is None or not isinstance(host, str):
        return None
    result = sample["result"] if isinstance(sample.get("result"), Mapping) else {}
    changed = state == "ok" and bool(result.get("changed"))
    state = "changed" if changed else "ignored" if sample.get("ignored") else state
    seconds = sample.get("duration")
    return TaskOnHost(
        play=str(sample.get("play") or ""),
        task=str(sample.get("task")),
        place=str(sample.get("place") or ""),
        host=host,
        state=state,
        seconds=seconds if isinstance(seconds, float | int) and 0 <= seconds < _LONGEST_TASK else None,
        message=str(sample.get("message") or result.get("msg") or "") if state in (*TROUBLE, "ignored") else "",
        said=tuple(_said(result)) if str(sample.get("action")).endswith("debug") else (),
        files=tuple(dict.fromkeys(_files(result))) if changed else (),
        result=result,
    )


def diffs(result: Sample) -> list[Sample]:
    """The differences that a result holds, of the task and of each item of its loop."""
    return [diff for part in _parts(result) for diff in mappings(part.get("diff"))]


def failures_of(found: Iterable[tuple[str, str, str, str]]) -> list[str]:
    """One text for each failure (host, task, message, place); hosts that failed alike share one."""
    same: dict[tuple[str, str, str], list[str]] = {}
    for host, *what in sorted(found):
        same.setdefault((what[0], what[1], what[2]), []).append(host)
    return [f"{some(hosts, FEW)}: {task}: {message} ({place})" for (task, message, place), hosts in same.items()]


@dataclass
class _Task:
    """A task that has not ended. `expected` is how many hosts its play has, 0 if unknown; `check`: it is simulated."""

    name: str
    place: str
    expected: int
    check: bool = False
    busy: dict[str, None] = field(default_factory=dict)
    ended: list[TaskOnHost] = field(default_factory=list)

    def running(self) -> TaskProgress:
        done, bad = len(self.ended), sum(each.state in TROUBLE for each in self.ended)
        share = [f"host {min(done + 1, self.expected)} of {self.expected}"] if self.expected > 1 else []
        told = ", ".join([*share, *([f"{bad} in trouble"] if bad else [])])
        return TaskProgress(f"{self.name} ({told})" if told else self.name)

    def due(self) -> bool:
        """Whether to tell how far it is: ten times at most, however many hosts there are."""
        done, step = len(self.ended), -(-self.expected // FEW)
        return 0 < done < self.expected and done % step == 0

    def summary(self) -> TaskProgress:
        """What remains to be said when it has ended, or was stopped."""
        many = max(self.expected, len(self.ended)) > FEW
        hosts: dict[str, list[str]] = {state: [] for state in (*STATES, "unfinished")}
        for each in sorted(self.ended, key=lambda each: each.host):
            hosts[each.state].append(each.host)
        hosts["unfinished"] = list(self.busy)
        words = {"changed": self._changed}
        told = [_told(words.get(state, state), found, many=many) for state, found in hosts.items() if found]
        bad = ((e.host, e.task, e.message, e.place) for e in self.ended if e.message)
        return TaskProgress("  ".join([self.name, *told]), True, tuple(self._lines(many)), tuple(failures_of(bad)))

    @property
    def _changed(self) -> str:
        return "would change" if self.check else "changed"

    def _lines(self, many: bool) -> Iterator[str]:
        """What debug printed, and changed files. Hosts share a line; of many, also one that has the name of each."""
        found: dict[str, list[str]] = {}
        for each in sorted(self.ended, key=lambda each: each.host):
            for line in (*each.said, *(f"{self._changed} {path}" for path in each.files)):
                found.setdefault(line.replace(each.host, "HOST") if many else line, []).append(each.host)
        most = _MOST // 4 if many else _MOST
        for line, hosts in list(found.items())[:most]:
            who = some(hosts, FEW) if len(hosts) <= FEW else number_of(len(hosts), "host")
            yield f"{who}: {line[:_LONGEST]}"
        if len(found) > most:
            yield f"… {len(found) - most} more lines are in the record"


def _told(state: str, hosts: list[str], *, many: bool) -> str:
    """`changed: [web-1, web-2]`; of many hosts `changed=180`, with the names of those in trouble."""
    if not many:
        return f"{state}: [{', '.join(hosts)}]"
    named = f" [{some(hosts, FEW)}]" if state in (*TROUBLE, "unfinished") else ""
    return f"{state}={len(hosts)}{named}"


class Tasks:
    """The tasks of a running playbook. A task ends when the next one starts and none of its hosts still works on it."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _Task] = {}
        self._last: _Task | None = None
        self._hosts, self._free, self._check = 0, False, False

    def take(self, sample: Sample) -> list[TaskProgress]:
        """The lines for people that an event gives; none for most events, and for those that are not Ansible's."""
        kind = sample.get("event")
        if kind == "playbook_on_stats":
            return self.close()
        if kind == "playbook_on_play_start":
            return [*self.close(), self._play(sample)]
        if kind in TASK_STARTS:
            ended = [] if self._free else self._idle()
            return [*ended, self._task(sample).running()]
        if kind == "runner_on_start":
            self._task(sample).busy[str(sample.get("host"))] = None
        elif (found := on_host(sample)) is not None:
            return self._ended(self._task(sample), found)
        return []

    def _play(self, sample: Sample) -> TaskProgress:
        hosts = sample.get("hosts")
        self._hosts = hosts if isinstance(hosts, int) else 0
        self._check = bool(sample.get("check"))
        self._free = str(sample.get("strategy")).endswith(_FREE)
        share = f": {number_of(self._hosts, 'host')}" if hosts is not None else ""
        return TaskProgress(f"Play {sample.get('play')}{share}", ended=True)

    def _task(self, sample: Sample) -> _Task:
        name, place = str(sample.get("task")), str(sample.get("place") or "")
        self._last = self._open.setdefault((name, place), _Task(name, place, self._hosts, self._check))
        return self._last

    def _ended(self, task: _Task, found: TaskOnHost) -> list[TaskProgress]:
        task.busy.pop(found.host, None)
        task.ended.append(found)
        if self._free and len(task.ended) >= self._hosts:
            return [self._open.pop((task.name, task.place)).summary()]
        return [task.running()] if task.due() else []

    def _idle(self) -> list[TaskProgress]:
        """Close the tasks on which no host works any more."""
        keys = [key for key, task in self._open.items() if not task.busy]
        over = [self._open.pop(key) for key in keys]
        # Ansible's own tasks, such as end_host, end on no host.
        return [task.summary() for task in over if task.ended]

    def close(self) -> list[TaskProgress]:
        """Close every task: the play is over, or it was stopped."""
        left, self._open = list(self._open.values()), {}
        return [task.summary() for task in left if task.ended or task.busy]

    def where(self) -> str:
        """The task that began last, and the hosts on which a task may still run; empty if none began."""
        busy = list(dict.fromkeys(host for task in self._open.values() for host in task.busy))
        if self._last is None:
            return ""
        still = f"a task may still run on {some(busy, 50)}" if busy else "no host was in the middle of it"
        return f"the last task was {self._last.name} ({self._last.place}); {still}"


def mappings(value: Any) -> list[Sample]:
    """The mappings among the items of a list; of a mapping, itself."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, Mapping)]


def _parts(result: Sample) -> list[Sample]:
    """The result of a task, and those of the items of its loop."""
    return [result, *mappings(result.get("results"))]


def _said(result: Sample) -> Iterator[str]:
    """What a debug task printed."""
    for part in _parts(result):
        if "msg" in part:
            if "results" not in part:
                yield _text(part["msg"])
            continue
        shown = {name: value for name, value in part.items() if name not in _OWN and not name.startswith("_ansible")}
        yield from (f"{name}: {_text(value)}" for name, value in shown.items())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _files(result: Sample) -> Iterator[str]:
    """The files that a task changed: those of its diff, or where it wrote."""
    for part in _parts(result):
        found = [diff.get("after_header") or diff.get("before_header") for diff in mappings(part.get("diff"))]
        named = [str(header).removesuffix(" (content)") for header in found if header]
        yield from named or [str(part[key]) for key in ("dest", "path") if part.get("changed") and part.get(key)][:1]
