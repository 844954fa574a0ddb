"""The runner's side of the kernel: started by the keeper, driven over ipc sockets in a private folder.

The only module that uses jupyter_client.
"""

import asyncio
import codecs
import contextlib
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from opsbook.core.engine.process import MARK, spare, tree
from opsbook.core.model.effect import FIRST_LINE, IN_FLIGHT
from opsbook.core.model.planned import Place
from opsbook.errors import Fault, OpsbookError

Message = dict[str, Any]
Result = TypeVar("Result")

_START_LIMIT = 60.0
_DRAIN = 1.0


@dataclass(frozen=True)
class Launch:
    """What a kernel needs for its run. `hold` keeps the journal locked; `imports` are modules to import early.

    `warm`: Ansible is imported once for all playbooks, early if `imports` say that the page has some.
    `magics`: IPython's magics need no %. With a `cwd`, cells run there instead of in that of `place`, and may import
    modules from there.
    """

    place: Place
    keep_environment: tuple[str, ...] = ()
    hold: int | None = None
    imports: tuple[str, ...] = ()
    warm: bool = True
    cwd: Path | None = None
    magics: bool = False


class KernelDied(Exception):
    """The kernel's process ended, with this exit code: negative for a signal, None if unknown."""

    def __init__(self, code: int | None) -> None:
        how = f"was killed by signal {-code}" if code and code < 0 else f"ended with exit code {code}"
        super().__init__("the kernel is gone" if code is None else f"the kernel {how}")


