"""Run one cell, with its time limit and its output, and determine how it ended."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opsbook.core.engine.cancel import Cancel
from opsbook.core.engine.cell_context import CellContext
from opsbook.core.engine.gate import Gate
from opsbook.core.engine.output import Outputs
from opsbook.core.engine.process.kernel import Kernel, KernelDied
from opsbook.core.engine.recheck import Recheck
from opsbook.core.engine.run_context import RunContext
from opsbook.core.model.attempts import LOOK
from opsbook.core.model.effect import Mode
from opsbook.core.model.events import CellFinished, CellStarted
from opsbook.core.model.redact import Redactor
from opsbook.core.model.runbook import Cell, Role
from opsbook.core.model.sink import Sink
from opsbook.errors import OpsbookError

LONGEST_REASON = 4000
"""Characters of an error's text that are kept as the reason; the journaled output has the rest."""

GRACE = 5.0
"""Seconds that an interrupted cell has to end before the kernel is killed."""

_DYING = 1.0
"""Seconds after a lost connection in which a dead kernel counts as its cause."""


@dataclass(frozen=True)
class CellEnd:
    """How a cell ended, and one sentence if it did not succeed.

    succeeded, failed, timeout, died, cancelled, waiting; unpredictable if it used an unknown result.
    """

    status: str
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.status == "succeeded"


