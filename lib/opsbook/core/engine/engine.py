"""The engine: runs the steps in order and handles failures. Turns a Plan into events.

Rules this module keeps:
- a run succeeds only if every step does; any other ending names the step and the reason;
- prerequisites come first, and a failure there ends the run before anything changes;
- a resumed run first rechecks its prerequisites, then replays finished steps (ADR 11), then continues;
- a rollback starts only when nothing of the failed step still runs.
"""

import time
from collections.abc import Awaitable, Callable

from opsbook.core.engine.cell_context import MARKED, what_became
from opsbook.core.engine.cells import CellEnd
from opsbook.core.engine.failure_choice import NAME, FailureChoice, after_failure, prompt
from opsbook.core.engine.process.kernel import Kernel
from opsbook.core.engine.questions import Unanswered
from opsbook.core.engine.recheck import Recheck
from opsbook.core.engine.steps import StepFailed, Steps
from opsbook.core.model.effect import Mode
from opsbook.core.model.events import Differences, KernelReplaced, LookStarted, ParametersInjected, RollbackStarted
from opsbook.core.model.outcome import Ending, Outcome
from opsbook.core.model.parameter import literal
from opsbook.core.model.person import Question
from opsbook.core.model.planned import Place
from opsbook.core.model.redact import Redactor
from opsbook.core.model.runbook import Cell, Role, Step, tally
from opsbook.core.model.text import number_of
from opsbook.errors import NoRoom, OpsbookError

End = tuple[Outcome, str]

_END = Step("end", "after the last step", "End", Role.READ, "", 0)
"""Stands for the step in a failure that belongs to no step."""

ACCEPT = "accept-changes"
"""Name of the question whether to resume although something changed since the run stopped."""


