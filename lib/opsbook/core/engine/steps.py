"""Run one step, in the kernel or by hand, or replay a finished one."""

import asyncio
import time
from dataclasses import dataclass

from opsbook.core.engine.cancel import Cancel
from opsbook.core.engine.cells import CellEnd, Cells
from opsbook.core.engine.gate import Gate
from opsbook.core.engine.questions import Questions, Unanswered
from opsbook.core.engine.run_context import RunContext
from opsbook.core.model.effect import Mode
from opsbook.core.model.events import StepFinished, StepStarted
from opsbook.core.model.past import Past
from opsbook.core.model.person import DONE, MANUAL_CHOICES, PROBLEM, SKIP, Answer, Question
from opsbook.core.model.runbook import Role, Runbook, Step
from opsbook.core.model.sink import Sink


class StepFailed(Exception):
    """A step did not succeed."""

    def __init__(self, step: Step, ended: CellEnd) -> None:
        super().__init__(step, ended)
        self.step = step
        self.ended = ended
        self.decided: str | None = None

    def __str__(self) -> str:
        return f"{self.step.section}, {self.step.title}: {self.ended.why}"


@dataclass(frozen=True)
class Steps:
    """Runs the steps of one run."""

    run_context: RunContext
    sink: Sink
    gate: Gate
    cells: Cells
    questions: Questions
    cancel: Cancel

    @property
    def runbook(self) -> Runbook:
        return self.run_context.planned.runbook

    @property
    def past(self) -> Past:
        return self.run_context.past

    @property
    def _mode(self) -> Mode:
        return self.run_context.options.mode

    @property
    def lines(self) -> bool:
        """Whether the operator may type Python after a failure: not in an environment that runs only committed code."""
        policy = self.run_context.planned.environment.policy
        return not (policy.protected or policy.approvals)

    def _by_hand(self, step: Step) -> bool:
        """Whether a person does the step: the page has no code for it, or the run is by hand."""
        return step.manual or self.run_context.options.by_hand

    async def run(self, step: Step) -> None:
        """Run one step. Raises StepFailed if it did not succeed."""
        if self.cancel.level:
            raise StepFailed(step, CellEnd("cancelled", f"cancelled by {self.cancel.by} before this step"))
        if self.gate.stop.refused:
            raise StepFailed(step, CellEnd("failed", f"before this step, {self.gate.stop.refused}"))
        replay = self.past.finished(step.id)
        self._announce(step, replay=replay)
        started = time.monotonic()
        ended = await (self._replayed(step) if replay else self._done(step))
        self.finish(step, ended, time.monotonic() - started, replay=replay)
        if ended.status not in ("succeeded", "skipped", "unpredictable") or (
            ended.status == "skipped" and step.role is Role.UNDO and not replay
        ):
            raise StepFailed(step, ended)

    def _announce(self, step: Step, *, replay: bool = False) -> None:
        began = StepStarted(**step.named(), manual=self._by_hand(step), expected=step.expected, replay=replay)
        self.sink.write(began)

    def finish(self, step: Step, ended: CellEnd, seconds: float = 0.0, *, replay: bool = False) -> None:
        """Journal how a step ended."""
        over = StepFinished(step=step.id, status=ended.status, seconds=round(seconds, 3), replay=replay, why=ended.why)
        self.sink.write(over)

    def leave_out(self, step: Step, why: str) -> None:
        """Journal that a step is skipped."""
        if not self.past.begun(step.id):
            self._announce(step)
        self.finish(step, CellEnd("skipped", why))

    async def _done(self, step: Step) -> CellEnd:
        if self._by_hand(step):
            return await self._manual(step)
        ended = await self.automatic(step)
        if ended.ok or self._mode is not Mode.CHECK or self.gate.stop.refused or ended.status == "cancelled":
            return ended
        # After a simulated change, a cell may fail because its result is not there.
        return CellEnd("unpredictable", ended.why) if self.gate.simulated else ended

    async def _replayed(self, step: Step) -> CellEnd:
        """Replay a finished step to restore its variables; a step that a person did needs no replay."""
        known = self.past.steps[step.id]
        if not (known.manual or self._by_hand(step)):
            ended = await self.automatic(step)
            if known.status != "skipped" or ended.status in ("cancelled", "waiting", "died"):
                return ended
        return CellEnd(str(known.status), known.why)

    async def automatic(self, step: Step) -> CellEnd:
        """Run the cells of a step until one does not succeed."""
        ended = CellEnd("succeeded")
        for cell in step.cells:
            ended = await self.cells.run(cell, self.runbook.code(cell), step.id, step.role)
            if not ended.ok or self.cells.exited:
                break
        if ended.status == "unpredictable" and self._mode is not Mode.CHECK:
            return CellEnd("failed", ended.why)
        return ended

    async def names(self, step: Step) -> None:
        """Run a skipped step without its effects, so that later steps have those of its variables that need none."""
        if self._by_hand(step):
            return
        ended = await self.automatic(step)
        if ended.status in ("cancelled", "waiting", "died"):
            raise StepFailed(step, ended)

    async def _manual(self, step: Step) -> CellEnd:
        if self._mode is Mode.CHECK:
            return CellEnd("skipped", "by hand; a check asks nobody")
        question = Question(step.id, "manual", step.title, MANUAL_CHOICES, self._detail(step), (SKIP, PROBLEM))
        try:
            answer = await self.or_cancelled(question)
        except Unanswered as error:
            return CellEnd("waiting", str(error))
        if answer is None:
            return CellEnd("cancelled", f"cancelled by {self.cancel.by}")
        if answer.value == SKIP:
            return CellEnd("skipped", answer.note)
        if answer.value == DONE:
            for known in self.past.unsettled({cell.id for cell in step.cells}):
                self.gate.ledger.mark_done(known, answer.by)
            return CellEnd("succeeded", answer.note)
        return CellEnd("failed", f"{answer.by} reported a problem: {answer.note}".rstrip(": "))

    def _detail(self, step: Step) -> str:
        """What a person needs to do the step: its text, its code and the parameters."""
        code = [f"```{cell.language}\n{cell.body.strip()}\n```" for cell in step.cells]
        expected = [f"Expected: {step.expected}"] if step.expected else []
        values = ", ".join(f"{name} = {value!r}" for name, value in self.run_context.planned.plan.parameters.items())
        given = [f"With {values}"] if code and values else []
        return "\n\n".join([step.prose.strip(), *given, *code, *expected]).strip()

    async def answered(self, question: Question) -> Answer | None:
        """Ask; None if the cancel level rises while the question is open, or if nobody answers."""
        try:
            return await self.or_cancelled(question)
        except Unanswered:
            return None

    async def or_cancelled(self, question: Question) -> Answer | None:
        """Ask; None if the cancel level rises while the question is open."""
        level = self.cancel.level
        asking = asyncio.create_task(self.questions.put(question))
        while not asking.done():
            changed = asyncio.create_task(self.cancel.changed.wait())
            await asyncio.wait({asking, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            self.cancel.changed.clear()
            if self.cancel.level > level and not asking.done():
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                return None
        return asking.result()
