"""A kernel's start."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.asynchronous import AsyncKernelClient

from opsbook.core.engine.process import spare
from opsbook.core.engine.process.kernel import Kernel, Launch
from opsbook.core.model.planned import Place

pytestmark = pytest.mark.slow


def test_a_kernel_that_is_slow_to_start_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A second question could meet the reply to the first one, which then wakes nobody: the run would hang."""
    asked = []
    ask = AsyncKernelClient.kernel_info

    def counted(client: Any) -> Any:
        asked.append(client)
        return ask(client)

    monkeypatch.setattr(AsyncKernelClient, "kernel_info", counted)
    started = spare.start(spare.new_run("page"))
    os.kill(started.keeper.pid, signal.SIGSTOP)

    async def run() -> Any:
        kernel = Kernel(started)
        starting = asyncio.create_task(kernel.start(Launch(Place(tmp_path, tmp_path))))
        await asyncio.sleep(3)
        os.kill(started.keeper.pid, signal.SIGCONT)
        await starting
        content = await kernel.execute("1 + 1")
        await kernel.end()
        return content

    assert asyncio.run(run())["status"] == "ok"
    assert len(asked) == 1
