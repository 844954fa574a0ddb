"""The gate: every effect of a cell comes here first, and is journaled before it may happen.

Rules this module keeps:
- the intent is on disk before the kernel may act, the result before the cell goes on;
- an intent is written only after the kernel's mark was seen among its output, so that the journal has
  output and effects in the order in which they happened;
- once an effect was refused, every later one is: a cell that swallows the refusal gains nothing.
"""

import asyncio
import base64
import socket
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opsbook.core.engine.cell_context import AGAIN, MARKED, CellContext, asked, clash, other, played, what_became
from opsbook.core.engine.ledger import Ledger
from opsbook.core.engine.marks import Marks
from opsbook.core.engine.process.wire import Wire
from opsbook.core.engine.questions import Unanswered
from opsbook.core.engine.recheck import REMEMBERED
from opsbook.core.engine.runner_effects import ASKED, KINDS, RunnerEffects
from opsbook.core.model.effect import Answer, Decision, Effect, Mode, Status, decide
from opsbook.core.model.events import RefusedEffect
from opsbook.core.model.past import LOOK, KnownEffect, Meets, Past
from opsbook.core.model.person import Question
from opsbook.core.model.recording import Tape
from opsbook.core.model.redact import Redactor
from opsbook.core.model.role import Role
from opsbook.core.model.sink import Sink
from opsbook.core.model.text import slug
from opsbook.errors import NoRoom, OpsbookError

Frame = dict[str, Any]