class Cells:
    """Runs cells on a kernel; the engine replaces a dead one.

    `exited`: a notebook of another tool ended itself with sys.exit(0), which is no failure there.
    """

    def __init__(self, context: RunContext, sink: Sink, gate: Gate, outputs: Outputs, cancel: Cancel) -> None:
        self.kernel: Kernel | None = None
        self.exited = False
        self._may_exit = context.options.mode is Mode.NOTEBOOK and context.planned.runbook.bare
        self._limit = context.options.limit
        self._past = context.past
        self._sink = sink
        self._gate = gate
        self._outputs = outputs
        self._cancel = cancel

    async def run(self, cell: Cell, code: str, step: str, role: Role, look: Recheck | None = None) -> CellEnd:
        """Run the cell's code and journal it. Never raises because of what the cell does.

        With `look`, the run is a recheck: it compares current results with those in the journal.
        """
        kernel = self.kernel
        assert kernel is not None
        name = LOOK + cell.id if look else cell.id
        replay = self._past.replays(cell.id) and look is None
        self._gate.place = CellContext(step, cell.id, role, self._past.before(cell.id), look)
        self._sink.write(CellStarted(cell=name, step=step, line=cell.line, replay=replay))
        self._outputs.begin(name)
        started = time.monotonic()
        reply, ended = await self._wait(kernel, code, cell)
        ended = await self._end_leftovers(kernel, ended)
        self._gate.place = None
        ended = self._verdict(ended)
        finished = CellFinished(
            cell=name,
            status=ended.status,
            seconds=round(time.monotonic() - started, 3),
            replay=replay,
            why=ended.why,
            count=reply.get("execution_count"),
            **self._outputs.end(),
        )
        self._sink.write(finished)
        return ended

    async def _end_leftovers(self, kernel: Kernel, ended: CellEnd) -> CellEnd:
        """End everything the cell left running: effects in threads, and processes of a dead kernel."""
        left = self._gate.ledger.going_on()
        if left and ended.status != "died":
            self._gate.stop.cell = f"the cell ended while {left[0].summary} was still running; wait for its thread"
            ended = CellEnd("failed", self._gate.stop.cell) if ended.ok else ended
            self._gate.cancel_effects()
            deadline = time.monotonic() + GRACE
            while self._gate.ledger.going_on() and time.monotonic() < deadline and not kernel.died.is_set():
                await asyncio.sleep(0.05)
            if self._gate.ledger.going_on():
                ended = CellEnd("died", ended.why)
        if self._gate.transport.lost and ended.status != "died":
            with contextlib.suppress(TimeoutError):
                # A dying kernel loses its connection first; its death is noticed a little later.
                await asyncio.wait_for(kernel.died.wait(), _DYING)
            how = "the kernel died" if kernel.died.is_set() else "the cell broke its connection to the gate"
            ended = CellEnd("died", ended.why or how)
        if ended.status == "died":
            await kernel.end()
            self._gate.abandon(ended.why)
        await kernel.drained()
        self._gate.stop.cell = ""
        return ended

    def _verdict(self, ended: CellEnd) -> CellEnd:
        """How the cell ended. A refusal, an unknown effect or an unanswered question overrides its own status."""
        stop = self._gate.stop
        if stop.waits:
            return CellEnd("waiting", stop.waits)
        died = ended.status == "died"
        if not ended.ok and self._cancel.level >= (2 if died else 1):
            return CellEnd("cancelled", f"cancelled by {self._cancel.by}")
        if stop.refused and ended.status in ("succeeded", "failed"):
            return CellEnd("failed", stop.refused)
        return ended

    async def _wait(self, kernel: Kernel, code: str, cell: Cell) -> tuple[dict[str, Any], CellEnd]:
        work = asyncio.create_task(kernel.execute(code, cell.line))
        why = await self._until_over(work, cell.timeout or self._limit)
        if why is not None:
            await self._stop(kernel, work, force=self._cancel.level >= 3)
        try:
            reply = await work
        except (KernelDied, OpsbookError, asyncio.CancelledError) as died:
            reason = str(died) or "the kernel was ended"
            return {}, CellEnd("died", f"{why.why}; {reason}" if why else reason)
        self.exited = why is None and self._may_exit and exits_well(reply)
        return reply, why or (CellEnd("succeeded") if self.exited else _judge(reply, self._outputs.redactor))

    async def _until_over(self, work: "asyncio.Task[dict[str, Any]]", limit: float) -> CellEnd | None:
        """Wait for the cell; None if it ended by itself. The time limit does not run while a person is asked.

        Nor does it run while this process is stopped or blocked on a write: the cell may have ended meanwhile.
        """
        started, waited, stalled = time.monotonic(), self._gate.waited, 0.0
        while not work.done():
            spent = time.monotonic() - started - (self._gate.waited - waited) - stalled
            if spent >= limit:
                return CellEnd("timeout", f"the cell took longer than its {limit:g} s")
            if self._cancel.level >= 2:
                return CellEnd("cancelled", f"cancelled by {self._cancel.by}")
            asked = self._gate.waited
            more = await self._wait_for_change(work, min(limit - spent, 1.0))
            stalled += max(0.0, more - (self._gate.waited - asked))
        return None

    async def _wait_for_change(self, work: "asyncio.Task[dict[str, Any]]", seconds: float) -> float:
        """Wait until the cell ends, the cancel level changes, or `seconds` pass; returns the seconds beyond those."""
        began = time.monotonic()
        changed = asyncio.create_task(self._cancel.changed.wait())
        await asyncio.wait({work, changed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        self._cancel.changed.clear()
        return max(0.0, time.monotonic() - began - seconds)

    async def _stop(self, kernel: Kernel, work: "asyncio.Task[dict[str, Any]]", *, force: bool) -> None:
        """Interrupt the cell; if it does not end, kill the kernel and all its processes."""
        self._gate.stop.cell = "the cell is being stopped"
        if not force:
            self._gate.cancel_effects()
            await kernel.interrupt()
            deadline = time.monotonic() + GRACE
            while not work.done() and time.monotonic() < deadline and self._cancel.level < 3:
                await self._wait_for_change(work, 0.2)
        if not work.done():
            await kernel.end()
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({work})


def exits_well(error: Mapping[str, Any]) -> bool:
    """Whether an error, as a reply or an output, is sys.exit(0): by the same texts as papermill."""
    return error.get("ename") == "SystemExit" and error.get("evalue") in ("", "0")


def _judge(reply: dict[str, Any], redactor: Redactor) -> CellEnd:
    if reply["status"] == "ok":
        return CellEnd("succeeded")
    if reply["status"] == "error":
        # Redact before cutting: part of a secret would not be recognized.
        name, text = str(reply.get("ename", "error")), redactor.text(str(reply.get("evalue", "")))[:LONGEST_REASON]
        if name == "Unpredictable":
            return CellEnd("unpredictable", text)
        # An EffectFailed has a full sentence; other exceptions need their name to make sense.
        return CellEnd("failed", text if name == "EffectFailed" else f"{name}: {text}".rstrip(": "))
    return CellEnd("failed", "the cell was aborted")
