"""The gate: every effect of a cell comes here first, and is journaled before it may happen.

Rules this module keeps:
- the intent is on disk before the kernel may act, the result before the cell goes on;
- an intent is written only after the kernel's mark was seen among its output, so that the journal has
  output and effects in the order in which they happened;
- once an effect was refused, every later one is: a cell that swallows the refusal gains nothing.
"""

import asyncio
import base64
import contextlib
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.errors import OpsbookError
from opsbook.model import person
from opsbook.model.effect import Answer, Effect, Mode, Status, decide
from opsbook.model.event import Sink
from opsbook.model.person import Question
from opsbook.model.redact import Redactor
from opsbook.model.runbook import Role
from opsbook.model.text import slug
from opsbook.run import frames
from opsbook.run.ledger import Ledger
from opsbook.run.questions import Questions, Unanswered
from opsbook.run.secrets import Vault

Frame = dict[str, Any]
Recorded = Mapping[str, tuple[str, Any]]
"""Succeeded effects of a journal by key: request digest and result."""

MARK_LIMIT = 10.0
"""Seconds to wait for a mark. A kernel that sends none loses its place in the output, not its effect."""


@dataclass
class Place:
    """The cell that runs now."""

    step: str
    cell: str
    role: Role
    counts: "Counter[str]" = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)


