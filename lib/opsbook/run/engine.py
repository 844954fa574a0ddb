"""The engine: steps in order, and what follows when one fails. Turns a Plan into events.

Rules this module keeps:
- a run succeeded only if every step did; every other end names the step and the reason;
- prerequisites come first, and a failure there ends the run before anything changed;
- a rollback starts only when nothing of the failed step goes on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from opsbook.errors import OpsbookError
from opsbook.model.effect import Mode
from opsbook.model.event import Ending, Outcome, Sink
from opsbook.model.parameter import literal
from opsbook.model.person import DONE, MANUAL_CHOICES, SKIP, Answer, Question
from opsbook.model.plan import Plan
from opsbook.model.runbook import Cell, Role, Runbook, Step
from opsbook.run.cancel import Cancel
from opsbook.run.cells import Cells, Ended
from opsbook.run.gate import Gate
from opsbook.run.kernel import Kernel
from opsbook.run.questions import Questions, Unanswered


class _Failure(Exception):
    """A step did not succeed."""

    def __init__(self, step: Step, ended: Ended) -> None:
        super().__init__(step, ended)
        self.step = step
        self.ended = ended

    def __str__(self) -> str:
        return f"{self.step.section}, {self.step.title}: {self.ended.why}"


class Progress:
    """Which steps began and which finished."""

    def __init__(self, runbook: Runbook) -> None:
        self._known = {step.id for step in runbook.steps()}
        self._begun: set[str] = set()
        self._skipped: list[str] = []

    def begin(self, step: str) -> None:
        self._begun.add(step)

    def skip(self, step: Step) -> None:
        self._skipped.append(step.title)

    def told(self) -> str:
        """What a run that succeeded says of its steps."""
        if not self._skipped:
            return "every step succeeded"
        return f"every step succeeded, except those that were skipped: {', '.join(self._skipped)}"

    def begun(self, step: str) -> bool | None:
        """Whether the step was begun; None if there is no such step."""
        return step in self._begun if step in self._known else None


class Engine:
    """Runs one plan."""

    def __init__(
        self,
        *,
        plan: Plan,
        runbook: Runbook,
        sink: Sink,
        gate: Gate,
        cells: Cells,
        questions: Questions,
        cancel: Cancel,
        progress: Progress,
        start_kernel: Callable[[], Awaitable[Kernel]],
    ) -> None:
        self._plan = plan
        self._runbook = runbook
        self._sink = sink
        self._gate = gate
        self._cells = cells
        self._questions = questions
        self._cancel = cancel
        self._progress = progress
        self._start_kernel = start_kernel

    async def run(self) -> Ending:
        """Run to the end; the ending is journaled by the caller, with the seal."""
        started = time.monotonic()
        try:
            outcome, reason = await self._forward()
        except OpsbookError as error:
            outcome, reason = Outcome.FAILED, f"{error.message} {error.hint}".strip()
        finally:
            await self._close_kernel()
        seconds = round(time.monotonic() - started, 3)
        left = self._gate.ledger.changed and outcome not in (Outcome.SUCCEEDED, Outcome.ROLLED_BACK)
        return Ending(outcome, reason, left, seconds, undoable=self._runbook.front.rollback != "none")

    async def _close_kernel(self) -> None:
        """End the kernel with everything it started; whatever it did not report is unknown."""
        if self._cells.kernel is not None:
            await self._cells.kernel.end()
        await self._gate.close()

    async def _forward(self) -> tuple[Outcome, str]:
        try:
            await self._open_kernel()
            for step in self._runbook.forward():
                await self._step(step)
            self._no_poison()
        except _Failure as failure:
            return await self._failed(failure)
        left_out = f", without {', '.join(sorted(self._gate.without))}" if self._gate.without else ""
        return Outcome.SUCCEEDED, self._progress.told() + left_out

    async def _open_kernel(self) -> None:
        """A kernel that knows the parameters."""
        self._cells.kernel = await self._start_kernel()
        for cell in self._parameter_cells():
            ended = await self._cells.run(cell, cell.source, "parameters", Role.READ)
            if not ended.ok:
                raise _Failure(Step("parameters", "Parameters", "Parameters", Role.PARAMETERS, "", cell.line), ended)

    def _parameter_cells(self) -> list[Cell]:
        cell = self._runbook.parameters_cell
        if cell is None:
            return []
        values = self._plan.parameters
        lines = [
            f"{parameter.name} = {literal(parameter, values.get(parameter.name))}"
            for parameter in self._runbook.parameters
            if parameter.name in values or parameter.name in self._plan.secrets
        ]
        source = "\n".join(["# Parameters", *lines])
        self._sink.write("parameters-injected", {"source": source})
        return [cell, Cell("injected-parameters", source, cell.line)]

    def _no_poison(self) -> None:
        """A refusal that nobody noticed, in a thread behind the last cell, is a failure all the same."""
        if self._gate.poison is not None:
            nowhere = Step("end", "behind the last step", "End", Role.READ, "", 0)
            raise _Failure(nowhere, Ended("failed", self._gate.poison))

    # -- steps

    async def _step(self, step: Step) -> None:
        """Run one step. Raises _Failure if it did not succeed."""
        if self._cancel.level:
            raise _Failure(step, Ended("cancelled", f"cancelled by {self._cancel.by} before this step"))
        if self._gate.poison is not None:
            raise _Failure(step, Ended("failed", f"before this step, {self._gate.poison}"))
        if not step.cells and not step.manual:
            return
        self._progress.begin(step.id)
        described = {"step": step.id, "title": step.title, "section": step.section, "role": step.role}
        self._sink.write("step-started", {**described, "manual": step.manual, "expected": step.expected})
        started = time.monotonic()
        ended = await (self._manual(step) if step.manual else self._automatic(step))
        finished = {"step": step.id, "status": ended.status, "seconds": round(time.monotonic() - started, 3)}
        self._sink.write("step-finished", finished | ({"why": ended.why} if ended.why else {}))
        if ended.status == "skipped" and step.role is not Role.UNDO:
            self._progress.skip(step)
        elif ended.status != "succeeded":
            raise _Failure(step, ended)

    async def _automatic(self, step: Step) -> Ended:
        ended = Ended("succeeded")
        for cell in step.cells:
            ended = await self._cells.run(cell, self._runbook.code(cell), step.id, step.role)
            if not ended.ok:
                break
        return ended

    async def _manual(self, step: Step) -> Ended:
        detail = step.prose + (f"\n\nExpected: {step.expected}" if step.expected else "")
        question = Question(step.id, "manual", step.title, MANUAL_CHOICES, detail)
        try:
            answer = await self._or_cancelled(question)
        except Unanswered as error:
            return Ended("waiting", str(error))
        if answer is not None and answer.value == SKIP:
            return Ended("skipped", answer.note)
        # Only the person knows whether a step by hand changed anything: assume that it did.
        self._gate.ledger.changed = self._gate.ledger.changed or step.role is Role.CHANGE
        if answer is None:
            return Ended("cancelled", f"cancelled by {self._cancel.by}")
        if answer.value == DONE:
            return Ended("succeeded", answer.note)
        return Ended("failed", f"{answer.by} reported a problem: {answer.note}".rstrip(": "))

    async def _or_cancelled(self, question: Question) -> Answer | None:
        """The answer, or None if somebody wants the run to stop, more urgently than before, while it is asked."""
        level = self._cancel.level
        asking = asyncio.create_task(self._questions.put(question))
        while not asking.done():
            changed = asyncio.create_task(self._cancel.changed.wait())
            await asyncio.wait({asking, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            self._cancel.changed.clear()
            if self._cancel.level > level and not asking.done():
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                return None
        return asking.result()

    # -- failure

    async def _failed(self, failure: _Failure) -> tuple[Outcome, str]:
        reason = str(failure)
        status = failure.ended.status
        stopped = {"waiting": Outcome.WAITING, "cancelled": Outcome.CANCELLED}.get(status)
        if not self._gate.ledger.changed or not self._runbook.undo():
            return stopped or Outcome.FAILED, reason
        if stopped is Outcome.WAITING or not await self._wants_rollback(stopped is not None):
            return stopped or Outcome.FAILED, reason
        return await self._rollback(reason)

    async def _wants_rollback(self, cancelled: bool) -> bool:
        """Automatic after a failure; with a person present, who stopped the run is asked."""
        mode = self._runbook.front.rollback
        if mode == "automatic" and not cancelled:
            return True
        if mode in ("none", "manual") or not self._questions.present:
            return False
        question = Question("roll-back", "decide", "Roll back what was changed?", ("yes", "no"))
        try:
            answer = await self._or_cancelled(question)
        except Unanswered:
            return False
        return answer is not None and answer.value == "yes"

    async def _rollback(self, reason: str) -> tuple[Outcome, str]:
        self._sink.write("rollback-started", {"reason": reason}, durable=True)
        self._cancel.clear()
        self._gate.clear()
        try:
            if self._cells.kernel is None or self._cells.kernel.died.is_set() or self._gate.lost:
                await self._reopen()
            for step in self._runbook.undo():
                await self._step(step)
            self._no_poison()
        except (_Failure, OpsbookError) as failure:
            return Outcome.ROLLBACK_FAILED, f"{reason}; the rollback failed: {failure}"
        return Outcome.ROLLED_BACK, reason

    async def _reopen(self) -> None:
        """A new kernel that knows what the rollback may use: parameters and prerequisites, by replay."""
        await self._close_kernel()
        self._gate.clear()
        self._sink.write("kernel-replaced", {})
        self._gate.recorded = dict(self._gate.ledger.results)
        mode, self._gate.mode = self._gate.mode, Mode.RESUME
        await self._open_kernel()
        for step in self._runbook.prerequisites():
            ended = await self._automatic(step)
            if not ended.ok:
                raise _Failure(step, ended)
        self._gate.mode, self._gate.recorded = mode, {}
