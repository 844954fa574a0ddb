"""Run one cell: its time limit, its output, and every way in which it can end."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any

from opsbook.core.engine.cancel import Cancel
from opsbook.core.engine.cell_context import CellContext
from opsbook.core.engine.gate import Gate
from opsbook.core.engine.output import Outputs
from opsbook.core.engine.process.kernel import Kernel, KernelDied
from opsbook.core.engine.recheck import Recheck
from opsbook.core.model.attempts import LOOK
from opsbook.core.model.events import CellFinished, CellStarted
from opsbook.core.model.past import Past
from opsbook.core.model.redact import Redactor
from opsbook.core.model.role import Role
from opsbook.core.model.runbook import Cell
from opsbook.core.model.sink import Sink
from opsbook.errors import OpsbookError

DEFAULT_TIMEOUT = 600.0
"""Seconds a cell may take, unless its fence says timeout=…"""

LONGEST_REASON = 2000
"""Characters of an error's text that become a reason; the journal's output has the rest."""

GRACE = 5.0
"""Seconds an interrupted cell has to report before the kernel is ended."""

_DYING = 1.0
"""Seconds after a lost connection in which the death of the kernel explains it."""


@dataclass(frozen=True)
class CellEnd:
    """How a cell ended, and one sentence when it did not succeed.

    succeeded, failed, timeout, died, cancelled, waiting; unpredictable, where it used what nobody knows.
    """

    status: str
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.status == "succeeded"


class Cells:
    """Runs cells on one kernel after another; a dead one is replaced from outside."""

    def __init__(self, sink: Sink, gate: Gate, outputs: Outputs, cancel: Cancel, past: Past) -> None:
        self.kernel: Kernel | None = None
        self._past = past
        self._sink = sink
        self._gate = gate
        self._outputs = outputs
        self._cancel = cancel

    async def run(self, cell: Cell, code: str, step: str, role: Role, look: Recheck | None = None) -> CellEnd:
        """Run the cell's code and journal it. Never raises for what the cell does.

        With `look` it only shows what has become of what it once found.
        """
        kernel = self.kernel
        assert kernel is not None
        name = LOOK + cell.id if look else cell.id
        replay = self._past.replays(cell.id) and look is None
        self._gate.place = CellContext(step, cell.id, role, self._past.before(cell.id), look)
        self._sink.write(CellStarted(cell=name, step=step, line=cell.line, replay=replay))
        self._outputs.begin(name)
        started = time.monotonic()
        reply, ended = await self._wait(kernel, code, cell.timeout or DEFAULT_TIMEOUT)
        ended = await self._settle(kernel, ended)
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

    async def _settle(self, kernel: Kernel, ended: CellEnd) -> CellEnd:
        """Nothing of the cell goes on when this returns: no effect in a thread, and no process of a dead kernel."""
        left = self._gate.ledger.going_on()
        if left and ended.status != "died":
            self._gate.stop.cell = f"the cell ended while {left[0].summary} still went on; wait for its thread"
            ended = CellEnd("failed", self._gate.stop.cell) if ended.ok else ended
            self._gate.cancel_effects()
            deadline = time.monotonic() + GRACE
            while self._gate.ledger.going_on() and time.monotonic() < deadline and not kernel.died.is_set():
                await asyncio.sleep(0.05)
            if self._gate.ledger.going_on():
                ended = CellEnd("died", ended.why)
        if self._gate.transport.lost and ended.status != "died":
            with contextlib.suppress(TimeoutError):
                # A kernel that dies loses its connection first; its death is noticed a little later.
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
        """A refusal, an unknown effect or an unanswered question stands, whatever the cell made of it."""
        stop = self._gate.stop
        if stop.waits:
            return CellEnd("waiting", stop.waits)
        died = ended.status == "died"
        if not ended.ok and self._cancel.level >= (2 if died else 1):
            return CellEnd("cancelled", f"cancelled by {self._cancel.by}")
        if stop.refused and ended.status in ("succeeded", "failed"):
            return CellEnd("failed", stop.refused)
        return ended

    async def _wait(self, kernel: Kernel, code: str, limit: float) -> tuple[dict[str, Any], CellEnd]:
        work = asyncio.create_task(kernel.execute(code))
        why = await self._until_over(work, limit)
        if why is not None:
            await self._stop(kernel, work, force=self._cancel.level >= 3)
        try:
            reply = await work
        except (KernelDied, OpsbookError, asyncio.CancelledError) as died:
            reason = str(died) or "the kernel was ended"
            return {}, CellEnd("died", f"{why.why}; {reason}" if why else reason)
        return reply, why or _judge(reply, self._outputs.redactor)

    async def _until_over(self, work: "asyncio.Task[dict[str, Any]]", limit: float) -> CellEnd | None:
        """Wait for the cell; None if it ended by itself. The clock stands while a person is asked.

        So it does while this process is stopped or cannot write: the end of the cell may wait to be read.
        """
        started, waited, stalled = time.monotonic(), self._gate.waited, 0.0
        while not work.done():
            spent = time.monotonic() - started - (self._gate.waited - waited) - stalled
            if spent >= limit:
                return CellEnd("timeout", f"the cell took longer than its {limit:g} s")
            if self._cancel.level >= 2:
                return CellEnd("cancelled", f"cancelled by {self._cancel.by}")
            asked = self._gate.waited
            more = await self._either(work, min(limit - spent, 1.0))
            stalled += max(0.0, more - (self._gate.waited - asked))
        return None

    async def _either(self, work: "asyncio.Task[dict[str, Any]]", seconds: float) -> float:
        """Until the cell is over, the cancel level changes, or the seconds are over; returns how much more it took."""
        began = time.monotonic()
        changed = asyncio.create_task(self._cancel.changed.wait())
        await asyncio.wait({work, changed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        if self._cancel.changed.is_set():
            self._cancel.changed.clear()
        return max(0.0, time.monotonic() - began - seconds)

    async def _stop(self, kernel: Kernel, work: "asyncio.Task[dict[str, Any]]", *, force: bool) -> None:
        """Interrupt, and if that does not help, end the kernel with everything below it."""
        self._gate.stop.cell = "the cell is being stopped"
        if not force:
            self._gate.cancel_effects()
            await kernel.interrupt()
            deadline = time.monotonic() + GRACE
            while not work.done() and time.monotonic() < deadline and self._cancel.level < 3:
                await self._either(work, 0.2)
        if not work.done():
            await kernel.end()
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({work})


def _judge(reply: dict[str, Any], redactor: Redactor) -> CellEnd:
    if reply["status"] == "ok":
        return CellEnd("succeeded")
    if reply["status"] == "error":
        # Redacted whole, and then cut: half a secret is not known as one any more.
        name, text = str(reply.get("ename", "error")), redactor.text(str(reply.get("evalue", "")))[:LONGEST_REASON]
        if name == "Unpredictable":
            return CellEnd("unpredictable", text)
        # An effect's failure is a sentence of its own; any other exception needs its name to make sense.
        return CellEnd("failed", text if name == "EffectFailed" else f"{name}: {text}".rstrip(": "))
    return CellEnd("failed", "the cell was aborted")
