"""The runner: puts gate, kernel, cells, questions and inbox together for one run."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsbook.model.effect import MARK, Mode
from opsbook.model.environment import Environment
from opsbook.model.event import Data, Ending, Event, Sink, Stream
from opsbook.model.person import Answer, Person, Question
from opsbook.model.plan import Plan
from opsbook.model.redact import Redactor
from opsbook.model.runbook import Role, Runbook
from opsbook.run import inbox, keeper, kernel, spare
from opsbook.run.cancel import Cancel
from opsbook.run.cells import Cells
from opsbook.run.engine import Engine, Progress
from opsbook.run.gate import Gate, Place
from opsbook.run.output import Outputs
from opsbook.run.questions import Questions, Unanswered
from opsbook.run.secrets import Vault


@dataclass(frozen=True)
class Job:
    """Everything a run needs that is decided before it starts.

    `context` is what cells see as `here`; `answers` were given ahead; `inbox` is the folder for requests
    of other processes; `hold` keeps the journal locked for as long as anything of the run lives.
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
    hold: int | None = None
    keep_environment: tuple[str, ...] = ()


async def run(job: Job, sink: Sink, vault: Vault, person: Person) -> Ending:
    """Run the job; everything that happens goes to the sink."""
    cancel = Cancel()
    keeper.adopt_orphans()
    undo = cancel.listen(job.operator)
    questions = Questions(sink, person, job.answers, job.operator)
    watching = asyncio.create_task(_watch_inbox(job, sink, questions, cancel))
    try:
        return await _engine(job, sink, vault, questions, cancel).run()
    finally:
        undo()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


def _engine(job: Job, sink: Sink, vault: Vault, questions: Questions, cancel: Cancel) -> Engine:
    progress = Progress(job.runbook)
    context = dict(job.context)
    gate = Gate(
        sink=sink,
        redactor=vault.redactor,
        vault=vault,
        questions=questions,
        context=context,
        mode=job.mode,
        sandbox=job.environment.policy.sandbox,
        finished=progress.begun,
    )
    outputs = Outputs(sink, vault.redactor, gate.mark, MARK)

    def stop(by: str) -> None:
        gate.stopping = f"cancelled by {by}"
        sink.write("cancel-requested", {"by": by}, durable=True)

    cancel.on_first = stop

    async def start_kernel() -> kernel.Kernel:
        started = kernel.Kernel(spare.take(job.run))
        context["private"] = str(started.private)
        await gate.listen(started.gate_path)
        started.on_message, started.on_raw = outputs.message, outputs.raw
        started.on_gap = lambda missing: _gap(sink, missing)
        await started.start(kernel.Launch(job.root, job.keep_environment, job.hold, _imports(job.runbook)))
        sink.write("kernel-started", {"pid": started.pid})
        return started

    return Engine(
        plan=job.plan,
        runbook=job.runbook,
        sink=sink,
        gate=gate,
        cells=Cells(sink, gate, outputs, cancel),
        questions=questions,
        cancel=cancel,
        progress=progress,
        start_kernel=start_kernel,
    )


def _imports(runbook: Runbook) -> tuple[str, ...]:
    """What the page's effects are made of, and what takes long to import."""
    needed = {"playbook(": "ansible_runner", "http(": "httpx"}
    return tuple(module for call, module in needed.items() if call in runbook.source)


def _gap(sink: Sink, missing: int) -> None:
    sink.write("output-gap", {"missing": missing})


async def _watch_inbox(job: Job, sink: Sink, questions: Questions, cancel: Cancel) -> None:
    def take(request: dict[str, Any]) -> None:
        take_one: Callable[[], object] = {
            "cancel": lambda: cancel.request(request["by"]),
            "answer": lambda: questions.offer(
                request["name"], Answer(request["value"], request["by"], str(request.get("note", "")))
            ),
            "note": lambda: None,
        }[request["kind"]]
        take_one()
        sink.write("request-taken", {**request}, durable=True)

    def refuse(name: str, why: str) -> None:
        sink.write("request-refused", {"file": name, "why": why})

    await inbox.watch(job.inbox, take, refuse)


# -- session mode


async def session(
    descriptor: int, environment: Environment, context: Mapping[str, Any], redactor: Redactor, vault: Vault
) -> None:
    """Serve one notebook on a connected socket. Nothing is recorded: a session is no run."""
    private = spare.private_folder()
    try:
        sink = _Forget()
        gate = Gate(
            sink=sink,
            redactor=redactor,
            vault=vault,
            questions=Questions(sink, _Elsewhere(), {}, str(context["operator"])),
            context={**context, "private": str(private)},
            mode=Mode.SESSION,
            sandbox=environment.policy.sandbox,
            finished=lambda _: False,
        )
        gate.place = Place("session", "session", Role.CHANGE)
        print("ready", flush=True)
        await gate.adopt(socket.socket(fileno=descriptor))
    finally:
        spare.remove(private)


class _Elsewhere:
    """In a session the person sits before the notebook: questions are asked there."""

    present = False

    async def ask(self, question: Question) -> Answer:
        raise Unanswered(question)


class _Forget:
    """A sink that keeps nothing."""

    def __init__(self) -> None:
        self._seq = 0

    def write(self, kind: str, data: Data, *, durable: bool = False) -> Event:
        self._seq += 1
        return Event(self._seq, "", kind, data)

    def blob(self, folder: str, name: str, data: bytes) -> Data:
        return {"path": f"{folder}/{name}", "bytes": len(data)}

    def stream(self, folder: str, name: str) -> Stream:
        return _ForgetStream()


class _ForgetStream:
    """A growing file that keeps nothing."""

    def append(self, text: str) -> None:
        """Nothing is kept."""

    def close(self) -> Data:
        return {}
