"""The runner: puts gate, kernel, cells, questions and inbox together for one run."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from opsbook.core.engine import inbox
from opsbook.core.engine.cancel import Cancel
from opsbook.core.engine.cell_context import CellContext
from opsbook.core.engine.cells import Cells
from opsbook.core.engine.engine import Engine, Wishes
from opsbook.core.engine.gate import Gate
from opsbook.core.engine.null_sink import NullSink
from opsbook.core.engine.output import Outputs
from opsbook.core.engine.process import keeper, kernel, spare
from opsbook.core.engine.questions import Questions, Unanswered
from opsbook.core.engine.runner_effects import RunnerEffects
from opsbook.core.engine.secrets import Vault
from opsbook.core.engine.steps import Steps
from opsbook.core.engine.tee_sink import TeeSink
from opsbook.core.model.effect import MARK, Mode, no_sandbox
from opsbook.core.model.environment import Environment
from opsbook.core.model.event import Ending, Outcome
from opsbook.core.model.events import (
    CancelRequested,
    KernelStarted,
    Locked,
    OutputGap,
    RequestRefused,
    RequestTaken,
    RunAllowed,
    WaitingForApproval,
    WaitingForLock,
)
from opsbook.core.model.past import Past
from opsbook.core.model.person import Answer, Person, Question
from opsbook.core.model.plan import Plan
from opsbook.core.model.recording import NOWHERE, Tape
from opsbook.core.model.role import Role
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.sink import Sink
from opsbook.errors import InputError, NotYet, Refused

LOCK_EVERY, APPROVAL_EVERY = 0.5, 2.0
"""Seconds between two tries to get a lock that another run holds, and an approval."""

STALE = 5.0
"""Seconds after which what a program gave as a secret is fetched again: it may hold for minutes only."""


class Allowed(Protocol):
    """Why a run may begin: what the journal keeps of it, and files that prove it."""

    @property
    def evidence(self) -> Mapping[str, Any]: ...
    @property
    def files(self) -> Mapping[str, bytes]: ...
    @property
    def spend(self) -> Callable[[], None]: ...


@dataclass(frozen=True)
class Job:
    """Everything a run needs that is decided before it starts.

    `context` is what cells see as `here`; `answers` were given ahead; `inbox` is the folder for requests
    of other processes; `hold` keeps the journal locked for as long as anything of the run lives. `allow` says why
    the run may begin (None where nobody has to), or raises Refused. `acquire` takes the locks or raises Refused,
    and is asked again where the operator wants to `wait`, in a place that `queue` gives. `past` is what the run did
    before, if it goes on; `stale` are requests in the inbox that its earlier process never took. `tape` answers all
    effects of a replay.
    """

    run: str
    plan: Plan
    runbook: Runbook
    environment: Environment
    operator: str
    context: Mapping[str, Any]
    answers: Mapping[str, str]
    mode: Mode
    root: Path
    inbox: Path
    hold: int
    acquire: Callable[[], None]
    allow: Callable[[], Allowed | None] = lambda: None
    queue: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    stale: frozenset[Path] = frozenset()
    wait: bool = False
    past: Past = field(default_factory=Past)
    wishes: Wishes = field(default_factory=Wishes)
    keep_environment: tuple[str, ...] = ()
    tape: Tape | None = None


async def run(job: Job, sink: Sink, vault: Vault, person: Person) -> Ending:
    """Run the job; everything that happens goes to the sink."""
    cancel = Cancel()
    keeper.adopt_orphans()
    undo = cancel.listen(job.operator)
    sink = TeeSink(sink, job.past.take)
    questions = Questions(sink, person, job.answers, job.operator)
    watching = asyncio.create_task(_watch_inbox(job, sink, questions, cancel))
    try:
        engine = _engine(job, sink, vault, questions, cancel)
        return await _begun(job, sink, cancel, person, vault) or await engine.run()
    finally:
        undo()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _begun(job: Job, sink: Sink, cancel: Cancel, person: Person, vault: Vault) -> Ending | None:
    """Be allowed, then take the locks; how the run ends if it does not get so far."""
    if job.mode in (Mode.CHECK, Mode.REPLAY):
        return None
    began = time.monotonic()

    def lock() -> None:
        job.acquire()
        sink.write(Locked(targets=job.plan.locks))

    waits = _Waits(WaitingForApproval, APPROVAL_EVERY, job.wait or person.present)
    if ending := await _obtained(job.allow, waits, job, sink, cancel):
        return ending
    with job.queue() if job.wait else contextlib.nullcontext():
        waits = _Waits(WaitingForLock, LOCK_EVERY, job.wait)
        if ending := await _obtained(lock, waits, job, sink, cancel):
            return ending
    try:
        if time.monotonic() - began > STALE:
            # Before an approval is spent; and a program may take its time.
            await asyncio.to_thread(vault.renew)
    except InputError as error:
        return _not_begun(job, Outcome.REFUSED, f"{error.message} {error.hint}".strip())
    return _still_allowed(job, sink)


def _still_allowed(job: Job, sink: Sink) -> Ending | None:
    """Once more, now that it begins: it may have waited for its locks until an approval expired, or a window closed."""
    try:
        if allowed := job.allow():
            allowed.spend()
            proof = [sink.blob("approvals", name, data) for name, data in allowed.files.items()]
            sink.write(RunAllowed(evidence=allowed.evidence, files=proof), durable=True)
    except Refused as error:
        return _not_begun(job, Outcome.REFUSED, f"{error.message} {error.hint}".strip())
    return None


class _Waits(NamedTuple):
    """The event that says so, seconds between two tries, and whether it is waited at all."""

    event: type[WaitingForApproval] | type[WaitingForLock]
    every: float
    wait: bool


async def _obtained(obtain: Callable[[], object], waits: _Waits, job: Job, sink: Sink, cancel: Cancel) -> Ending | None:
    """Try until it succeeds, is refused for good, or somebody cancels; how the run ends if it does not succeed."""
    told = ""
    while True:
        try:
            obtain()
        except Refused as error:
            if not (waits.wait and isinstance(error, NotYet)):
                return _not_begun(job, Outcome.REFUSED, f"{error.message} {error.hint}".strip())
            if error.message != told:
                sink.write(waits.event(why=error.message, hint=error.hint))
                told = error.message
        else:
            return None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(cancel.changed.wait(), waits.every)
        if cancel.level:
            return _not_begun(job, Outcome.CANCELLED, f"cancelled by {cancel.by} before it began")


def _not_begun(job: Job, outcome: Outcome, why: str) -> Ending:
    ending = Ending(outcome, why, changed=job.past.changed, seconds=0.0)
    undone = job.wishes.undo and not job.past.undoing
    # Whoever goes on with a run and is refused leaves it what it was: half-way, with its locks.
    left = job.wishes.resumed and outcome is Outcome.REFUSED
    return job.wishes.as_before(ending) if undone or left else ending


def _engine(job: Job, sink: Sink, vault: Vault, questions: Questions, cancel: Cancel) -> Engine:
    context = dict(job.context)
    closed = no_sandbox(job.mode) if job.mode is Mode.NOTEBOOK and not job.environment.policy.sandbox else ""
    gate = Gate(
        sink=sink,
        redactor=vault.redactor,
        desk=RunnerEffects(vault, questions),
        past=job.past,
        context=context,
        mode=job.mode,
        closed=lambda: closed,
        steps={step.id for step in job.runbook.steps()},
        retry_unknown=job.wishes.retry_unknown,
        tape=job.tape,
    )
    outputs = Outputs(sink, vault.redactor, gate.mark, MARK)

    def stop(by: str, level: int) -> None:
        gate.stop(f"cancelled by {by}")
        sink.write(CancelRequested(by=by, level=level), durable=True)

    cancel.on_request = stop

    def gap(missing: int) -> None:
        sink.write(OutputGap(missing=missing))

    async def start_kernel() -> kernel.Kernel:
        started = kernel.Kernel(spare.take(job.run))
        context["private"] = str(started.private)
        await gate.listen(started.gate_path)
        started.on_message, started.on_raw = outputs.message, outputs.raw
        started.on_gap = gap
        await started.start(kernel.Launch(job.root, job.keep_environment, job.hold, _imports(job.runbook)))
        sink.write(KernelStarted(pid=started.pid))
        return started

    cells = Cells(sink, gate, outputs, cancel, job.past)
    given = ", ".join(f"{name} = {value!r}" for name, value in job.plan.parameters.items())
    steps = Steps(
        job.runbook,
        sink,
        gate,
        cells,
        questions,
        cancel,
        job.past,
        job.mode,
        job.wishes.by_hand,
        given,
        lines=not (job.environment.policy.protected or job.environment.policy.approvals),
    )
    return Engine(steps, job.plan, job.wishes, vault.redactor, start_kernel)


def _imports(runbook: Runbook) -> tuple[str, ...]:
    """What the page's effects are made of, and what takes long to import."""
    needed = {"playbook(": "ansible_runner", "http(": "httpx"}
    return tuple(module for call, module in needed.items() if call in runbook.source)


