"""Replay a page against a recording: with the real engine and a real kernel; the gate answers from the recording."""

import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from opsbook.core.engine import runner
from opsbook.core.engine.failure_choice import NAME as FAILED
from opsbook.core.engine.process import spare
from opsbook.core.engine.questions import Unanswered
from opsbook.core.engine.run_context import RunContext, Workspace
from opsbook.core.engine.secrets import Vault
from opsbook.core.model.effect import Mode
from opsbook.core.model.environment import Environment, Policy
from opsbook.core.model.event import Event
from opsbook.core.model.events import RefusedEffect, read
from opsbook.core.model.outcome import Ending
from opsbook.core.model.past import Past, Stepped
from opsbook.core.model.person import Answer, Question
from opsbook.core.model.planned import Place, Planned, RunOptions
from opsbook.core.model.recording import Recording, Reply, Take, Tape
from opsbook.core.model.redact import Redactor
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.sink import NullSink
from opsbook.core.planning.context import ansible_bin
from opsbook.core.record import summary
from opsbook.settings import Settings


@dataclass(frozen=True)
class Replayed:
    """The result of a replay. `problems` are sentences; without any, the page does what was recorded."""

    outcome: str
    problems: tuple[str, ...]
    seconds: float


def replay(settings: Settings, runbook: Runbook, recording: Recording) -> Replayed:
    """Run the page to its end. No external system is touched, and no file is left behind."""
    started = time.monotonic()
    sink, held, events = NullSink(), vault(recording), list[Event]()
    sink.listeners.append(events.append)
    tape = Tape(restored(recording, held), strict=True)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  (a private folder in it)
    with tempfile.TemporaryDirectory(prefix="opsbook-replay-", dir=memory) as folder:
        inbox = Path(folder) / "inbox"
        inbox.mkdir()
        hold = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            workspace = Workspace(lambda: Place(settings.root, settings.root), inbox, hold, settings.keep_environment)
            context = _context(settings, runbook, recording, workspace, tape)
            ending = asyncio.run(runner.run(context, sink, held, _Then(recording)))
        finally:
            os.close(hold)
    problems = tuple(_problems(recording, ending, events, tape))
    return Replayed(str(ending.outcome), problems, round(time.monotonic() - started, 3))


def vault(recording: Recording) -> Vault:
    """Made-up values for the secrets of a recording, which has only their names."""
    held = Vault(Redactor())
    for name in recording.secrets:
        held.add(name, f"no-secret-but-{name}-of-a-replay")
    return held


def restored(recording: Recording, held: Vault) -> tuple[Take, ...]:
    """The takes of a recording, with values for the secrets in their results."""
    return tuple(replace(take, result=held.restored(take.result)) for take in recording.takes)


def past(recording: Recording) -> Past:
    """The steps that the recording began, for a notebook that asks about them."""
    found = Past()
    found.steps = {each.step: Stepped(each.status, manual=False, role="") for each in recording.steps}
    return found


def environment(recording: Recording) -> Environment:
    """The recorded environment; nothing in it can be reached."""
    seen = recording.context
    groups = {name: tuple(hosts) for name, hosts in seen["groups"].items()}
    policy = Policy(sandbox=True)
    return Environment(recording.plan.environment, policy, seen["inventory"], tuple(seen["hosts"]), groups, {})


def seen(settings: Settings, recording: Recording) -> dict[str, object]:
    """The value of `here` for cells."""
    root = str(settings.root)
    here = {
        "root": root,
        "content": root,
        "state": str(settings.state),
        "ansible_bin": str(ansible_bin()),
        "vaults": [],
    }
    return {**recording.context, **here, "check_reads": [], "mode": str(Mode.LIVE)}


def _context(
    settings: Settings, runbook: Runbook, recording: Recording, workspace: Workspace, tape: Tape
) -> RunContext:
    asked = any(reply.name == FAILED for reply in recording.replies)
    return RunContext(
        run=spare.new_run(recording.runbook),
        planned=Planned(recording.plan, runbook, environment(recording), settings.root),
        operator=str(recording.context["operator"]),
        here=seen(settings, recording),
        workspace=workspace,
        options=RunOptions(Mode.REPLAY, pause_on_failure=asked),
        tape=tape,
    )


class _Then:
    """Answers questions with the recorded replies."""

    def __init__(self, recording: Recording) -> None:
        self.present = recording.present
        self._replies: dict[str, list[Reply]] = defaultdict(list)
        for reply in recording.replies:
            self._replies[reply.name].append(reply)

    async def ask(self, question: Question) -> Answer:
        if not self._replies[question.name]:
            raise Unanswered(question)
        reply = self._replies[question.name].pop(0)
        return Answer(reply.value, reply.by, reply.note)


def _problems(recording: Recording, ending: Ending, events: list[Event], tape: Tape) -> Iterator[str]:
    """The first effect that differs, since the rest follows from it; otherwise the differences in outcome and steps."""
    refused = next((fact.why for fact in map(read, events) if isinstance(fact, RefusedEffect)), None)
    if refused is not None:
        yield refused
        return
    if str(ending.outcome) != recording.outcome:
        yield f"it ends {ending.outcome}, and {recording.outcome} in the recording: {ending.reason}"
    yield from recording.missing({each["step"]: each["status"] for each in summary.of(events)["steps"]})
    yield from (f"{take.summary} in {take.step} was recorded, and is not asked for" for take in tape.left())
