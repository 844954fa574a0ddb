"""The gate: every effect of a cell passes here, and is journaled before it may happen.

Rules this module keeps:
- the intent is on disk before the kernel may act, the result before the cell continues;
- an intent is written only after the kernel's mark was seen in its output, so that the journal has
  output and effects in the order in which they happened;
- after one refused effect, every later one is refused: a cell gains nothing by catching the refusal.

`verdict.py` decides about an effect; this module carries it out.
"""

import base64
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opsbook.core.engine.cell_context import AGAIN, MARKED, CellContext, asked, clash, played, what_became
from opsbook.core.engine.ledger import Ledger
from opsbook.core.engine.questions import Unanswered
from opsbook.core.engine.runner_effects import ASKED, RunnerEffects
from opsbook.core.engine.transport import Frame, Transport
from opsbook.core.engine.verdict import Act, Case, Stop, Verdict, live, verdict
from opsbook.core.model.attempts import LOOK
from opsbook.core.model.effect import Effect, Mode, Status
from opsbook.core.model.events import EffectRecorded, RefusedEffect
from opsbook.core.model.past import Past
from opsbook.core.model.person import Question
from opsbook.core.model.recording import Tape
from opsbook.core.model.runbook import Role
from opsbook.core.model.sink import Sink
from opsbook.core.model.text import slug
from opsbook.errors import NoRoom, OpsbookError


@dataclass(frozen=True)
class Scope:
    """The basis of a gate's decisions. `here` is what cells see; `steps` are the ids of the page's steps.

    `admit` returns why an effect may not happen here, or an empty text; it is called before each effect, in a session
    with the page's parameters as they are then, as text by name. With a `tape`, a recording answers every effect.
    """

    mode: Mode
    here: Mapping[str, Any]
    past: Past = field(default_factory=Past)
    admit: Callable[[Effect, Mapping[str, Any]], str] = lambda effect, values: ""
    steps: Collection[str] = ()
    retry_unknown: bool = False
    tape: Tape | None = None


