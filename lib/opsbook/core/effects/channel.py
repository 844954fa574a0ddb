"""The kernel's side of the gate: ask, wait, act, report, and continue when the result is durable.

One socket for all threads: writes hold a lock, and one reader passes each reply to the request with its id.
"""

import base64
import contextlib
import json
import os
import queue
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from opsbook.core.effects import watch
from opsbook.core.effects.call import EffectCall, Frame
from opsbook.core.effects.clean import clean, names
from opsbook.core.effects.unknown import Unknown
from opsbook.core.model.effect import MARK
from opsbook.errors import EffectFailed, EffectRefused, RunCancelled

_ALONE = frozenset({"ask", "confirm", "secret", "note", "attach"})
"""Kinds that cannot be part of another effect: the runner performs them, or the record stores them separately."""

_LENGTH = struct.Struct(">I")

T = TypeVar("T")
Work = Callable[[EffectCall], tuple[T, Any]]
"""Performs an effect: gives its result for the cell, and for the journal as JSON."""


@dataclass(frozen=True)
class EffectRequest:
    """What a cell asks the gate for: its kind, everything that decides what will happen, a line for people.

    `decode` turns a recorded result into what a cell gets. `pretend` is the cell's result in a check, instead of an
    unknown one. `ignore` names parts of its result that change by themselves, and are not compared. `gentle` work
    checks itself whether it is cancelled.
    """

    kind: str
    request: Frame
    summary: str
    changes: bool
    idempotent: bool = False
    key: str | None = None
    decode: Callable[[Any], Any] = lambda value: value
    gentle: bool = False
    pretend: Any = None
    ignore: Sequence[str] = ()

    def frame(self) -> Frame:
        """The request as a frame for the gate."""
        named = {name: getattr(self, name) for name in ("kind", "summary", "changes", "idempotent", "key")}
        return {"op": "begin", **named, "ignore": names(self.ignore), "request": clean(self.request)}


class Interrupted(Exception):
    """An effect was stopped before its end: its outcome is unknown. `result` is what is known of it, as JSON."""

    result: Any = None


