"""The kernel as the runner sees it: started through the keeper, driven over ipc sockets in a private folder.

jupyter_client is used here and nowhere else.
"""

import array
import asyncio
import codecs
import contextlib
import fcntl
import json
import os
import subprocess
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from opsbook.core.engine.process import MARK, spare, tree
from opsbook.core.model.effect import IN_FLIGHT
from opsbook.errors import Fault, OpsbookError

Message = dict[str, Any]
Result = TypeVar("Result")

_START_LIMIT = 60.0
_DRAIN = 1.0


@dataclass(frozen=True)
class Launch:
    """What a kernel is for. `hold` keeps the run's journal locked; `imports` are modules that it will need."""

    root: Path
    keep_environment: tuple[str, ...] = ()
    hold: int | None = None
    imports: tuple[str, ...] = ()


class KernelDied(Exception):
    """The kernel's process ended. `code` is its exit code, negative for a signal, None if unknown."""

    def __init__(self, code: int | None) -> None:
        super().__init__(self.describe(code))
        self.code = code

    @staticmethod
    def describe(code: int | None) -> str:
        if code is None:
            return "the kernel is gone"
        return f"the kernel was killed by signal {-code}" if code < 0 else f"the kernel ended with exit code {code}"


class Kernel:
    """One kernel process and its keeper."""

    def __init__(self, started: spare.Spare) -> None:
        self.private = started.private
        self.gate_path = started.private / "gate"
        self.on_message: Callable[[Message], None] = lambda _: None
        self.on_raw: Callable[[str], None] = lambda _: None
        self.on_gap: Callable[[int], None] = lambda _: None
        self.code: int | None = None
        self.pid: int | None = None
        self.died = asyncio.Event()
        self._welcome = asyncio.Event()
        self._spare = started
        self._client: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._idle: dict[str, asyncio.Event] = {}
        self._count = 0
        self._raw: int | None = started.raw
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.fault: OpsbookError | None = None

    async def start(self, launch: Launch) -> None:
        """Give the kernel its order; returns when cells can run. Raises Fault if that takes too long."""
        loop = asyncio.get_running_loop()
        assert self._raw is not None
        os.set_blocking(self._raw, False)
        loop.add_reader(self._raw, self._read_raw)
        self._tasks = [asyncio.create_task(self._watch_keeper())]
        try:
            self._spare.order(self._order_for(launch), launch.hold)
            self._connect(self._spare.connection)
            await asyncio.wait_for(self._ready(), _START_LIMIT)
        except (TimeoutError, OSError, KernelDied) as error:
            await self.end()
            raise Fault(
                f"The kernel did not start: {error}.", "Run opsbook with --verbose, or reinstall it."
            ) from error

    def _order_for(self, launch: Launch) -> dict[str, Any]:
        environment = spare.environment(self.private, launch.keep_environment)
        own = {
            MARK: self._spare.run,
            "OPSBOOK_GATE": str(self.gate_path),
            "OPSBOOK_ROOT": str(launch.root),
        }
        return {"env": environment | own, "cwd": str(launch.root), "imports": list(launch.imports)}

    def _connect(self, connection: dict[str, Any]) -> None:
        import zmq
        from jupyter_client.asynchronous import AsyncKernelClient

        self._client = AsyncKernelClient()
        self._client.load_connection_info(connection)
        self._client.context.setsockopt(zmq.RCVHWM, IN_FLIGHT)
        self._client.start_channels(hb=False, stdin=False, control=False)
        self._tasks += [asyncio.create_task(self._guarded(watch())) for watch in (self._watch_iopub, self._watch_shell)]

    async def _ready(self) -> None:
        """Both channels answer.

        Nothing is asked before the kernel has said that output is subscribed to, so the answer cannot be missed
        and one question is enough. More than one would be a risk: jupyter_client sends past the event loop, and
        a reply that arrives in that moment would wake nobody.
        """
        await self._while_it_lives(self._welcome.wait())
        await self._answered(self._client.kernel_info())

    async def _answered(self, request: str) -> Message:
        """The reply to a request, once all output of it has arrived. Raises KernelDied."""
        return await self._while_it_lives(self._both(request))

    async def _while_it_lives(self, waiting: Coroutine[Any, Any, Result]) -> Result:
        """What is waited for. Raises KernelDied if the kernel ends before."""
        work = asyncio.create_task(waiting)
        died = asyncio.create_task(self.died.wait())
        try:
            await asyncio.wait({work, died}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._last_words(work)
                raise self.fault or KernelDied(self.code)
            return await work
        finally:
            died.cancel()
            work.cancel()

    async def _both(self, request: str) -> Message:
        """Reply and idle come on two channels, in no order."""
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        idle = asyncio.Event()
        self._replies[request], self._idle[request] = reply, idle
        try:
            await idle.wait()
            return await reply
        finally:
            del self._replies[request], self._idle[request]

    async def execute(self, source: str) -> Message:
        """Run code; returns the reply's content once all of its output has arrived. Raises KernelDied."""
        request = self._client.execute(source, allow_stdin=False, stop_on_error=False)
        content: Message = (await self._answered(request))["content"]
        return content

    async def interrupt(self) -> None:
        """SIGINT to the kernel."""
        self._tell(b"interrupt\n")

    async def end(self) -> None:
        """End the kernel and everything it started, and wait until that is done."""
        self._tell(b"end\n")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._tasks[0]), tree.DEADLINE + 5)
        self.died.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._close_raw()
        if self._client is not None:
            self._client.stop_channels()
            self._client.context.destroy(linger=0)
        self._spare.control.close()
        spare.remove(self.private)

    def _tell(self, line: bytes) -> None:
        """One line to the keeper, who may be gone."""
        with contextlib.suppress(OSError):
            self._spare.control.sendall(line)

    async def _watch_keeper(self) -> None:
        async for line in await _lines(self._spare.keeper):
            message = json.loads(line)
            self.pid = message.get("kernel", self.pid)
            if "exited" in message:
                self.code = message["exited"]
        # The keeper ended orderly, or was killed: in that case its orphans came to this process.
        if await asyncio.to_thread(self._spare.keeper.wait) != 0:
            await asyncio.to_thread(tree.end, os.getpid(), self._spare.run, self.pid)
        self.died.set()

    def _read_raw(self) -> None:
        """What the kernel's process and its children write past IPython."""
        assert self._raw is not None
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._raw, 65536)
            text = self._decoder.decode(data, final=not data)
            if text:
                self._handled(self.on_raw, text)
            if not data:
                self._close_raw()

    def _close_raw(self) -> None:
        if self._raw is not None:
            asyncio.get_running_loop().remove_reader(self._raw)
            os.close(self._raw)
            self._raw = None

    async def drained(self) -> None:
        """What was written to the raw pipe until now has been read."""
        deadline = time.monotonic() + _DRAIN
        while self._raw is not None and _waiting(self._raw) and time.monotonic() < deadline:
            await asyncio.sleep(0.005)

    async def _last_words(self, work: "asyncio.Task[Any]") -> None:
        """A kernel that died may have said something before: read it until nothing more comes.

        One quiet look is not enough: this process may have been stopped while it slept.
        """
        count, quiet = self._count, 0
        while quiet < 2 and not work.done() and self.fault is None:
            await asyncio.sleep(0.1)
            count, quiet = self._count, quiet + 1 if self._count == count else 0

    def _handled(self, handler: Callable[[Any], None], argument: Any) -> None:
        """Call a handler. What it raises ends the run: output that cannot be recorded must not be lost quietly."""
        try:
            handler(argument)
        except (OpsbookError, OSError, ValueError, TypeError, KeyError) as error:
            unrecorded = Fault(f"The kernel's output cannot be recorded: {error}.", "Look at the record and its disk.")
            self.fault = self.fault or (error if isinstance(error, OpsbookError) else unrecorded)
            self.died.set()

    async def _guarded(self, watching: Awaitable[None]) -> None:
        """A watcher that fails takes the kernel with it, so that nobody waits for it for ever."""
        try:
            await watching
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            self.fault = self.fault or Fault(f"The kernel sent something unreadable: {error}.")
            self.died.set()

    async def _watch_shell(self) -> None:
        async for message in _messages(self._client.shell_channel):
            future = self._replies.get(message["parent_header"].get("msg_id", ""))
            if future is not None and not future.done():
                future.set_result(message)

    async def _watch_iopub(self) -> None:
        async for message in _messages(self._client.iopub_channel):
            self._check_count(message)
            self._handled(self.on_message, message)
            if message["msg_type"] == "iopub_welcome":
                self._welcome.set()
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                event = self._idle.get(message["parent_header"].get("msg_id", ""))
                if event is not None:
                    event.set()

    def _check_count(self, message: Message) -> None:
        """The kernel numbers its messages in a last buffer; a jump is output that was lost."""
        if not message["buffers"]:
            return
        number = int.from_bytes(bytes(message["buffers"].pop()), "big")
        if self._count and number > self._count + 1:
            self.on_gap(number - self._count - 1)
        self._count = number


async def _lines(keeper: "subprocess.Popen[bytes]") -> asyncio.StreamReader:
    """What the keeper says, line by line."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), keeper.stdout)
    return reader


def _waiting(descriptor: int) -> int:
    """Bytes that wait to be read."""
    size = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, size)
    return size[0]


async def _messages(channel: Any) -> AsyncIterator[Message]:
    while True:
        yield await channel.get_msg()
