"""Workers: each a thread's worth of Lua runtime and database connection."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from arcade.database import Address, Database
from arcade.errors import UnavailableError
from arcade.handlers import HandlerSet, load_handlers
from arcade.message import Message, Reply
from arcade.postgres_store import PostgresStore
from arcade.tunables import Tunables


@dataclass(frozen=True)
class Worker:
    """What handles one message at a time."""

    handlers: HandlerSet
    database: Database

    def handle(self, message: Message) -> Reply:
        """The handler's answer, in one transaction. Raises ArcadeError."""
        with self.database.transaction() as connection:
            return self.handlers.handle(message, PostgresStore(connection))


class WorkerPool:
    """A fixed number of workers behind a queue; used from one event loop."""

    def __init__(self, handlers: Path, address: Address, tunables: Tunables) -> None:
        """Load the handlers once per worker. Raises ArcadeError when they do not load."""
        self._max_waiting = tunables.max_waiting
        limit = tunables.handler_memory_mib * 1024 * 1024
        self._workers = [Worker(load_handlers(handlers, limit), Database(address)) for _ in range(tunables.workers)]
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._executor = ThreadPoolExecutor(tunables.workers, thread_name_prefix="message")
        self._in_flight = 0

    @property
    def actions(self) -> list[str]:
        """The actions that have a handler, sorted."""
        return self._workers[0].handlers.actions

    async def handle(self, message: Message) -> Reply:
        """The answer to `message`. Raises ArcadeError; UnavailableError when too many messages wait."""
        if self._in_flight >= self._max_waiting:
            raise UnavailableError(f"{self._max_waiting} messages are waiting already")
        self._in_flight += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._work, message)
        finally:
            self._in_flight -= 1

    def close(self) -> bool:
        """Close the connections; false when a worker is still busy and would hold up the exit."""
        idle = self._free.qsize() == len(self._workers)
        self._executor.shutdown(wait=idle, cancel_futures=True)
        if idle:
            for worker in self._workers:
                worker.database.close()
        return idle

    def _work(self, message: Message) -> Reply:
        # There are as many workers as threads, so this never waits.
        worker = self._free.get()
        try:
            return worker.handle(message)
        finally:
            self._free.put(worker)