async def _watch_inbox(job: Job, sink: Sink, questions: Questions, cancel: Cancel) -> None:
    def take(request: dict[str, Any]) -> None:
        take_one: Callable[[], object] = {
            "cancel": lambda: cancel.request(request["by"]),
            "answer": lambda: questions.offer(
                request["name"],
                Answer(request["value"], request["by"], str(request.get("note", ""))),
                request.get("asked"),
            ),
            "note": lambda: None,
        }[request["kind"]]
        take_one()
        sink.write(RequestTaken(request=request), durable=True)

    def refuse(name: str, why: str) -> None:
        sink.write(RequestRefused(file=name, why=why))

    for path in sorted(job.stale):
        refuse(path.name, "it came before the run stopped; what goes on now is asked anew")
    await inbox.watch(job.inbox, take, refuse, job.stale)


# -- session mode


async def session(
    descriptor: int,
    context: Mapping[str, Any],
    vault: Vault,
    closed: Callable[[], str] = lambda: "",
    past: Past | None = None,
    tape: Tape | None = None,
) -> None:
    """Serve one notebook on a connected socket. Nothing is recorded: a session is no run.

    `closed` says why nothing may be changed just now, and is asked before each effect that changes. With a `tape` its
    effects are those of a recording, of a run of which `past` says what it did.
    """
    private = spare.private_folder()
    try:
        sink = NullSink()
        gate = Gate(
            sink=sink,
            redactor=vault.redactor,
            desk=RunnerEffects(vault, Questions(sink, _Elsewhere(), {}, str(context["operator"]))),
            past=past or Past(),
            context={**context, "private": str(private)},
            mode=Mode.SESSION,
            closed=closed,
            tape=tape,
        )
        gate.place = CellContext(NOWHERE, NOWHERE, Role.CHANGE)
        print("ready", flush=True)
        await gate.adopt(socket.socket(fileno=descriptor))
    finally:
        spare.remove(private)


class _Elsewhere:
    """In a session the person sits before the notebook: questions are asked there."""

    present = False

    async def ask(self, question: Question) -> Answer:
        raise Unanswered(question)