class Channel:
    """The connection of this process to the gate."""

    def __init__(self, connection: socket.socket, values: Callable[[], Frame] = dict) -> None:
        """`values` gives the parameters of the page as they are, where a person may change them."""
        self._socket = connection
        self._values = values
        self._sending = threading.Lock()
        self._numbers = count(1)
        self._replies: dict[int, queue.SimpleQueue[Frame]] = {}
        self._local = threading.local()
        self._calls: dict[int, EffectCall] = {}
        threading.Thread(target=self._read, name="opsbook-gate", daemon=True).start()

    def send(self, frame: Frame) -> None:
        """Write one frame. Raises RunCancelled if the gate is gone."""
        body = json.dumps(frame, ensure_ascii=False, default=str).encode("utf-8", errors="replace")
        try:
            with self._sending, _signals_held():
                self._socket.sendall(_LENGTH.pack(len(body)) + body)
        except OSError as error:
            raise RunCancelled("the runner is gone") from error

    def query(self, op: str, **fields: Any) -> Any:
        """Send a request that is not an effect."""
        return self._value(self._ask({"op": op, **fields}))

    def perform(self, asked: EffectRequest, work: Work[Any]) -> Any:
        """Send an effect through the gate and return its result, live or recorded.

        `work` performs it and returns the result for the cell and its JSON. It raises EffectFailed on failure, and
        Interrupted if the outcome is unknown.
        """
        outer: tuple[EffectCall, bool] | None = getattr(self._local, "outer", None)
        if outer is not None:
            return self._nested(outer, asked, work)
        frame = asked.frame() | ({"values": values} if (values := self._values()) else {})
        call = EffectCall(self, next(self._numbers), asked.gentle)
        # Register before asking: a cancel may arrive together with the answer.
        self._calls[call.number] = call
        try:
            reply = self._ask(frame, call.number, mark=True)
            if reply["do"] == "unknown":
                return Unknown(reply["why"]) if asked.pretend is None else asked.pretend
            if reply["do"] != "run":
                return watch.replayed(asked.summary, reply.get("then"), lambda: self._answered(reply, asked.decode))
            call.then = reply.get("then")
            call.folder, call.without, call.check = reply["folder"], tuple(reply["without"]), reply["check"]
            call.watcher = watch.start(asked.summary)
            value = self._run(call, work)
            if not call.check:
                return value
            return Unknown(f"{asked.summary} was only simulated") if asked.pretend is None else asked.pretend
        finally:
            del self._calls[call.number]

    def _answered(self, reply: Frame, decode: Callable[[Any], Any]) -> Any:
        """A recorded result or failure."""
        if reply["do"] == "fail":
            result = None
            with contextlib.suppress(KeyError, TypeError, ValueError):
                result = decode(reply.get("result"))
            raise EffectFailed(reply["why"], result)
        return decode(self._value(reply))

    def decide(self, call: EffectCall, question: Frame) -> str | None:
        """Ask the operator in the middle of an effect; None if nobody is there, or on a cancel.

        The gate drops the question if the effect ends first.
        """
        replies: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._replies[call.number] = replies
        try:
            self.send({"op": "decide", "id": call.number, **question})
            while not call.cancelled.is_set():
                with contextlib.suppress(queue.Empty):
                    answer: str | None = self._value(replies.get(timeout=0.1))
                    return answer
            return None
        finally:
            self._replies.pop(call.number, None)

    def _nested(self, outer: tuple[EffectCall, bool], asked: EffectRequest, work: Work[Any]) -> Any:
        """Perform an effect inside another one. It may change something only if the outer one is declared to."""
        call, may_change = outer
        summary, changes = asked.summary, asked.changes
        if asked.kind in _ALONE:
            raise EffectRefused(f"{summary} cannot be part of another effect; call it before, and pass what it gives.")
        if changes and not may_change:
            raise EffectRefused(f"{summary} changes something, and the effect it is part of may only read.")
        before, call.gentle = call.gentle, asked.gentle
        try:
            value, _ = work(call)
        except EffectFailed as failed:
            call.touched = call.touched or (changes and not failed.untouched)
            raise
        except (Interrupted, KeyboardInterrupt) as stopped:
            # The outcome is unknown, even if the outer effect handles the error.
            call.unknown = str(stopped) or f"{summary} was interrupted"
            raise
        finally:
            call.gentle = before
        call.touched = call.touched or changes
        return value

    @contextlib.contextmanager
    def inside(self, call: EffectCall, *, changes: bool = False) -> Iterator[None]:
        """Effects called in the block are part of the running effect `call`."""
        before = getattr(self._local, "outer", None)
        self._local.outer = (call, changes)
        try:
            yield
        finally:
            self._local.outer = before

    def _run(self, call: EffectCall, work: Work[Any]) -> Any:
        error: BaseException | None = None
        value = None
        pump = threading.Thread(target=call.pump, daemon=True)
        pump.start()
        interrupt = _Interrupt(call)
        # Until the result is acknowledged, SIGINT ends the work but never loses the report.
        with _on_interrupt(interrupt):
            try:
                with interrupt.allowed():
                    value, data = work(call)
                end: Frame = {"status": "succeeded", "result": data}
            except EffectFailed as failed:
                result = None if call.touched else _failed(failed)
                end, error = {"status": "failed", "result": result, "why": str(failed)}, failed
            except (Interrupted, KeyboardInterrupt) as stopped:
                why = str(stopped) or "it was interrupted"
                known = {"result": getattr(stopped, "result", None)}
                end, error = {"status": "interrupted", "why": why, **known}, RunCancelled(why)
            except EffectRefused as refused:
                result = None if call.touched else {"changed": False}
                nothing = {"result": result, "why": str(refused), "refused": True}
                end, error = {"status": "failed", **nothing}, refused
            except Exception as failed:
                end, error = {"status": "failed", "why": f"{type(failed).__name__}: {failed}"}, failed
            if call.unknown and end["status"] != "interrupted":
                end, error = {"status": "interrupted", "why": call.unknown}, RunCancelled(call.unknown)
            call.close()
            pump.join()
            if call.attachment is not None:
                end["attachment"] = base64.b64encode(call.attachment).decode()
            told = {"left_out": list(call.without), "simulated": call.check}
            self._value(self._ask({"op": "end", **end, **told}, call.number))
            call.watcher.end(str(end["status"]), error or value)
        if error is not None:
            raise error
        if interrupt.seen:
            raise RunCancelled("interrupted")
        return value

    def _ask(self, frame: Frame, number: int | None = None, *, mark: bool = False) -> Frame:
        number = next(self._numbers) if number is None else number
        replies: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._replies[number] = replies
        try:
            if mark:
                _publish_mark(number)
            self.send({**frame, "id": number})
            return replies.get()
        except KeyboardInterrupt:
            self.send({"op": "withdraw", "id": number})
            raise
        finally:
            self._replies.pop(number, None)

    def _value(self, reply: Frame) -> Any:
        match reply["do"]:
            case "value":
                return reply["value"]
            case "refuse":
                raise EffectRefused(reply["why"])
            case "gone":
                raise RunCancelled("the runner is gone")

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._socket.makefile("rb") as source:
            while head := source.read(_LENGTH.size):
                (length,) = _LENGTH.unpack(head)
                self._deliver(json.loads(source.read(length)))
        for replies in list(self._replies.values()):
            replies.put({"do": "gone"})

    def _deliver(self, frame: Frame) -> None:
        if frame["do"] == "cancel":
            for call in list(self._calls.values()):
                call.cancelled.set()
            return
        replies = self._replies.get(frame["id"])
        if replies is not None:
            replies.put(frame)


