"""Run a playbook once. The only module that uses ansible-runner.

It guards against these observed problems of ansible-runner: a reused private folder restores old variables; its
signal handlers swallow an interrupt, and the next cell runs; no matching host counts as success; extra variables
are templates; a failing event handler loses events; the command artifact contains the environment.
"""

import contextlib
import functools
import json
import math
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from opsbook.core.effects import ansible_command, ansible_start, check_judge, foresight
from opsbook.core.effects.basic import here
from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import Interrupted
from opsbook.core.effects.clean import first_lines, last_lines
from opsbook.core.effects.show import Shown
from opsbook.core.model.ansible import sources
from opsbook.core.model.tasks import FEW, HOST_ENDS, failures_of
from opsbook.errors import EffectFailed, EffectRefused
from opsbook.params import Secret

COUNTS = ("ok", "changed", "failed", "unreachable", "skipped")
_STATS = {"failed": "failures", "unreachable": "dark"}
_FAILED = ("runner_on_failed", "runner_on_unreachable")
_MOST = 20
"""Hosts in trouble that the table of many hosts names."""


@dataclass(frozen=True)
class Failure:
    """A task that failed on a host. `place` is the line of the playbook or role, as PATH:LINE."""

    host: str
    task: str
    message: str
    place: str

    def __str__(self) -> str:
        return f"{self.host}: {self.task}: {self.message} ({self.place})"


@dataclass(frozen=True, repr=False)
class PlaybookResult(Shown):
    """What a playbook did: task counts per host, failures, whether anything changed, seconds it took.

    `left_out` are hosts that the operator left out. `would` is the result of a check: tasks that would change
    something, and tasks that Ansible cannot simulate, each with host, task, state and diff. `lost_events` counts
    events of Ansible that never arrived.
    """

    playbook: str
    hosts: Mapping[str, Mapping[str, int]]
    failures: tuple[Failure, ...]
    changed: bool
    seconds: float
    lost_events: int = 0
    left_out: tuple[str, ...] = ()
    would: tuple[dict[str, Any], ...] = ()

    def _troubled(self) -> list[str]:
        return [host for host, counts in self.hosts.items() if counts["failed"] or counts["unreachable"]]

    def bad(self) -> list[str]:
        """Hosts that failed or were unreachable, except those left out."""
        return [host for host in self._troubled() if host not in self.left_out]

    def after(self, earlier: "PlaybookResult | None") -> "PlaybookResult":
        """This attempt merged with an earlier one: the latest counts of each host, and all changes of both."""
        if earlier is None:
            return self
        hosts = {host: dict(counts) for host, counts in earlier.hosts.items()}
        for host, counts in self.hosts.items():
            before = hosts.get(host, {}).get("changed", 0)
            hosts[host] = {**counts, "changed": counts["changed"] + before}
        kept = tuple(failure for failure in earlier.failures if failure.host not in self.hosts)
        return replace(
            self,
            hosts=dict(sorted(hosts.items())),
            failures=kept + self.failures,
            changed=earlier.changed or self.changed,
            seconds=earlier.seconds + self.seconds,
            lost_events=earlier.lost_events + self.lost_events,
            would=tuple(each for each in earlier.would if each["host"] not in self.hosts) + self.would,
        )

    def headline(self) -> str:
        state = "failed" if self.bad() else "changed" if self.changed else "changed nothing"
        without = f", without {', '.join(self.left_out)}" if self.left_out else ""
        return f"playbook {self.playbook}: {state}, {len(self.hosts)} hosts{without}, {self.seconds:.1f} s"

    def table(self) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        named = list(self.hosts) if len(self.hosts) <= FEW else self._troubled()[:_MOST]
        rows: list[tuple[object, ...]] = [(host, *(self.hosts[host][name] for name in COUNTS)) for host in named]
        if others := [counts for host, counts in self.hosts.items() if host not in named]:
            rows.append((f"{len(others)} hosts", *(sum(counts[name] for counts in others) for name in COUNTS)))
        return (("host", *COUNTS), rows) if rows else ((), [])

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Self:
        return super().of({**recorded, "failures": [Failure(**failure) for failure in recorded["failures"]]})