class Gate:
    """Serves the socket of one kernel."""

    def __init__(
        self,
        *,
        sink: Sink,
        redactor: Redactor,
        vault: Vault,
        questions: Questions,
        context: Mapping[str, Any],
        mode: Mode,
        sandbox: bool,
        finished: Callable[[str], bool | None],
    ) -> None:
        self.mode = mode
        self.place: Place | None = None
        self.recorded: Recorded = {}
        self.poison: str | None = None
        self.unanswered: Question | None = None
        self.stopping: str | None = None
        self.halted: str | None = None
        self.lost = False
        self.ledger = Ledger(sink, redactor)
        self._sink = sink
        self._redactor = redactor
        self._vault = vault
        self._questions = questions
        self._context = context
        self._sandbox = sandbox
        self._finished = finished
        self._marks: dict[int, asyncio.Event] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._waited = 0.0
        self._waiting: dict[int, float] = {}
        self.without: set[str] = set()

    # -- life

    async def listen(self, path: Path) -> None:
        """Accept the kernel on this socket. A second connection is turned away."""
        self._marks.clear()
        self.lost = False
        self._server = await asyncio.start_unix_server(self._serve, str(path))

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a kernel that is connected already, until it goes away."""
        await self._serve(*await asyncio.open_connection(sock=connection))

    async def close(self) -> None:
        """Stop serving; effects still open are unknown from now on."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self.abandon("the kernel is gone")

    def clear(self) -> None:
        """What stopped the run was dealt with: what follows (a rollback) is wanted."""
        self.poison = self.stopping = self.halted = None

    def abandon(self, why: str) -> None:
        """The kernel will not report any more: every open effect is interrupted."""
        for effect in self.ledger.abandon(why):
            self._unknown(effect, why)

    def cancel_effects(self) -> None:
        """Ask the kernel to stop the effects that are under way."""
        self._send({"id": 0, "do": "cancel"})

    @property
    def waited(self) -> float:
        """Seconds so far in which the kernel could not go on because a person was asked."""
        now = time.monotonic()
        return self._waited + (now - min(self._waiting.values()) if self._waiting else 0.0)

    def mark(self, number: int) -> None:
        """The kernel's mark for a request was seen among its output."""
        self._marks.setdefault(number, asyncio.Event()).set()

    # -- frames

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._writer = writer
        while (frame := await frames.receive(reader)) is not None:
            self._take(frame)
        self.lost = True
        writer.close()

    def _take(self, frame: Frame) -> None:
        number = frame.get("id")
        handler = {
            "hello": self._hello,
            "done": self._done,
            "decide": self._decide,
            "sample": self._sample,
            "end": self._end,
            "withdraw": self._withdraw,
        }.get(str(frame.get("op")))
        if not isinstance(number, int) or (handler is None and frame.get("op") != "begin"):
            return
        try:
            if handler is not None:
                handler(number, frame)
            else:
                self._spawn(number, frame)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            self._no(number, f"the request is malformed: {error}")
        except (OSError, OpsbookError) as error:
            self._no(number, f"the record cannot be written: {error}")

    def _spawn(self, number: int, frame: Frame) -> None:
        if number in self._tasks or number in self.ledger:
            self._no(number, f"request {number} is already there")
            return
        self._keep(number, self._guarded_begin(number, frame))

    def _keep(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        """Do the work beside everything else, as the one task under this number."""
        task = asyncio.create_task(work)
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    def _send(self, frame: Frame) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(frames.pack(frame))

    def _no(self, number: int, why: str) -> None:
        """Refuse, and in a run refuse everything from now on."""
        if self.mode is not Mode.SESSION:
            self.poison = self.poison or why
        self._send({"id": number, "do": "refuse", "why": why})

    def _hello(self, number: int, _: Frame) -> None:
        self._send({"id": number, "do": "value", "value": dict(self._context)})

    def _done(self, number: int, frame: Frame) -> None:
        state = self._finished(slug(str(frame["step"])))
        if state is None:
            self._no(number, f"done({frame['step']!r}): no step has that name")
        else:
            self._send({"id": number, "do": "value", "value": state})

    # -- an effect

    async def _guarded_begin(self, number: int, frame: Frame) -> None:
        try:
            await self._begin(number, frame)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            self._no(number, f"the request is malformed: {error}")
        except (OSError, OpsbookError) as error:
            self._no(number, f"the record cannot be written: {error}")

    async def _begin(self, number: int, frame: Frame) -> None:
        place = self.place
        if place is None:
            self._refuse(number, str(frame["summary"]), "no cell is running; an effect belongs to a cell")
            return
        if self.mode is not Mode.SESSION:
            await self._marked(number)
        effect = self._effect(frame, place)
        why = self._stopped() or self._clash(frame, effect, place)
        digest = self.recorded.get(effect.key, (None, None))[0]
        decision = decide(effect, self.mode, place.role, recorded=digest, sandbox=self._sandbox)
        if why or decision.answer is Answer.REFUSE:
            self._refuse(number, effect.summary, why or decision.why)
        elif decision.answer is Answer.RECORDED:
            value = self._recorded_value(effect)
            self._leave_out(value.get("left_out") if isinstance(value, dict) else None)
            self._send({"id": number, "do": "value", "value": value})
        else:
            await self._allow(number, effect, place, frame)

    def _recorded_value(self, effect: Effect) -> Any:
        """The recorded result; of a secret the journal has only the name."""
        value = self.recorded[effect.key][1]
        return self._vault.get(value["secret"]) if effect.kind == "secret" else value

    def _refuse(self, number: int, summary: str, why: str) -> None:
        self._sink.write("effect-refused", {"summary": self._redactor.text(summary), "why": why}, durable=True)
        self._no(number, why)

    def _stopped(self) -> str:
        """Why nothing may begin any more."""
        return self.stopping or self.halted or self.poison or ""

    async def _marked(self, number: int) -> None:
        event = self._marks.setdefault(number, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), MARK_LIMIT)
        self._marks.pop(number, None)

    def _effect(self, frame: Frame, place: Place) -> Effect:
        kind = str(frame["kind"])
        order = frame.get("key")
        if order is None:
            place.counts[kind] += 1
            order = place.counts[kind]
        return Effect(
            kind=kind,
            key=f"{place.cell}/{kind}/{order}",
            summary=self._redactor.text(str(frame["summary"])),
            changes=bool(frame["changes"]),
            idempotent=bool(frame.get("idempotent")),
            request=self._redactor.value(dict(frame["request"])),
        )

    def _clash(self, frame: Frame, effect: Effect, place: Place) -> str:
        """Every effect of a cell has a key of its own, or a replay could mix them up."""
        others = self.ledger.going_on()
        if frame.get("key") is None and any(other.kind == effect.kind for other in others):
            return f"effects that run at the same time need key=: {effect.summary}"
        if effect.key in place.keys and self.mode is not Mode.SESSION:
            return f"{effect.summary}: this cell used the key {effect.key} before; give each effect its own"
        place.keys.add(effect.key)
        return ""

    async def _allow(self, number: int, effect: Effect, place: Place, frame: Frame) -> None:
        folder = self.ledger.begin(number, effect, place.step)
        if effect.kind in ("secret", "note") or (effect.kind in ("ask", "confirm") and self.mode is not Mode.SESSION):
            await self._by_runner(number, effect, frame)
        else:
            # A rollback tries every host again: one that was left out may be half-way.
            without = [] if place.role is Role.UNDO else sorted(self.without)
            self._send({"id": number, "do": "run", "folder": folder, "without": without})

    async def _by_runner(self, number: int, effect: Effect, frame: Frame) -> None:
        """Effects the runner itself performs: questions, secrets, notes."""
        if effect.kind == "note":
            self._finish(number, {"text": effect.request["text"]})
        elif effect.kind == "secret":
            self._give_secret(number, str(effect.request["name"]))
        else:
            await self._ask(number, effect, frame)

    def _finish(self, number: int, result: Any, *, send: Any = None) -> None:
        self.ledger.end(number, Status.SUCCEEDED, result)
        self._send({"id": number, "do": "value", "value": result if send is None else send})

    def _give_secret(self, number: int, name: str) -> None:
        value = self._vault.get(name)
        if value is None:
            why = f"there is no secret {name}; name it under secrets: in environment.yml"
            self.ledger.end(number, Status.FAILED, None, why)
            self._send({"id": number, "do": "fail", "why": why})
        else:
            self._finish(number, {"secret": name}, send=value)

    async def _ask(self, number: int, effect: Effect, frame: Frame) -> None:
        request = effect.request
        choices = ("yes", "no") if effect.kind == "confirm" else tuple(map(str, request.get("choices") or ()))
        kind: Any = effect.kind
        question = Question(str(request["name"]), kind, str(request["question"]), choices)
        try:
            answer = await self._put(number, question)
        except Unanswered as error:
            self.unanswered = error.question
            self.ledger.end(number, Status.FAILED, None, str(error))
            self._no(number, str(error))
            return
        self._finish(number, {"value": answer.value, "by": answer.by, "note": answer.note})

    async def _put(self, number: int, question: Question) -> person.Answer:
        """Ask a person; the cell's clock stands meanwhile."""
        self._waiting[number] = started = time.monotonic()
        try:
            return await self._questions.put(question)
        finally:
            del self._waiting[number]
            self._waited += 0.0 if self._waiting else time.monotonic() - started

    def _decide(self, number: int, frame: Frame) -> None:
        """A decision in the middle of an effect, which goes on with the answer, or without one."""
        if number not in self.ledger or self.place is None:
            self._no(number, f"nothing is open under {number}")
            return
        text, choices = self._redactor.text(str(frame["text"])), tuple(map(str, frame["choices"]))
        detail = self._redactor.text(str(frame["detail"]))
        self._keep(number, self._decided(number, Question(f"{self.place.step}-hosts", "decide", text, choices, detail)))

    async def _decided(self, number: int, question: Question) -> None:
        value = None
        if self._questions.present:
            with contextlib.suppress(Unanswered):
                value = (await self._put(number, question)).value
        self._send({"id": number, "do": "value", "value": value})

    def _withdraw(self, number: int, _: Frame) -> None:
        """The cell was interrupted while it waited for the go-ahead."""
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()
        if number in self.ledger:
            self.ledger.end(number, Status.FAILED, {"changed": False}, "withdrawn before it began")

    # -- what the kernel reports

    def _sample(self, number: int, frame: Frame) -> None:
        self.ledger.sample(number, frame["sample"], str(frame.get("show") or ""))

    def _end(self, number: int, frame: Frame) -> None:
        if number not in self.ledger:
            self._no(number, f"nothing is open under {number}")
            return
        if number in self._tasks:
            self._tasks[number].cancel()
        status, result, why = Status(frame["status"]), frame.get("result"), str(frame.get("why") or "")
        if frame.get("attachment") is not None:
            result = self.ledger.attach(number, result, base64.b64decode(frame["attachment"], validate=True))
        effect = self.ledger.end(number, status, result, why)
        self._leave_out(frame.get("left_out"))
        if status is Status.INTERRUPTED:
            self._unknown(effect, why)
        self._send({"id": number, "do": "ack"})

    def _leave_out(self, hosts: Any) -> None:
        """Hosts that the operator left out of one playbook are out of those that follow."""
        if isinstance(hosts, list):
            self.without.update(map(str, hosts))

    def _unknown(self, effect: Effect, why: str) -> None:
        """Nobody knows what it did, so nothing may be built on it, whatever the cell makes of it."""
        if self.mode is not Mode.SESSION:
            self.poison = self.poison or f"the outcome of {effect.summary} is unknown: {why}"