class Gate:
    """Serves one kernel after another."""

    def __init__(self, scope: Scope, sink: Sink, by_runner: RunnerEffects) -> None:
        self.place: CellContext | None = None
        self.simulated = False
        self.stop = Stop(lasts=scope.mode is not Mode.SESSION)
        self.ledger = Ledger(sink, by_runner.redactor, scope.past)
        self.transport = Transport(self._take)
        self._scope = scope
        self._sink = sink
        self._redactor = by_runner.redactor
        self._by_runner = by_runner

    # -- lifecycle

    async def close(self) -> None:
        """Stop serving; open effects become unknown."""
        await self.transport.close()
        self.abandon("the kernel is gone")

    def clear(self) -> None:
        """Forget why the run stopped: it was handled, and what follows (a rollback) is intended."""
        self.stop.clear()
        self._by_runner.withdrawn.clear()

    def cancel(self, why: str) -> None:
        """Allow no new effects, and withdraw open questions."""
        self.stop.cancel(why)
        self._by_runner.withdrawn.set()

    def abandon(self, why: str) -> None:
        """Mark every open effect as interrupted: the kernel will not report any more."""
        for effect in self.ledger.abandon(why):
            self._unknown(effect, why)

    def cancel_effects(self) -> None:
        """Ask the kernel to stop running effects."""
        self.transport.send(0, "cancel")

    @property
    def waited(self) -> float:
        """Seconds so far in which the kernel waited for a person."""
        return self._by_runner.waited

    # -- requests

    def _take(self, number: int, op: str, frame: Frame) -> None:
        with self._refusing(number):
            match op:
                case "hello":
                    self.transport.value(number, dict(self._scope.here))
                case "done":
                    self._done(number, str(frame["step"]))
                case "place":
                    self._set_place(number, frame)
                case "begin":
                    self._begin(number, frame)
                case "decide":
                    self._decide(number, frame)
                case "sample":
                    self.ledger.sample(number, frame["sample"], str(frame.get("show") or ""))
                case "printed":
                    self.ledger.printed(number, str(frame["name"]), str(frame["text"]))
                case "end":
                    self._end(number, frame)
                case "withdraw":
                    self._withdraw(number)

    @contextmanager
    def _refusing(self, number: int) -> Iterator[None]:
        """Answer every request: errors become refusals."""
        try:
            yield
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            self._send_refusal(number, f"the request is malformed: {error}")
        except NoRoom as error:
            self._wait(number, error.whole)
        except (OSError, OpsbookError) as error:
            self._send_refusal(number, f"the record cannot be written: {error}")

    def _send_refusal(self, number: int, why: str) -> None:
        """Refuse a request. In a run, every later effect is refused too."""
        self.stop.refuse(why)
        self.transport.send(number, "refuse", why=why)

    def _wait(self, number: int, why: str) -> None:
        """Refuse a request; the run stops here and can be resumed."""
        self._send_refusal(number, self.stop.wait(why))

    def _refuse(self, number: int, summary: str, why: str) -> None:
        self._sink.write(RefusedEffect(summary=self._redactor.text(summary), why=why), durable=True)
        self._send_refusal(number, why)

    def _done(self, number: int, title: str) -> None:
        step = slug(title)
        if step not in self._scope.steps and self._scope.mode is not Mode.SESSION:
            self._send_refusal(number, f"done({title!r}): no step has that name")
        else:
            self.transport.value(number, self._scope.past.begun(step))

    def _set_place(self, number: int, frame: Frame) -> None:
        """A notebook that knows its page says which cell runs; in a run, the runner sets it."""
        if self._scope.mode is Mode.SESSION:
            self.place = CellContext(str(frame["step"]), str(frame["cell"]), Role(frame["role"]))
        self.transport.value(number, None)

    def _begin(self, number: int, frame: Frame) -> None:
        if self.transport.working(number) or number in self.ledger:
            self._send_refusal(number, f"request {number} is already there")
        else:
            self.transport.work(number, self._asked(number, frame))

    async def _asked(self, number: int, frame: Frame) -> None:
        with self._refusing(number):
            place = self.place
            if place is None:
                self._refuse(number, str(frame["summary"]), "no cell is running; an effect belongs to a cell")
                return
            if self._scope.mode is not Mode.SESSION:
                await self.transport.marked(number)
            case = self._case(frame, place)
            await self._do(number, case, verdict(case))

    # -- an effect

    def _case(self, frame: Frame, place: CellContext) -> Case:
        """The requested effect, and everything that decides about it."""
        scope, keyed = self._scope, frame.get("key") is not None
        effect, once = asked(frame, place, self._redactor), scope.mode is not Mode.SESSION
        stopped = self._stopped(place) or clash(effect, place, self.ledger.going_on(), keyed=keyed, once=once)
        return Case(
            effect,
            place,
            scope.mode,
            keyed=keyed,
            stopped=stopped,
            closed=scope.admit(effect, dict(frame.get("values") or {})),
            simulated=self.simulated,
            plays=scope.tape is not None,
            retry_unknown=scope.retry_unknown,
        )

    def _stopped(self, place: CellContext) -> str:
        """Why no effect of this cell may begin; empty if one may."""
        return self.stop.why or ("" if place is self.place else "its cell is over")

    async def _do(self, number: int, case: Case, found: Verdict) -> None:
        """Carry out the verdict."""
        effect = case.effect
        if found.met is not None:
            case.place.before.pass_by(effect, found.met)
        match found.act:
            case Act.REFUSE:
                self._refuse(number, effect.summary, found.why)
            case Act.PLAY:
                self._play(number, case)
            case Act.REMEMBER:
                self._remember(number, case)
            case Act.LEAVE_OUT:
                self.transport.send(number, "fail", why=found.why, result=None)
            case Act.ASK:
                await self._look_first(number, case, found)
            case Act.AGAIN:
                await self._again(number, case)
            case Act.ANSWER | Act.FAIL | Act.WITHHOLD:
                self._recorded(number, effect, found)
            case _:
                await self._start(number, case, found.act)

    def _remember(self, number: int, case: Case) -> None:
        """In a recheck, answer questions and values from the journal."""
        effect = case.effect
        known = case.place.before.effects.get(effect.key.removeprefix(LOOK))
        if known is None or known.status is not Status.SUCCEEDED:
            self.transport.send(number, "fail", why=f"{effect.summary} is not in the journal", result=None)
        else:
            self.transport.value(number, self._by_runner.shown(effect, known.result))

    def _play(self, number: int, case: Case) -> None:
        """Answer an effect from a recording, and journal it as if it happened now."""
        tape, effect = self._scope.tape, case.effect
        assert tape is not None
        take, why = tape.play(effect)
        if take is None:
            self._refuse(number, effect.summary, why)
            return
        self._intent(number, case)
        reply = played(take, asks=tape.asks and effect.kind in ASKED)
        if reply["do"] != "run":
            self.ledger.end(number, take.status, take.result, take.why)
        if take.status is Status.INTERRUPTED:
            self._unknown(effect, take.why)
        if reply["do"] == "value":
            reply["value"] = self._by_runner.shown(effect, take.result)
        self.transport.send(number, **reply)

    def _recorded(self, number: int, effect: Effect, found: Verdict) -> None:
        """Answer an effect from the journal."""
        known = found.known
        assert known is not None
        self._sink.write(EffectRecorded(intent=known.intent, key=known.effect.key))
        if found.act is Act.FAIL:
            self.transport.send(number, "fail", why=known.why, result=known.result)
        elif found.act is Act.WITHHOLD:
            self._unknown_value(number, f"{effect.summary}: {known.why or 'its result was not kept'}")
        else:
            self.transport.value(number, self._by_runner.shown(effect, known.result))

    def _unknown_value(self, number: int, why: str) -> None:
        """Give the cell a placeholder that ends it on first use."""
        self.transport.send(number, "unknown", why=why)

    async def _look_first(self, number: int, case: Case, found: Verdict) -> None:
        """Ask what to do about an effect with an unknown outcome."""
        effect, known = case.effect, found.known
        assert known is not None
        try:
            answer = await self._by_runner.put(number, what_became(known, again=True))
        except Unanswered as error:
            self._wait(number, str(error))
            return
        if why := self._stopped(case.place):
            self._refuse(number, effect.summary, why)
        elif answer.value == AGAIN:
            await self._again(number, case)
        elif answer.value == MARKED:
            self.ledger.mark_done(known, answer.by)
            self._unknown_value(number, f"{effect.summary} was marked as done by {answer.by}")
        else:
            self._wait(number, f"{effect.summary} has to be looked at first")

    async def _again(self, number: int, case: Case) -> None:
        """Run an unknown effect again, and with it the later effects of its cell."""
        case.place.before.anew = True
        await self._start(number, case, live(case))

    def _intent(self, number: int, case: Case) -> str:
        """Write the intent; returns a name for private files of the effect."""
        place = case.place
        anew = place.before.anew and not case.plays
        return self.ledger.begin(number, case.effect, place.step, place.cell, keyed=case.keyed, anew=anew)

    async def _start(self, number: int, case: Case, act: Act) -> None:
        """Write the intent, and let the effect happen."""
        folder = self._intent(number, case)
        if act is Act.SKIP:
            self._skip(number, case.effect)
        elif act is Act.PERFORM:
            await self._perform(number, case.effect)
        else:
            # A rollback includes every host: one that was left out may have half the change.
            without = [] if case.place.role is Role.UNDO else sorted(self._scope.past.without)
            self.transport.send(number, "run", folder=folder, without=without, check=act is Act.SIMULATE)

    def _skip(self, number: int, effect: Effect) -> None:
        """Skip an effect in a check; its result is unknown."""
        self.simulated = self.simulated or effect.changes
        self.ledger.end(number, Status.SIMULATED, {"changed": False, "skipped": True})
        self._unknown_value(number, f"{effect.summary} is not done in a check")

    async def _perform(self, number: int, effect: Effect) -> None:
        try:
            result = await self._by_runner.perform(number, effect)
        except Unanswered as error:
            if self._scope.mode is Mode.CHECK:
                self._skip(number, effect)
                return
            self.ledger.end(number, Status.FAILED, None, str(error))
            self._wait(number, f"{error.question.name} needs an answer and nobody is there")
        except LookupError as error:
            self.ledger.end(number, Status.FAILED, None, str(error.args[0]))
            self.transport.send(number, "fail", why=str(error.args[0]))
        else:
            self.ledger.end(number, Status.SUCCEEDED, result)
            self.transport.value(number, self._by_runner.shown(effect, result))

    # -- what the kernel reports about a running effect

    def _decide(self, number: int, frame: Frame) -> None:
        """Ask the operator in the middle of an effect. The effect continues with the answer, or without one."""
        if number not in self.ledger or self.place is None:
            self._send_refusal(number, f"nothing is open under {number}")
            return
        text, choices = self._redactor.text(str(frame["text"])), tuple(map(str, frame["choices"]))
        detail = self._redactor.text(str(frame["detail"]))
        question = Question(f"{self.place.step}-hosts", "decide", text, choices, detail)
        self.transport.work(number, self._decided(number, question))

    async def _decided(self, number: int, question: Question) -> None:
        self.transport.value(number, await self._by_runner.decide(number, question))

    def _withdraw(self, number: int) -> None:
        """The cell was interrupted before the gate answered."""
        self.transport.drop(number)
        if number in self.ledger:
            self.ledger.end(number, Status.FAILED, {"changed": False}, "withdrawn before it began")

    def _end(self, number: int, frame: Frame) -> None:
        if number not in self.ledger:
            self._send_refusal(number, f"nothing is open under {number}")
            return
        self.transport.drop(number)
        status, result, why = Status(frame["status"]), frame.get("result"), str(frame.get("why") or "")
        if status is Status.INTERRUPTED:
            why = self.ledger.located(number, why)
        if frame.get("attachment") is not None:
            result = self.ledger.attach(number, result, base64.b64decode(frame["attachment"], validate=True))
        if frame.get("simulated"):
            status, result = self._simulated(status, result)
        left_out = [str(host) for host in frame.get("left_out") or ()]
        effect = self.ledger.end(number, status, result, why, left_out=left_out)
        if self.place is not None and self.place.look is not None:
            self.place.look.saw(effect, status, result, why)
        if frame["status"] == Status.INTERRUPTED:
            self._unknown(effect, why)
        if frame.get("refused"):
            self.stop.refuse(why)
        self.transport.send(number, "ack")

    def _simulated(self, status: Status, result: Any) -> tuple[Status, Any]:
        """How a simulated effect ended: whatever it did, it changed nothing."""
        self.simulated = self.simulated or status is Status.SUCCEEDED
        nothing = {**result, "changed": False} if isinstance(result, dict) else {"changed": False}
        return (Status.SIMULATED, result) if status is Status.SUCCEEDED else (Status.FAILED, nothing)

    def _unknown(self, effect: Effect, why: str) -> None:
        """Refuse every later effect: the outcome of this one is unknown."""
        self.stop.refuse(f"the outcome of {effect.summary} is unknown: {why}")