@dataclass
class _Events:
    """What the event stream reports, collected while the playbook runs."""

    call: EffectCall
    root: Path
    private: Path
    check: bool
    plays: int = 0
    counters: list[int] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    would: list[dict[str, Any]] = field(default_factory=list)
    begun: bool = False
    touched: bool = False
    running: set[tuple[str, str]] = field(default_factory=set)

    def handle(self, event: dict[str, Any]) -> bool:
        """Handle an event of ansible-runner: report it, keep what the result needs. Returns False: write no file."""
        self.counters.append(event["counter"])
        kind, data = event["event"], event.get("event_data") or {}
        host, task = data.get("host"), data.get("task")
        found = data.get("res")
        result: dict[str, Any] = found if isinstance(found, dict) else {}
        if kind in _FAILED and not data.get("ignore_errors"):
            self.failures.append(Failure(str(host), str(task), _reason(result), self._place(data)))
        self.begun = self.begun or kind == "playbook_on_task_start"
        self._follow(kind, data, result)
        if kind == "playbook_on_stats":
            self.stats = data
        if self.check and (would := foresight.would(kind, data, result, event.get("stdout") or "")) is not None:
            self.would.append(would)
        if kind in ("error", "verbose") and event.get("stdout"):
            self.messages.append(event["stdout"])
        self.call.sample(self._sample(event, data, result))
        return False

    def _follow(self, kind: str, data: dict[str, Any], result: dict[str, Any]) -> None:
        """Track which hosts are in the middle of a task, and whether a task changed something."""
        if kind == "runner_on_start" and _bare(data.get("task_action")) != "pause":
            self.running.add((str(data.get("host")), str(data.get("task_uuid"))))
        elif kind in HOST_ENDS:
            self.running.discard((str(data.get("host")), str(data.get("task_uuid"))))
            # Ansible does not count what a task did before it failed.
            self.touched = self.touched or bool(result.get("changed")) or kind == "runner_on_failed"

    def _place(self, data: dict[str, Any]) -> str:
        path, _, line = str(data.get("task_path", "")).rpartition(":")
        inside = Path(path).is_relative_to(self.root) if path else False
        return f"{Path(path).relative_to(self.root) if inside else path}:{line}"

    def _sample(self, event: dict[str, Any], data: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        kept = {name: data[name] for name in ("play", "task", "host", "duration") if data.get(name) is not None}
        if event["event"] == "playbook_on_play_start":
            kept |= self._play() | ({"check": True} if self.check else {})
        if event["event"] in _FAILED:
            kept |= {"message": _reason(result), **({"ignored": True} if data.get("ignore_errors") else {})}
        if _bare(data.get("task_action")) == "debug":
            kept["action"] = "debug"
        if "task_path" in data:
            kept["place"] = self._place(data)
        if result:
            kept["result"] = {name: value for name, value in result.items() if name != "invocation"}
        if event.get("stdout"):
            kept["stdout"] = event["stdout"]
        return {"event": event["event"], "counter": event["counter"], "time": event.get("created"), **kept}

    def _play(self) -> dict[str, Any]:
        """How many hosts the play that begins has, and its strategy; nothing if that was not written down."""
        self.plays += 1
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = (self.private / ansible_command.PLAYS).read_text(encoding="utf-8").splitlines()
            return dict(json.loads(lines[self.plays - 1]))
        return {}

    def lost(self) -> int:
        """The number of lost events: gaps in the counters."""
        return max(self.counters, default=0) - len(set(self.counters))


def _bare(action: Any) -> str:
    """`ansible.builtin.pause` -> `pause`."""
    return str(action).rpartition(".")[2]


def unsafe(value: Any) -> Any:
    """The value, marked so that Ansible never treats it as a template."""
    if isinstance(value, Secret):
        return {"__ansible_unsafe": value.reveal()}
    if isinstance(value, str):
        return {"__ansible_unsafe": str(value)}
    if isinstance(value, Mapping):
        return {str(name): unsafe(item) for name, item in value.items()}
    return [unsafe(item) for item in value] if isinstance(value, list | tuple) else value


def run(call: EffectCall, request: dict[str, Any], timeout: float | None) -> PlaybookResult:
    """Run a playbook once. Raises EffectFailed, with the result if there is one, and Interrupted."""
    root = Path(here.content)
    path = ansible_start.folder() / request["playbook"]
    if not path.is_file():
        raise EffectFailed(f"there is no playbook {here.playbooks}/{request['playbook']}", untouched=True)
    private = Path(tempfile.mkdtemp(prefix=f"ansible-{call.folder}-", dir=here.private))
    events = _Events(call, root, private, check=ansible_start.in_check() or bool(request.get("check")))
    started = time.monotonic()
    try:
        ended = _start(call, request, timeout, path, events)
        if (wanted := ansible_command.read(private / ansible_start.ASKED)) is not None:
            raise _asked(request, wanted, events)
        if refused := check_judge.refused(private / ansible_start.REFUSED):
            more = [f"and {len(refused) - FEW} more"] if len(refused) > FEW else []
            raise EffectRefused(
                f"playbook {request['playbook']} cannot be checked: it would really run "
                f"{'; '.join([*refused[:FEW], *more])}. "
                "What only reads can be named under [check] reads in opsbook.toml."
            )
        return _judge(request, ended, events, time.monotonic() - started)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _start(call: EffectCall, request: dict[str, Any], timeout: float | None, path: Path, events: _Events) -> Any:
    import ansible_runner

    check = events.check
    begin(check=check)
    binary, *arguments = ansible_start.command(check=check)
    # A check needs one -v: without it, Ansible does not say why a task was skipped.
    verbosity = min(max(int(request.get("verbosity", 0)), int(check)), 6)
    flags = [*(["--check", "--diff"] if check else []), *([f"-{'v' * verbosity}"] if verbosity else [])]
    ended = ansible_runner.run(
        private_data_dir=str(events.private),
        project_dir=str(path.parent),
        binary=binary,
        cmdline=shlex.join([*arguments, str(path), *flags]),
        inventory=sources(Path(here.content), request["inventory"]),
        extravars=unsafe(request["vars"]),
        limit=request["limit"],
        tags=request["tags"],
        skip_tags=request.get("skip_tags"),
        envvars=ansible_start.variables(request["vars"], events.private, check=check),
        settings={
            "pexpect_timeout": 1,
            "suppress_ansible_output": True,
            **({"job_timeout": math.ceil(timeout)} if timeout else {}),
        },
        event_handler=events.handle,
        cancel_callback=call.cancelled.is_set,
        quiet=True,
    )
    if ended.rc is None or ended.status in ("canceled", "timeout"):
        ansible_start.wait_for_end()
    return ended


def begin(*, check: bool) -> None:
    """Import Ansible for the playbooks of this run, in a process of its own."""
    from ansible_runner.utils import get_callback_dir

    _without_delay()
    plugins = ":".join(filter(None, (os.environ.get("ANSIBLE_CALLBACK_PLUGINS"), get_callback_dir())))
    added = {"ANSIBLE_CALLBACK_PLUGINS": plugins, "ANSIBLE_STDOUT_CALLBACK": "awx_display"}
    ansible_start.begin(added | {"ANSIBLE_CACHE_PLUGIN": "jsonfile"}, check=check)


@functools.cache
def _without_delay() -> None:
    """Have ansible-runner not sleep 0.1 s after a program that has ended."""
    import ansible_runner
    import pexpect

    class Spawn(pexpect.spawn):  # type: ignore[misc]
        def _spawnpty(self, args: Any, **options: Any) -> Any:
            terminal = super()._spawnpty(args, **options)
            terminal.delayafterclose = 0
            return terminal

    ansible_runner.runner.pexpect = SimpleNamespace(**{**vars(pexpect), "spawn": Spawn})


def _asked(request: dict[str, Any], wanted: ansible_command.PlaybookPrompt, events: _Events) -> Exception:
    """The error of a playbook that asked for something. The outcome of tasks that still ran is unknown."""
    said = wanted.sentence(request["playbook"])
    if events.running:
        return Interrupted(f"{said}; it was stopped while tasks were running")
    return EffectFailed(said, untouched=not events.touched)


def _judge(request: dict[str, Any], ended: Any, events: _Events, seconds: float) -> PlaybookResult:
    """The result of a successful playbook; the only place that decides what success is. Raises as `run` does."""
    if ended.status in ("canceled", "timeout"):
        why = "timed out" if ended.status == "timeout" else "cancelled"
        raise Interrupted(f"playbook {request['playbook']} was stopped: {why}")
    if events.begun and not events.stats:
        how = "was killed" if ended.rc is None else f"ended with exit code {ended.rc}"
        raise Interrupted(f"playbook {request['playbook']} {how} before it reported a result")
    result = _result(request["playbook"], events, seconds)
    unreachable = [host for host, counts in result.hosts.items() if counts["unreachable"]]
    if not result.hosts:
        raise EffectFailed(_nothing_ran(request, events), result, untouched=True)
    tolerable = (
        ended.rc == 4
        and 0 < len(unreachable) <= request["max_unreachable"]
        and not any(c["failed"] for c in result.hosts.values())
    )
    if (ended.status == "successful" and ended.rc == 0) or tolerable:
        return result
    # Ansible does not count what a task did before it failed.
    changed = result.changed or any(counts["failed"] for counts in result.hosts.values())
    raise EffectFailed(_what_failed(request, result, events, ended.rc), replace(result, changed=changed))


def _nothing_ran(request: dict[str, Any], events: _Events) -> str:
    said = " ".join(
        line for text in events.messages for line in text.split("\n") if "ERROR" in line or "WARNING" in line
    )
    limit = f" with limit {request['limit']}" if request["limit"] else ""
    told = f"playbook {request['playbook']}: no host was processed{limit}. {said}".rstrip()
    return ansible_command.with_way_out(told, said)


def _what_failed(request: dict[str, Any], result: PlaybookResult, events: _Events, rc: int) -> str:
    bad = result._troubled()
    told = failures_of(astuple(failure) for failure in result.failures if failure.host in bad)
    lines = "; ".join(told) or last_lines("\n".join(events.messages)) or f"exit code {rc}"
    return ansible_command.with_way_out(f"playbook {request['playbook']}: {lines}", lines)


def _result(name: str, events: _Events, seconds: float) -> PlaybookResult:
    stats = events.stats
    processed = sorted(stats.get("processed", {}))
    hosts = {
        host: {count: int(stats.get(_STATS.get(count, count), {}).get(host, 0)) for count in COUNTS}
        for host in processed
    }
    changed = any(counts["changed"] for counts in hosts.values())
    failures = tuple(events.failures)
    return PlaybookResult(name, hosts, failures, changed, seconds, events.lost(), would=tuple(events.would))


def _reason(result: dict[str, Any]) -> str:
    """The message of a failed task, with its stderr."""
    parts = [str(result[name]).strip() for name in ("msg", "stderr") if result.get(name)]
    items = [
        item
        for item in result.get("results") or ()
        if isinstance(item, dict) and (item.get("failed") or item.get("unreachable"))
    ]
    parts += [_reason(item) for item in items[:3]]
    return first_lines("\n".join(parts)) or "no message"
