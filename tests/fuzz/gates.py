"""A real gate on a real socket with a real journal, and a kernel that sends whatever it likes."""

import asyncio
import contextlib
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.core.engine import transport
from opsbook.core.engine.cell_context import CellContext
from opsbook.core.engine.gate import Gate, Scope
from opsbook.core.engine.questions import Questions
from opsbook.core.engine.runner_effects import RunnerEffects
from opsbook.core.engine.secrets import Vault
from opsbook.core.model.effect import Mode
from opsbook.core.model.event import Data, Event
from opsbook.core.model.past import Past
from opsbook.core.model.person import Answer, Question
from opsbook.core.model.redact import Redactor
from opsbook.core.model.runbook import Role
from opsbook.core.record import journal
from tests.support.events import whole

PATIENCE = 120.0
"""Seconds after which a gate that has not answered hangs."""

SECRET = "s3cret-value"
FENCE = 10**6
"""Numbers from here on are hellos of the test itself: when one is answered, all that was sent before was looked at."""


@dataclass(frozen=True)
class Send:
    """A frame, as an object."""

    frame: Any


@dataclass(frozen=True)
class Mark:
    """The kernel's mark for a request was seen among its output."""

    number: int


@dataclass(frozen=True)
class Enter:
    """Another cell runs now; none, where the role is None."""

    role: Role | None


@dataclass(frozen=True)
class Wait:
    """Long enough for a request whose mark never comes."""


Action = Send | Mark | Enter | Wait


class Watched(journal.Journal):
    """The real journal. It remembers what was durable, and in which cell each intent was written."""

    def __init__(self, folder: Path, redactor: Redactor, *, again: bool) -> None:
        super().__init__(folder, redactor, again=again)
        self.durable: dict[int, bool] = {}
        self.place: dict[int, CellContext | None] = {}
        self.gate: Gate | None = None

    def put(self, kind: str, data: Data, *, durable: bool = False) -> Event:
        event = super().put(kind, data, durable=durable)
        self.durable[event.seq] = durable
        self.place[event.seq] = self.gate.place if self.gate else None
        return event


class Operator:
    """A person who gives one of the answers that are allowed, a little later; or one who is not there."""

    def __init__(self, present: bool) -> None:
        self.present = present
        self._asked = 0

    async def ask(self, question: Question) -> Answer:
        await asyncio.sleep(0)
        self._asked += 1
        return Answer(question.choices[self._asked % len(question.choices)] if question.choices else "yes", "ann@host")


@dataclass
class Outcome:
    """What came of it: the events, what the kernel was sent, and whatever nobody handled."""

    events: list[Event]
    book: Watched
    gate: Gate
    past: Past
    replies: list[Any] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False


async def play(folder: Path, actions: Iterable[Action], last: bytes, mode: Mode, present: bool) -> Outcome:
    """Do all of it on a new gate in this folder. `last` goes as it is, before the kernel hangs up.

    Where there is a journal already, the run goes on with it.
    """
    redactor = Redactor()
    vault = Vault(redactor)
    vault.add("token", SECRET)
    book, past = Watched(folder, redactor, again=(folder / journal.NAME).exists()), Past()
    for event in book.earlier:
        past.take(event)
    book.listeners.append(past.take)
    questions = Questions(book, Operator(present), {"ahead": "yes"}, "ann@host")
    scope = Scope(mode, {"environment": "dev"}, past, steps={"one"}, retry_unknown=not present)
    gate = Gate(scope, book, RunnerEffects(vault, questions))
    book.gate = gate
    outcome = Outcome([], book, gate, past)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: outcome.faults.append(context))
    began = "run-resumed" if book.earlier else "run-started"
    book.put(began, whole(began, run=folder.name, operator="ann@host", mode=mode))
    place = folder / f"gate-{len(book.earlier)}"
    await gate.transport.listen(place)
    kernel = await Kernel.connect(place, outcome)
    await kernel.act(actions)
    await kernel.wait()
    await kernel.hang_up(last)
    await gate.close()
    await asyncio.sleep(0)
    book.close()
    outcome.events = journal.read(folder / journal.NAME)
    return outcome


class Kernel:
    """The other end of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, outcome: Outcome) -> None:
        self._writer = writer
        self._outcome = outcome
        self._heard = asyncio.Event()
        self._hellos = FENCE
        self._cells = self._idle = 0
        self._reading = asyncio.create_task(self._read(reader))

    @classmethod
    async def connect(cls, path: Path, outcome: Outcome) -> "Kernel":
        made = cls(*await asyncio.open_unix_connection(str(path)), outcome)
        await made.settle()
        made._idle = len(asyncio.all_tasks())
        return made

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while (frame := await transport.receive(reader)) is not None:
            self._outcome.replies.append(frame)
            self._heard.set()
        self._outcome.ended = True
        self._heard.set()

    async def act(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Send(frame=frame):
                    self._send(frame)
                case Mark(number=number):
                    await self.settle()
                    self._outcome.gate.transport.mark(number)
                case Enter(role=role):
                    await self.settle()
                    self._enter(role)
                case Wait():
                    await self.wait()

    def _enter(self, role: Role | None) -> None:
        """As core/engine/cells.py does before a cell."""
        self._cells += 1
        cell = f"step-{self._cells}/1"
        before = self._outcome.past.before(cell)
        self._outcome.gate.place = None if role is None else CellContext(f"step-{self._cells}", cell, role, before)

    def _send(self, frame: Any) -> None:
        body = json.dumps(frame, ensure_ascii=False).encode("utf-8", errors="surrogatepass")
        self._writer.write(struct.pack(">I", len(body)) + body)

    async def settle(self) -> None:
        """Until the gate has looked at everything that was sent. Fails if it does not, unless it hung up."""
        self._hellos += 1
        self._send({"id": self._hellos, "op": "hello"})
        async with asyncio.timeout(PATIENCE):
            while not self._outcome.ended and self._hellos not in map(_number, reversed(self._outcome.replies)):
                self._heard.clear()
                await self._heard.wait()

    async def wait(self) -> None:
        """Until every request has been answered, also one whose mark never comes: the gate has no task for it left."""
        await self.settle()
        async with asyncio.timeout(PATIENCE):
            while len(asyncio.all_tasks()) > self._idle:
                await asyncio.sleep(transport.LIMIT)

    async def hang_up(self, last: bytes) -> None:
        """Send the last bytes, and wait until the gate has ended the connection from its side."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(last)
            self._writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            await self._reading
        self._writer.close()


def _number(frame: Any) -> Any:
    return frame.get("id") if isinstance(frame, dict) else None
