"""The runner: connects gate, kernel, cells, questions and inbox for one run."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from opsbook.core.engine import inbox
from opsbook.core.engine.cancel import Cancel
from opsbook.core.engine.cell_context import CellContext
from opsbook.core.engine.cells import Cells
from opsbook.core.engine.engine import Engine
from opsbook.core.engine.gate import Gate, Scope
from opsbook.core.engine.output import Outputs
from opsbook.core.engine.process import keeper, kernel, spare
from opsbook.core.engine.questions import Questions, Unanswered
from opsbook.core.engine.run_context import RunContext
from opsbook.core.engine.runner_effects import RunnerEffects
from opsbook.core.engine.secrets import Vault
from opsbook.core.engine.steps import Steps
from opsbook.core.model import events as kinds
from opsbook.core.model.effect import Mode, no_sandbox
from opsbook.core.model.outcome import Ending, Outcome
from opsbook.core.model.person import Answer, Person, Question
from opsbook.core.model.planned import Place
from opsbook.core.model.recording import NOWHERE
from opsbook.core.model.runbook import Role
from opsbook.core.model.sink import RunSink, Sink
from opsbook.errors import InputError, NotYet, Refused

LOCK_EVERY, APPROVAL_EVERY = 0.5, 2.0
"""Seconds between two tries to get a lock, and an approval."""

STALE = 5.0
"""Seconds of waiting after which secrets from programs are fetched again: they may expire within minutes."""


async def run(context: RunContext, sink: RunSink, vault: Vault, person: Person) -> Ending:
    """Run to the end; everything that happens goes to the sink."""
    cancel = Cancel(context.stop_after)
    keeper.adopt_orphans()
    undo = cancel.listen(context.operator)
    sink.listeners.append(context.past.take)
    questions = Questions(sink, person, context.options.answers, context.operator)
    stale = context.earlier.stale if context.earlier else frozenset()
    watching = _watch_inbox(context.workspace.inbox, sink, questions, cancel, stale)
    try:
        engine = _engine(context, sink, vault, questions, cancel)
        return await _Start(context, sink, cancel, vault, person).refused() or await engine.run()
    finally:
        undo()
        await _ended(watching)


_Waiting = type[kinds.WaitingForApproval] | type[kinds.WaitingForLock]


class _Start(NamedTuple):
    """The start of a run: check its authorization, take its locks, check the authorization again."""

    context: RunContext
    sink: Sink
    cancel: Cancel
    vault: Vault
    person: Person

    async def refused(self) -> Ending | None:
        """How the run ends if it may not start; None if it may."""
        admission, wait = self.context.admission, self.context.options.wait
        if self.context.options.mode is Mode.REPLAY:
            return None
        if self.context.options.mode is Mode.CHECK:
            return self._allowed()
        began = time.monotonic()
        asked = self.person.present if wait is None else wait
        if ending := await self._obtained(admission.allow, kinds.WaitingForApproval, APPROVAL_EVERY, wait=asked):
            return ending
        with admission.queue() if wait else contextlib.nullcontext():
            if ending := await self._obtained(self._lock, kinds.WaitingForLock, LOCK_EVERY, wait=bool(wait)):
                return ending
        try:
            if time.monotonic() - began > STALE:
                # Before an approval is spent. In a thread, since the program may be slow.
                await asyncio.to_thread(self.vault.renew)
        except InputError as error:
            return self._ending(Outcome.REFUSED, error.whole)
        return self._allowed()

    def _lock(self) -> None:
        self.context.admission.lock()
        self.sink.write(kinds.Locked(targets=self.context.planned.plan.locks))

    def _allowed(self) -> Ending | None:
        """Check again: an approval may have expired, or a window closed, while the run waited for its locks."""
        try:
            if allowed := self.context.admission.allow():
                allowed.spend()
                proof = [self.sink.blob("approvals", name, data) for name, data in allowed.files.items()]
                self.sink.write(kinds.RunAllowed(evidence=allowed.evidence, files=proof), durable=True)
        except (InputError, Refused) as error:
            return self._ending(Outcome.REFUSED, error.whole)
        return None

    async def _obtained(
        self, obtain: Callable[[], object], waiting: _Waiting, every: float, *, wait: bool
    ) -> Ending | None:
        """Retry until `obtain` succeeds (None), refuses for good, or a person cancels (how the run ends).

        `waiting` is the event to write; `every`: seconds between two tries. Without `wait`, there is one.
        """
        told = ""
        while True:
            try:
                obtain()
            except Refused as error:
                if not (wait and isinstance(error, NotYet)):
                    return self._ending(Outcome.REFUSED, error.whole)
                if error.message != told:
                    self.sink.write(waiting(why=error.message, hint=error.hint))
                    told = error.message
            else:
                return None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.cancel.changed.wait(), every)
            if self.cancel.level:
                return self._ending(Outcome.CANCELLED, f"cancelled by {self.cancel.by} before it began")

    def _ending(self, outcome: Outcome, why: str) -> Ending:
        context = self.context
        ending = Ending(outcome, why, changed=context.past.changed, seconds=0.0)
        undone = context.options.undo and not context.past.undoing
        # A refused resume leaves the run as it was: unfinished, with its locks.
        left = context.earlier is not None and outcome is Outcome.REFUSED
        return context.as_before(ending) if undone or left else ending


def _engine(context: RunContext, sink: Sink, vault: Vault, questions: Questions, cancel: Cancel) -> Engine:
    here = dict(context.here)
    gate = Gate(_scope(context, here), sink, RunnerEffects(vault, questions))
    outputs = Outputs(sink, vault.redactor, gate.transport.mark)

    def stop(by: str, level: int) -> None:
        gate.cancel(f"cancelled by {by}")
        sink.write(kinds.CancelRequested(by=by, level=level), durable=True)

    cancel.on_request = stop

    async def start_kernel(place: Place) -> kernel.Kernel:
        started = kernel.Kernel(spare.take(context.run))
        here.update(private=str(started.private), root=str(place.cwd), content=str(place.content))
        await gate.transport.listen(started.gate_path)
        started.on_message, started.on_raw = outputs.message, outputs.raw
        started.on_gap = lambda missing: sink.write(kinds.OutputGap(missing=missing))
        work = context.workspace
        options = context.options
        # Slow imports that the page's effects need. A replay performs no effect.
        needed = {"playbook(": "ansible_runner", "http(": "httpx"} if options.mode is not Mode.REPLAY else {}
        imports = tuple(module for call, module in needed.items() if call in context.planned.runbook.source)
        magics = options.mode is Mode.NOTEBOOK
        await started.start(
            kernel.Launch(place, work.keep_environment, work.hold, imports, options.warm, options.cwd, magics)
        )
        sink.write(kinds.KernelStarted(pid=started.pid))
        return started

    cells = Cells(context, sink, gate, outputs, cancel)
    steps = Steps(context, sink, gate, cells, questions, cancel)
    return Engine(steps, vault.redactor, start_kernel)


def _scope(context: RunContext, here: dict[str, Any]) -> Scope:
    mode, policy = context.options.mode, context.planned.environment.policy
    closed = no_sandbox(mode) if mode is Mode.NOTEBOOK and not policy.sandbox else ""
    return Scope(
        mode,
        here,
        context.past,
        admit=lambda effect, _: closed if effect.changes else "",
        steps={step.id for step in context.planned.runbook.steps()},
        retry_unknown=context.options.retry_unknown,
        tape=context.tape,
    )


def _watch_inbox(
    folder: Path, sink: Sink, questions: Questions, cancel: Cancel, stale: Collection[Path] = ()
) -> asyncio.Task[None]:
    """Carry out the requests of other processes, as long as the task runs."""

    def take(request: dict[str, Any]) -> None:
        match request["kind"]:
            case "cancel":
                cancel.request(request["by"])
            case "answer":
                answer = Answer(request["value"], request["by"], str(request.get("note", "")))
                questions.offer(request["name"], answer, request.get("asked"))
        sink.write(kinds.RequestTaken(request=request), durable=True)

    def refuse(name: str, why: str) -> None:
        sink.write(kinds.RequestRefused(file=name, why=why))

    for path in sorted(stale):
        refuse(path.name, "it was sent before the run stopped; the resumed run asks again")
    return asyncio.create_task(inbox.watch(folder, take, refuse, stale))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


# -- session mode


async def session(
    descriptor: int, scope: Scope, vault: Vault, sink: Sink, parameters: Sequence[str] = (), folder: Path | None = None
) -> None:
    """Serve one notebook on a connected socket, until its kernel ends or somebody cancels it.

    `parameters` are names of its page; `folder` is the inbox for requests of other processes, if it can get some.
    """
    private = spare.private_folder()
    operator, cancel = str(scope.here["operator"]), Cancel()
    questions = Questions(sink, _Elsewhere(), {}, operator)
    gate = Gate(replace(scope, here={**scope.here, "private": str(private)}), sink, RunnerEffects(vault, questions))
    gate.place = CellContext(NOWHERE, NOWHERE, Role.CHANGE)
    leaving: list[asyncio.Task[None]] = []

    def stop(by: str, level: int) -> None:
        gate.cancel(f"cancelled by {by}")
        gate.cancel_effects()
        sink.write(kinds.CancelRequested(by=by, level=level), durable=True)
        leaving.append(asyncio.create_task(_leave(gate, wait=level == 1)))

    cancel.on_request = stop
    undo = cancel.listen(operator)
    watching = [_watch_inbox(folder, sink, questions, cancel)] if folder else []
    try:
        print("ready", *parameters, flush=True)
        await gate.transport.adopt(socket.socket(fileno=descriptor))
    finally:
        undo()
        await asyncio.gather(*map(_ended, (*watching, *leaving)))
        await gate.close()
        spare.remove(private)


async def _leave(gate: Gate, *, wait: bool) -> None:
    """Close the gate of a session that was cancelled, if possible after its effects have ended."""
    while wait and gate.ledger.going_on():
        await asyncio.sleep(LOCK_EVERY)
    await gate.close()


class _Elsewhere:
    """In a session, the notebook itself asks the person."""

    present = False

    async def ask(self, question: Question) -> Answer:
        raise Unanswered(question)