class Engine:
    """Runs one plan."""

    def __init__(self, steps: Steps, redactor: Redactor, start_kernel: Callable[[Place], Awaitable[Kernel]]) -> None:
        self._steps = steps
        self._redactor = redactor
        self._start_kernel = start_kernel
        self._run, self._options = steps.run_context, steps.run_context.options
        self._plan, self._runbook = self._run.planned.plan, steps.runbook
        self._past = self._run.past
        self._gate, self._cells, self._sink = steps.gate, steps.cells, steps.sink
        self._skipped: list[str] = []
        self._began = True
        self._place: Place | None = None

    async def run(self) -> Ending:
        """Run to the end; the caller journals the ending, with the seal."""
        started = time.monotonic()
        try:
            try:
                outcome, reason = await self._work()
            finally:
                await self._close_kernel()
        except NoRoom as error:
            outcome, reason = Outcome.WAITING, error.whole
        except OpsbookError as error:
            outcome, reason = Outcome.FAILED, error.whole
        seconds = round(time.monotonic() - started, 3)
        left = self._past.changed and outcome not in (Outcome.SUCCEEDED, Outcome.ROLLED_BACK)
        undoable = self._runbook.front.rollback != "none"
        ending = Ending(outcome, reason, left, seconds, undoable, wanted=self._options.undo)
        return ending if self._began else self._run.as_before(ending)

    async def _work(self) -> End:
        if self._run.earlier and (refused := await self._accept_differences()) is not None:
            self._began = self._past.undoing or not self._options.undo
            return refused
        if self._options.undo or self._past.undoing:
            return await self._rollback(f"{self._steps.questions.operator} wants it undone")
        return await self._forward()

    # -- kernels

    async def _open_kernel(self) -> None:
        """Start a kernel and run the parameters in it. Raises StepFailed."""
        self._place = self._run.workspace.place()
        self._cells.kernel = await self._start_kernel(self._place)
        for cell in self._parameter_cells():
            ended = await self._cells.run(cell, cell.source, "parameters", Role.READ)
            if not ended.ok:
                raise StepFailed(Step("parameters", "Parameters", "Parameters", Role.PARAMETERS, "", cell.line), ended)

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
        self._sink.write(ParametersInjected(source=source))
        return [cell, Cell("injected-parameters", source, cell.line)]

    async def _close_kernel(self) -> None:
        """End the kernel with everything it started; effects without a result are unknown from now on."""
        if self._cells.kernel is not None:
            await self._cells.kernel.end()
            self._cells.kernel = None
        await self._gate.close()

    async def _ensure_kernel(self, before: tuple[Step, ...]) -> None:
        """Replace a dead kernel, or one whose folder has changed, and replay these steps. Raises StepFailed."""
        alive = self._cells.kernel is not None and not self._cells.kernel.died.is_set()
        if alive and not self._gate.transport.lost and self._run.workspace.place() == self._place:
            return
        await self._close_kernel()
        self._gate.clear()
        self._sink.write(KernelReplaced())
        await self._open_kernel()
        for step in before:
            ended = await self._steps.automatic(step)
            if not ended.ok and self._past.steps[step.id].status != "skipped":
                raise StepFailed(step, ended)

    # -- forward

    async def _forward(self) -> End:
        try:
            if not self._options.by_hand:
                await self._open_kernel()
            for step in self._forward_steps():
                await self._run_step(step)
                if self._cells.exited:
                    break
            await self._settle_unknown()
        except StepFailed as failure:
            return await self._failed(failure)
        return self._succeeded()

    def _forward_steps(self) -> list[Step]:
        return self._runbook.executed(check=self._options.mode is Mode.CHECK)

    def _succeeded(self) -> End:
        if self._options.mode is Mode.CHECK:
            return Outcome.CHECKED, "nothing was changed"
        told = self._complete()
        if self._skipped:
            told += f", except those that were skipped: {', '.join(self._skipped)}"
        if self._past.without:
            told += f", without {', '.join(sorted(self._past.without))}"
        return Outcome.SUCCEEDED, told

    def _complete(self) -> str:
        """What succeeded. A run that left out a command of the page does not call it every step."""
        if self._cells.exited:
            return "the notebook ended itself with sys.exit(0)"
        done = tally(self._forward_steps())
        if not done.examples:
            return "every step succeeded"
        lines = f"line{'s' if len(done.examples) > 1 else ''} {', '.join(map(str, done.examples))}"
        by_hand = f" and {number_of(done.by_hand, 'step')} by hand" if done.by_hand else ""
        left = "1 example was" if len(done.examples) == 1 else f"{len(done.examples)} examples were"
        return f"{number_of(done.commands, 'command')}{by_hand} succeeded; {left} not run ({lines})"

    async def _settle_unknown(self) -> None:
        """Raise StepFailed for a refusal that no step reported, and for effects that stay unknown after asking."""
        if self._gate.stop.refused:
            raise StepFailed(_END, CellEnd("failed", self._gate.stop.refused))
        for known in self._past.unsettled():
            try:
                answer = await self._steps.or_cancelled(what_became(known, again=False))
            except Unanswered as error:
                raise StepFailed(_END, CellEnd("waiting", str(error))) from error
            if answer is None:
                raise StepFailed(_END, CellEnd("cancelled", f"cancelled by {self._steps.cancel.by}"))
            if answer.value != MARKED:
                raise StepFailed(_END, CellEnd("waiting", f"{known.effect.summary} has to be looked at first"))
            self._gate.ledger.mark_done(known, answer.by)

    async def _run_step(self, step: Step) -> None:
        """Run a step, or skip it if the run resumes at a later one. Raises StepFailed."""
        if self._left_out(step):
            self._steps.leave_out(step, f"left out: the run resumed from {self._options.start}")
            await self._steps.names(step)
        else:
            again = True
            while again:
                again = False
                try:
                    await self._steps.run(step)
                except StepFailed as failure:
                    again = await self._decide_on_failure(failure)
        if self._past.steps[step.id].status == "skipped":
            self._skipped.append(step.title)

    def _left_out(self, step: Step) -> bool:
        """Whether an unfinished step comes before the one from which the operator resumes."""
        if not self._options.start or self._past.finished(step.id):
            return False
        order = [each.id for each in self._runbook.forward()]
        return order.index(step.id) < order.index(self._options.start)

    async def _decide_on_failure(self, failure: StepFailed) -> bool:
        """Ask what to do about a failed step: True to run it again, False to skip it. Otherwise raises the failure."""
        if not self._asks(failure):
            raise failure
        while True:
            choice, answer = await after_failure(self._steps, failure, undoable=self._undoable())
            if choice not in (FailureChoice.RETRY, FailureChoice.PROMPT, FailureChoice.SKIP) or answer is None:
                failure.decided = choice or FailureChoice.STOP
                raise failure
            self._gate.clear()
            if choice is FailureChoice.SKIP:
                self._steps.finish(failure.step, CellEnd("skipped", f"{answer.by}: {answer.note or 'no reason given'}"))
            await self._ensure_kernel(self._before(failure.step))
            if choice is not FailureChoice.PROMPT:
                return choice is FailureChoice.RETRY
            await prompt(self._steps, failure.step)

    def _asks(self, failure: StepFailed) -> bool:
        """Whether a person is asked what to do: not if the page rolls back by itself, unless --pause-on-failure."""
        by_itself = self._runbook.front.rollback == "automatic" and self._undoable()
        alive = self._options.mode in (Mode.LIVE, Mode.REPLAY)
        asks = alive and self._steps.questions.answered(NAME) and not self._options.by_hand
        failed = failure.ended.status in ("failed", "timeout", "died")
        return asks and failed and (self._options.pause_on_failure or not by_itself)

    def _undoable(self) -> bool:
        return self._past.changed and bool(self._runbook.undo()) and self._runbook.front.rollback != "none"

    def _before(self, step: Step) -> tuple[Step, ...]:
        """Finished steps with cells before this one; also this one, if it was skipped."""
        order = list(self._runbook.forward())
        return tuple(each for each in order[: order.index(step) + 1] if each.cells and self._past.finished(each.id))

    # -- resuming

    async def _accept_differences(self) -> End | None:
        """None if nothing changed since the run stopped, or the operator accepts the changes; else how the run ends."""
        differences = [*(self._run.earlier.since if self._run.earlier else ()), *await self._find_differences()]
        if not differences:
            return None
        self._sink.write(Differences(lines=differences), durable=True)
        text = "Something is different from when this run stopped. Go on all the same?"
        question = Question(ACCEPT, "decide", text, ("yes", "no"), "\n".join(f"- {line}" for line in differences))
        try:
            answer = await self._steps.or_cancelled(question)
        except Unanswered:
            return Outcome.WAITING, f"something changed since it stopped, and nobody said --{ACCEPT}: {differences[0]}"
        if answer is not None and answer.value == "yes":
            return None
        by = answer.by if answer else self._steps.cancel.by
        return Outcome.CANCELLED, f"{by} declined to continue: {differences[0]}"

    async def _find_differences(self) -> list[str]:
        """Recheck the prerequisites; returns what differs from their earlier results."""
        steps = [step for step in self._runbook.prerequisites() if step.cells]
        finished = all(self._past.finished(step.id) for step in steps)
        if self._options.undo or self._options.by_hand or self._past.undoing or not (steps and finished):
            return []
        self._sink.write(LookStarted())
        look = Recheck(self._past, self._redactor)
        await self._open_kernel()
        for step in steps:
            for cell in step.cells:
                ended = await self._cells.run(cell, self._runbook.code(cell), step.id, step.role, look)
                if not ended.ok:
                    look.failed(step.title, ended.why)
                    break
        await self._close_kernel()
        if not self._steps.cancel.level:
            self._gate.clear()
        return look.differences

    # -- failure

    async def _failed(self, failure: StepFailed) -> End:
        reason = str(failure)
        stopped = {"waiting": Outcome.WAITING, "cancelled": Outcome.CANCELLED}.get(failure.ended.status)
        if stopped is Outcome.WAITING or not self._undoable() or failure.decided is FailureChoice.STOP:
            return stopped or Outcome.FAILED, reason
        if failure.decided is FailureChoice.ROLL_BACK or await self._wants_rollback(stopped is not None):
            return await self._rollback(reason)
        return stopped or Outcome.FAILED, reason

    async def _wants_rollback(self, cancelled: bool) -> bool:
        """Whether to roll back: without asking after a failure if the page says automatic; else a person is asked."""
        mode = self._runbook.front.rollback
        if mode == "automatic" and not cancelled and not self._options.pause_on_failure:
            return True
        if mode == "manual" or not self._steps.questions.answered("roll-back"):
            return False
        question = Question("roll-back", "decide", "Roll back what was changed?", ("yes", "no"))
        answer = await self._steps.answered(question)
        return answer is not None and answer.value == "yes"

    async def _rollback(self, reason: str) -> End:
        undo = [step for step in self._runbook.undo() if step.acts]
        self._sink.write(RollbackStarted(reason=reason, steps=[step.named() for step in undo]), durable=True)
        self._steps.cancel.clear()
        self._gate.clear()
        try:
            # A replay gives a new kernel what a rollback may use: parameters and prerequisites.
            await self._ensure_kernel(tuple(s for s in self._runbook.prerequisites() if self._past.begun(s.id)))
            for step in undo:
                await self._steps.run(step)
            await self._settle_unknown()
        except NoRoom:
            raise
        except (StepFailed, OpsbookError) as failure:
            if isinstance(failure, StepFailed) and failure.ended.status == "waiting":
                return Outcome.WAITING, f"{reason}; the rollback waits: {failure}"
            return Outcome.ROLLBACK_FAILED, f"{reason}; the rollback failed: {failure}"
        return Outcome.ROLLED_BACK, reason
