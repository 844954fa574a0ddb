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
import shutil
import sys
import tempfile
import termios
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsbook.errors import Fault, OpsbookError
from opsbook.model.effect import IN_FLIGHT
from opsbook.run import tree

Message = dict[str, Any]

_START_LIMIT = 60.0
_DRAIN = 1.0
_PASSED = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR", "XDG_RUNTIME_DIR")
_PASSED_ALSO = ("SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Launch:
    """What a kernel is started with. `hold` is the descriptor that keeps the run's journal locked."""

    run: str
    root: Path
    keep_environment: tuple[str, ...] = ()
    hold: int | None = None


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


def private_folder() -> Path:
    """A new folder only this user can read, short enough for socket paths, in memory where that is possible."""
    places = [os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm", tempfile.gettempdir()]  # noqa: S108  (mkdtemp makes it 0700)
    for place in places:
        if place and os.access(place, os.W_OK | os.X_OK) and len(place) < 60:
            return Path(tempfile.mkdtemp(prefix="opsbook-", dir=place))
    raise Fault("There is no folder for the run's sockets.", "Set TMPDIR to a folder with a short path.")


class Kernel:
    """One kernel process and its keeper."""

    def __init__(self, private: Path) -> None:
        self.private = private
        self.gate_path = private / "gate"
        self.on_message: Callable[[Message], None] = lambda _: None
        self.on_raw: Callable[[str], None] = lambda _: None
        self.on_gap: Callable[[int], None] = lambda _: None
        self.code: int | None = None
        self.pid: int | None = None
        self.died = asyncio.Event()
        self._keeper: asyncio.subprocess.Process | None = None
        self._client: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._idle: dict[str, asyncio.Event] = {}
        self._count = 0
        self._run = ""
        self._raw: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.fault: OpsbookError | None = None

    async def start(self, launch: Launch) -> None:
        """Start keeper and kernel; returns when cells can run. Raises Fault if that takes too long."""
        self._run = launch.run
        (self.private / "ipython").mkdir(mode=0o700)
        connection = self._connection()
        await self._spawn(launch, connection)
        self._connect(connection)
        try:
            await asyncio.wait_for(self._ready(), _START_LIMIT)
        except (TimeoutError, KernelDied) as error:
            await self.end()
            raise Fault(
                f"The kernel did not start: {error}.", "Run opsbook with --verbose, or reinstall it."
            ) from error

    def _connection(self) -> dict[str, Any]:
        ports = {f"{name}_port": n for n, name in enumerate(("shell", "iopub", "stdin", "control", "hb"), 1)}
        content = {
            "transport": "ipc",
            "ip": str(self.private / "k"),
            "key": uuid.uuid4().hex,
            "signature_scheme": "hmac-sha256",
            **ports,
        }
        path = self.private / "connection.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content), encoding="utf-8")
        return content

    async def _spawn(self, launch: Launch, connection: dict[str, Any]) -> None:
        reading, writing = os.pipe()
        keep = [launch.hold] if launch.hold is not None else []
        environment = self._environment(launch)
        self._keeper = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "opsbook.run.keeper",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=writing,
            pass_fds=[writing, *keep],
            start_new_session=True,
            env=environment,
        )
        order = {
            "argv": [sys.executable, "-P", "-m", "opsbook.effects.boot", str(self.private / "connection.json")],
            "env": {**environment, tree.MARK: launch.run},
            "cwd": str(launch.root),
            "run": launch.run,
            "output": writing,
            "keep": keep,
            "private": str(self.private),
        }
        assert self._keeper.stdin is not None
        self._keeper.stdin.write((json.dumps(order) + "\n").encode())
        await self._keeper.stdin.drain()
        os.close(writing)
        self._raw = reading
        os.set_blocking(reading, False)
        asyncio.get_running_loop().add_reader(reading, self._read_raw)
        self._tasks = [asyncio.create_task(self._watch_keeper())]

    def _environment(self, launch: Launch) -> dict[str, str]:
        names = (*_PASSED, *_PASSED_ALSO, *launch.keep_environment)
        passed = {name: os.environ[name] for name in names if name in os.environ}
        passed |= {
            name: value for name, value in os.environ.items() if name.startswith(("LC_", "ANSIBLE_", "COVERAGE_"))
        }
        return passed | {
            "OPSBOOK_GATE": str(self.gate_path),
            "OPSBOOK_ROOT": str(launch.root),
            "IPYTHONDIR": str(self.private / "ipython"),
            "JUPYTER_PLATFORM_DIRS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
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
        """Both channels answer: the reply alone does not prove that output is already subscribed to."""
        while True:
            request = self._client.kernel_info()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._answered(request), 1.0)
                return

    async def _answered(self, request: str) -> Message:
        """The reply to a request, once all output of it has arrived. Raises KernelDied."""
        work = asyncio.create_task(self._both(request))
        died = asyncio.create_task(self.died.wait())
        try:
            await asyncio.wait({work, died}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._last_words(work)
                raise self.fault or KernelDied(self.code)
            answer: Message = await work
            return answer
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
        await self._order(b"interrupt\n")

    async def end(self) -> None:
        """End the kernel and everything it started, and wait until that is done."""
        await self._order(b"end\n")
        if self._keeper is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._keeper.wait(), tree.DEADLINE + 5)
        self.died.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._close_raw()
        if self._client is not None:
            self._client.stop_channels()
            self._client.context.destroy(linger=0)
        shutil.rmtree(self.private, ignore_errors=True)

    async def _order(self, line: bytes) -> None:
        if self._keeper is not None and self._keeper.stdin is not None:
            with contextlib.suppress(ConnectionError):
                self._keeper.stdin.write(line)
                await self._keeper.stdin.drain()

    async def _watch_keeper(self) -> None:
        assert self._keeper is not None and self._keeper.stdout is not None
        async for line in self._keeper.stdout:
            message = json.loads(line)
            self.pid = message.get("kernel", self.pid)
            if "exited" in message:
                self.code = message["exited"]
        # The keeper ended orderly, or was killed: in that case its orphans came to this process.
        if self._keeper.returncode != 0:
            await asyncio.to_thread(tree.end, os.getpid(), self._run, self.pid)
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

    async def _last_words(self, work: "asyncio.Task[Message]") -> None:
        """A kernel that died may have said something before: read it until nothing more comes."""
        deadline = time.monotonic() + _DRAIN
        count = -1
        while self._count != count and not work.done() and time.monotonic() < deadline:
            count = self._count
            await asyncio.sleep(0.1)

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
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
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


def _waiting(descriptor: int) -> int:
    """Bytes that wait to be read."""
    size = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, size)
    return size[0]


async def _messages(channel: Any) -> AsyncIterator[Message]:
    while True:
        yield await channel.get_msg()