class Gate:
    """Serves the socket of one kernel."""

    def __init__(
        self,
        *,
        sink: Sink,
        redactor: Redactor,
        desk: RunnerEffects,
        past: Past,
        context: Mapping[str, Any],
        mode: Mode,
        closed: Callable[[], str] = lambda: "",
        steps: Collection[str] = (),
        retry_unknown: bool = False,
        tape: Tape | None = None,
    ) -> None:
        self.mode = mode
        self.place: CellContext | None = None
        self.poison: str | None = None
        self.pause: str | None = None
        self.simulated = False
        self.stopping: str | None = None
        self.halted: str | None = None
        self.ledger = Ledger(sink, redactor, past)
        self._sink = sink
        self._redactor = redactor
        self._desk = desk
        self._past = past
        self._context = context
        self._closed = closed
        self._steps = steps
        self._retry_unknown = retry_unknown
        self._tape = tape
        self._marks = Marks()
        self._wire = Wire(self._take)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    # -- life

    async def listen(self, path: Path) -> None:
        """Accept the kernel on this socket. A second connection is turned away."""
        self._marks.clear()
        await self._wire.listen(path)

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a kernel that is connected already, until it goes away."""
        await self._wire.adopt(connection)

    @property
    def lost(self) -> bool:
        """Whether the kernel's connection is gone."""
        return self._wire.lost

    async def close(self) -> None:
        """Stop serving; effects still open are unknown from now on."""
        self._wire.refuse_more()
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._wire.hang_up()
        self.abandon("the kernel is gone")

    def clear(self) -> None:
        """What stopped the run was dealt with: what follows (a rollback) is wanted."""
        self.poison = self.stopping = self.halted = self.pause = None
        self._desk.clear()

    def stop(self, why: str) -> None:
        """Nothing begins any more, and nobody is asked."""
        self.stopping = self.stopping or why
        self._desk.withdraw()

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
        return self._desk.waited

    def mark(self, number: int) -> None:
        """The kernel's mark for a request was seen among its output."""
        self._marks.see(number)

    # -- frames

    def _take(self, frame: Frame) -> None:
        number = frame.get("id")
        handler = {
            "hello": self._hello,
            "done": self._done,
            "place": self._stand,
            "decide": self._decide,
            "sample": self._sample,
            "end": self._end,
            "withdraw": self._withdraw,
        }.get(str(frame.get("op")))
        if not isinstance(number, int) or (handler is None and frame.get("op") != "begin"):
            return
        with self._refusing(number):
            if handler is not None:
                handler(number, frame)
            else:
                self._spawn(number, frame)

    @contextmanager
    def _refusing(self, number: int) -> Iterator[None]:
        """Whoever asks gets an answer, whatever the request was."""
        try:
            yield
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            self._no(number, f"the request is malformed: {error}")
        except NoRoom as error:
            self._pause(number, f"{error.message} {error.hint}")
        except (OSError, OpsbookError) as error:
            self._no(number, f"the record cannot be written: {error}")

    def _spawn(self, number: int, frame: Frame) -> None:
        if number in self._tasks or number in self.ledger:
            self._no(number, f"request {number} is already there")
            return
        self._keep(number, self._begin(number, frame))

    def _keep(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        """Do the work beside everything else, as the one task under this number."""
        task = asyncio.create_task(work)
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    def _send(self, frame: Frame) -> None:
        self._wire.send(frame)

    def _no(self, number: int, why: str) -> None:
        """Refuse, and in a run refuse everything from now on."""
        if self.mode is not Mode.SESSION:
            self.poison = self.poison or why
        self._send({"id": number, "do": "refuse", "why": why})

    def _hello(self, number: int, _: Frame) -> None:
        self._send({"id": number, "do": "value", "value": dict(self._context)})

    def _done(self, number: int, frame: Frame) -> None:
        step = slug(str(frame["step"]))
        if step not in self._steps and self.mode is not Mode.SESSION:
            self._no(number, f"done({frame['step']!r}): no step has that name")
        else:
            self._send({"id": number, "do": "value", "value": self._past.begun(step)})

    def _stand(self, number: int, frame: Frame) -> None:
        """A notebook that knows its page says which cell runs; in a run the runner knows."""
        if self.mode is Mode.SESSION:
            self.place = CellContext(str(frame["step"]), str(frame["cell"]), Role(frame["role"]))
        self._send({"id": number, "do": "value", "value": None})

    # -- an effect

    async def _begin(self, number: int, frame: Frame) -> None:
        with self._refusing(number):
            await self._judge(number, frame)

    async def _judge(self, number: int, frame: Frame) -> None:
        place = self.place
        if place is None:
            self._refuse(number, str(frame["summary"]), "no cell is running; an effect belongs to a cell")
            return
        session = self.mode is Mode.SESSION
        if not session:
            await self._marks.wait(number)
        effect, keyed = asked(frame, place, self._redactor), frame.get("key") is not None
        why = self._stopped(place) or clash(effect, place, self.ledger.going_on(), keyed=keyed, once=not session)
        closed = self._closed() if effect.changes else ""
        decision = decide(effect, self.mode, place.role, closed=closed, simulated=self.simulated)
        if why or decision.answer is Answer.REFUSE:
            self._refuse(number, effect.summary, why or decision.why)
            return
        if self._tape is not None:
            self._play(self._tape, number, effect, place, keyed=keyed)
            return
        if place.look is not None and effect.kind in REMEMBERED:
            self._remember(number, effect, place)
            return
        met, known = place.before.meet(effect, keyed=keyed)
        if met is Meets.ABSENT:
            why = f"{effect.summary} is not done: its step was skipped"
            self._send({"id": number, "do": "fail", "why": why, "result": None})
        elif known is None or met is Meets.LIVE:
            await self._allow(number, effect, place, decision, keyed=keyed)
        elif met is Meets.UNKNOWN:
            await self._look_first(number, effect, known, place, decision, keyed=keyed)
        else:
            self._replay(number, effect, met, known)

    def _refuse(self, number: int, summary: str, why: str) -> None:
        self._sink.write(RefusedEffect(summary=self._redactor.text(summary), why=why), durable=True)
        self._no(number, why)

    def _pause(self, number: int, why: str) -> None:
        """The run stops here, and can be resumed."""
        self.pause = self.pause or (None if self.stopping else why)
        self._no(number, self.stopping or why)

    def _stopped(self, place: CellContext) -> str:
        """Why nothing of this cell may begin any more."""
        return self.stopping or self.halted or self.poison or ("" if place is self.place else "its cell is over")

    def _remember(self, number: int, effect: Effect, place: CellContext) -> None:
        """A look asks nobody again, and makes no new values."""
        known = place.before.effects.get(effect.key.removeprefix(LOOK))
        if known is None or known.status is not Status.SUCCEEDED:
            self._send({"id": number, "do": "fail", "why": f"{effect.summary} is not in the journal", "result": None})
        else:
            self._send({"id": number, "do": "value", "value": self._desk.shown(effect, known.result)})

    def _play(self, tape: Tape, number: int, effect: Effect, place: CellContext, *, keyed: bool) -> None:
        """Answer an effect from a recording, and journal it as if it had happened now."""
        take, why = tape.play(effect)
        if take is None:
            self._refuse(number, effect.summary, why)
            return
        self.ledger.begin(number, effect, place.step, place.cell, keyed=keyed, anew=False)
        reply = played(take, asks=tape.asks and effect.kind in ASKED)
        if reply["do"] != "run":
            self.ledger.end(number, take.status, take.result, take.why)
        if take.status is Status.INTERRUPTED:
            self._unknown(effect, take.why)
        if reply["do"] == "value":
            reply["value"] = self._desk.shown(effect, take.result)
        self._send({"id": number, **reply})

    def _replay(self, number: int, effect: Effect, met: Meets, known: KnownEffect) -> None:
        """Answer an effect from the journal."""
        if met is Meets.OTHER:
            self._refuse(number, effect.summary, other(known, effect))
            return
        self.ledger.recorded(known)
        if met is Meets.FAILURE:
            self._send({"id": number, "do": "fail", "why": known.why, "result": known.result})
        elif known.marked:
            self._unknown_value(number, f"{effect.summary}: {known.why or 'its result was not kept'}")
        else:
            self._send({"id": number, "do": "value", "value": self._desk.shown(effect, known.result)})

    def _unknown_value(self, number: int, why: str) -> None:
        """The cell gets something that stops it as soon as it is used."""
        self._send({"id": number, "do": "unknown", "why": why})

    async def _look_first(
        self, number: int, effect: Effect, known: KnownEffect, place: CellContext, decision: Decision, *, keyed: bool
    ) -> None:
        """Nobody knows what an effect did: somebody has to say what to do about it."""
        if self._retry_unknown and effect.idempotent:
            choice, by = AGAIN, "--retry-unknown"
        else:
            try:
                answer = await self._desk.put(number, what_became(known, effect))
            except Unanswered as error:
                self._pause(number, str(error))
                return
            choice, by = answer.value, answer.by
        if why := self._stopped(place):
            self._refuse(number, effect.summary, why)
        elif choice == AGAIN:
            place.before.anew = True
            await self._allow(number, effect, place, decision, keyed=keyed)
        elif choice == MARKED:
            self.ledger.mark_done(known, by)
            self._unknown_value(number, f"{effect.summary} was marked as done by {by}")
        else:
            self._pause(number, f"{effect.summary} is to be looked at first")

    async def _allow(self, number: int, effect: Effect, place: CellContext, decision: Decision, *, keyed: bool) -> None:
        anew = place.before.anew
        folder = self.ledger.begin(number, effect, place.step, place.cell, keyed=keyed, anew=anew)
        if decision.answer is Answer.SKIP:
            self._skip(number, effect)
        elif effect.kind in KINDS and not (self.mode is Mode.SESSION and effect.kind in ASKED):
            await self._by_runner(number, effect)
        else:
            # A rollback tries every host again: one that was left out may be half-way.
            without = [] if place.role is Role.UNDO else sorted(self._past.without)
            check = decision.answer is Answer.SIMULATE
            self._send({"id": number, "do": "run", "folder": folder, "without": without, "check": check})

    def _skip(self, number: int, effect: Effect) -> None:
        """A check does not do this, and cannot know what it would have given."""
        self.simulated = self.simulated or effect.changes
        self.ledger.end(number, Status.SIMULATED, {"changed": False, "skipped": True})
        self._unknown_value(number, f"{effect.summary} is not done in a check")

    async def _by_runner(self, number: int, effect: Effect) -> None:
        try:
            result = await self._desk.perform(number, effect)
        except Unanswered as error:
            if self.mode is Mode.CHECK:
                self._skip(number, effect)
                return
            self.ledger.end(number, Status.FAILED, None, str(error))
            self._pause(number, f"{error.question.name} needs an answer and nobody is there")
        except LookupError as error:
            self.ledger.end(number, Status.FAILED, None, str(error.args[0]))
            self._send({"id": number, "do": "fail", "why": str(error.args[0])})
        else:
            self.ledger.end(number, Status.SUCCEEDED, result)
            self._send({"id": number, "do": "value", "value": self._desk.shown(effect, result)})

    def _decide(self, number: int, frame: Frame) -> None:
        """A decision in the middle of an effect, which goes on with the answer, or without one."""
        if number not in self.ledger or self.place is None:
            self._no(number, f"nothing is open under {number}")
            return
        text, choices = self._redactor.text(str(frame["text"])), tuple(map(str, frame["choices"]))
        detail = self._redactor.text(str(frame["detail"]))
        self._keep(number, self._decided(number, Question(f"{self.place.step}-hosts", "decide", text, choices, detail)))

    async def _decided(self, number: int, question: Question) -> None:
        self._send({"id": number, "do": "value", "value": await self._desk.decide(number, question)})

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
        if frame.get("simulated") and status is Status.SUCCEEDED:
            status, self.simulated = Status.SIMULATED, True
        left_out = [str(host) for host in frame.get("left_out") or ()]
        effect = self.ledger.end(number, status, result, why, left_out=left_out)
        if self.place is not None and self.place.look is not None:
            self.place.look.saw(effect, status, result, why)
        if status is Status.INTERRUPTED:
            self._unknown(effect, why)
        if frame.get("refused"):
            self.poison = self.poison or why
        self._send({"id": number, "do": "ack"})

    def _unknown(self, effect: Effect, why: str) -> None:
        """Nobody knows what it did, so nothing may be built on it, whatever the cell makes of it."""
        if self.mode is not Mode.SESSION:
            self.poison = self.poison or f"the outcome of {effect.summary} is unknown: {why}"