def _publish_mark(number: int) -> None:
    """Publish the mark of a request on iopub, after all output so far."""
    from IPython.core.getipython import get_ipython

    if get_ipython() is not None and "OPSBOOK_GATE" in os.environ:
        from IPython.display import publish_display_data

        publish_display_data({MARK: {"id": number}})


class _Interrupt:
    """Handles SIGINT during an effect: notes it, and raises only while the work itself runs."""

    def __init__(self, call: EffectCall) -> None:
        self.seen = False
        self._call = call
        self._working = False

    def __call__(self, *_: Any) -> None:
        self.seen = True
        self._call.cancelled.set()
        if self._working and not self._call.gentle:
            self._working = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        self._working = True
        try:
            yield
        finally:
            self._working = False


@contextlib.contextmanager
def _on_interrupt(handler: Callable[..., None]) -> Iterator[None]:
    """Handle SIGINT in this way; only the main thread gets it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Defer SIGINT: half a frame would break the connection for all threads."""
    held: list[int] = []
    try:
        with _on_interrupt(lambda number, _: held.append(number)):
            yield
    finally:
        if held:
            signal.raise_signal(signal.SIGINT)


def _failed(error: EffectFailed) -> Any:
    """The result of a failure for the journal."""
    if error.untouched:
        return {"changed": False}
    return error.result.to_json() if hasattr(error.result, "to_json") else None


_channel: Channel | None = None
_opening = threading.Lock()
_process = os.getpid()
"""Whose the channel is: two processes that write to one socket would break it for both."""


def channel() -> Channel:
    """The channel of this process to the gate of its run or session, opened on first use."""
    global _channel  # noqa: PLW0603  (one connection per process; the gate closes a second)
    if os.getpid() != _process:
        raise EffectRefused("an effect cannot be used in a forked process; use threads, each effect with its key=")
    with _opening:
        if _channel is None:
            path = os.environ.get("OPSBOOK_GATE")
            if path:
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.connect(path)
                _channel = Channel(connection)
            else:
                from opsbook.core.effects import session

                _channel = Channel(session.connect(), session.values)
        return _channel


def perform(kind: str, request: Frame, summary: str, work: Work[T], *, changes: bool, **rules: Any) -> T:
    """Send an effect through the gate, and return its result, live or recorded: see `Channel.perform`.

    `rules` are the other fields of an `EffectRequest`.
    """
    found: T = channel().perform(EffectRequest(kind, request, summary, changes, **rules), work)
    return found