class Kernel:
    """One kernel process and its keeper."""

    def __init__(self, started: spare.Spare) -> None:
        self.private = started.private
        self.gate_path = started.private / "gate"
        self.on_message: Callable[[Message], None] = lambda _: None
        self.on_raw: Callable[[str], None] = lambda _: None
        self.on_gap: Callable[[int], object] = lambda _: None
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
        """Send the kernel its order; returns when cells can run. Raises Fault if that fails or takes too long."""
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
            silent = "it" if self._welcome.is_set() else "its output channel"
            reason = str(error) or f"{silent} did not answer in {_START_LIMIT:.0f} seconds"
            await self.end()
            raise Fault(
                f"The kernel did not start: {reason}.", "Run opsbook with --verbose, or reinstall it."
            ) from error

    def _order_for(self, launch: Launch) -> dict[str, Any]:
        environment = spare.environment(self.private, launch.keep_environment)
        own = {
            MARK: self._spare.run,
            "OPSBOOK_GATE": str(self.gate_path),
            "OPSBOOK_ROOT": str(launch.place.content),
            **({} if launch.warm else {"OPSBOOK_COLD": "1"}),
        }
        return {
            "env": environment | own,
            "cwd": str(launch.cwd or launch.place.cwd),
            "path": [str(launch.cwd)] if launch.cwd else [],
            "imports": list(launch.imports),
            "magics": launch.magics,
        }

    def _connect(self, connection: dict[str, Any]) -> None:
        import zmq
        from jupyter_client.asynchronous import AsyncKernelClient

        self._client = AsyncKernelClient()
        self._client.load_connection_info(connection)
        self._client.context.setsockopt(zmq.RCVHWM, IN_FLIGHT)
        self._client.start_channels(hb=False, stdin=False, control=False)
        self._tasks += [asyncio.create_task(self._guarded(watch())) for watch in (self._watch_iopub, self._watch_shell)]

    async def _ready(self) -> None:
        """Wait until both channels answer.

        The request is sent only after the kernel's iopub welcome, so its answer cannot be missed and one request is
        enough. More than one would be a risk: jupyter_client sends outside the event loop, and a reply that arrives
        in that moment would not wake it.
        """
        await self._while_it_lives(self._welcome.wait())
        await self._answered(self._client.kernel_info())

    async def _answered(self, request: str) -> Message:
        """The reply to a request, once all its output has arrived. Raises KernelDied."""
        return await self._while_it_lives(self._both(request))

    async def _while_it_lives(self, waiting: Coroutine[Any, Any, Result]) -> Result:
        """Await a coroutine. Raises KernelDied if the kernel ends first."""
        work = asyncio.create_task(waiting)
        died = asyncio.create_task(self.died.wait())
        try:
            await asyncio.wait({work, died}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._read_remaining(work)
                raise self.fault or KernelDied(self.code)
            return await work
        finally:
            died.cancel()
            work.cancel()

    async def _both(self, request: str) -> Message:
        """Wait for reply and idle status: they arrive on two channels, in any order."""
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        idle = asyncio.Event()
        self._replies[request], self._idle[request] = reply, idle
        try:
            await idle.wait()
            return await reply
        finally:
            del self._replies[request], self._idle[request]

    async def execute(self, source: str, line: int = 1) -> Message:
        """Run code; returns the reply's content once all of its output has arrived. Raises KernelDied.

        `line`: of the page, on which the code begins.
        """
        rules = {"silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": False}
        asked = {"code": source, "user_expressions": {}, **rules}
        message = self._client.session.msg("execute_request", asked, metadata={FIRST_LINE: line})
        self._client.shell_channel.send(message)
        request = message["header"]["msg_id"]
        content: Message = (await self._answered(request))["content"]
        return content

    async def interrupt(self) -> None:
        """Send SIGINT to the kernel."""
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
        """Send a line to the keeper, which may be gone."""
        with contextlib.suppress(OSError):
            self._spare.control.sendall(line)

    async def _watch_keeper(self) -> None:
        async for line in await _lines(self._spare.keeper):
            message = json.loads(line)
            self.pid = message.get("kernel", self.pid)
            if "exited" in message:
                self.code = message["exited"]
        # If the keeper was killed, this process has adopted its orphans.
        if await asyncio.to_thread(self._spare.keeper.wait) != 0:
            await asyncio.to_thread(tree.end, os.getpid(), self._spare.run, self.pid)
        self.died.set()

    def _read_raw(self) -> bool:
        """Read what the kernel's process and its children write past IPython. Returns whether there was something."""
        try:
            data = os.read(self._raw, 65536) if self._raw is not None else b""
        except BlockingIOError:
            return False
        if text := self._decoder.decode(data, final=not data):
            self._handled(self.on_raw, text)
        if not data:
            self._close_raw()
        return bool(data)

    def _close_raw(self) -> None:
        if self._raw is not None:
            asyncio.get_running_loop().remove_reader(self._raw)
            os.close(self._raw)
            self._raw = None

    async def drained(self) -> None:
        """Read until the raw pipe is empty, for at most a second."""
        deadline = time.monotonic() + _DRAIN
        while self._read_raw() and time.monotonic() < deadline:
            await asyncio.sleep(0)

    async def _read_remaining(self, work: "asyncio.Task[Any]") -> None:
        """Read the remaining messages of a dead kernel, until none arrive.

        One quiet interval is not enough: this process may have been stopped during it.
        """
        count, quiet = self._count, 0
        while quiet < 2 and not work.done() and self.fault is None:
            await asyncio.sleep(0.1)
            count, quiet = self._count, quiet + 1 if self._count == count else 0

    def _handled(self, handler: Callable[[Any], None], argument: Any) -> None:
        """Call a handler. An error in it ends the run: output must not be lost silently."""
        try:
            handler(argument)
        except (OpsbookError, OSError, ValueError, TypeError, KeyError) as error:
            unrecorded = Fault(f"The kernel's output cannot be recorded: {error}.", "Look at the record and its disk.")
            self.fault = self.fault or (error if isinstance(error, OpsbookError) else unrecorded)
            self.died.set()

    async def _guarded(self, watching: Awaitable[None]) -> None:
        """Treat the kernel as dead if its watcher fails, so that nothing waits for it forever."""
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
        """Detect lost output: the kernel numbers its messages in an extra buffer."""
        if not message["buffers"]:
            return
        number = int.from_bytes(bytes(message["buffers"].pop()), "big")
        if self._count and number > self._count + 1:
            self.on_gap(number - self._count - 1)
        self._count = number


async def _lines(keeper: "subprocess.Popen[bytes]") -> asyncio.StreamReader:
    """A reader for the keeper's lines."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), keeper.stdout)
    return reader


async def _messages(channel: Any) -> AsyncIterator[Message]:
    while True:
        yield await channel.get_msg()
