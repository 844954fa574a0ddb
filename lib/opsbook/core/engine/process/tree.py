"""End every process of a run, orphans included.

A process belongs to the run if it descends from the kernel, or from the keeper with OPSBOOK_RUN in its
environment. A playbook that starts a service on purpose starts it without OPSBOOK_RUN, and it keeps running.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator

import psutil

from opsbook.core.engine.process import MARK

GRACE = 0.5
"""Seconds between SIGTERM and SIGKILL."""

DEADLINE = 5.0
"""Seconds after which a process that does not end (such as in uninterruptible sleep) is given up."""


def members(root: int, run: str, kernel: int | None, seen: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Running processes of the run below `root`; `seen` were below the kernel while it ran."""
    found = {process.pid: process for process in below(root) if _marked(process, run)}
    found |= {process.pid: process for known in seen if known.is_running() for process in [known, *below(known.pid)]}
    if kernel is not None:
        found |= {process.pid: process for process in [*below(kernel), *_self(kernel)]}
    return [process for process in found.values() if _alive(process)]


def end(
    root: int, run: str, kernel: int | None = None, *, seen: Iterable[psutil.Process] = (), adopted: bool = False
) -> int:
    """End them all: SIGTERM, then SIGKILL after GRACE, until none is left. Returns how many could not be ended.

    `adopted`: this process adopted them and has no other children, so it reaps them too.
    """
    started, killed = time.monotonic(), None
    for process in members(root, run, kernel, seen):
        with contextlib.suppress(psutil.Error):
            process.terminate()
    while left := members(root, run, kernel, seen):
        now = time.monotonic()
        # Count from the first SIGKILL: before it, this process may have been stopped for longer than DEADLINE.
        if killed is not None and now - killed > DEADLINE:
            return len(left)
        if now - started > GRACE:
            killed = killed or now
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        with contextlib.suppress(ChildProcessError):
            while adopted and os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)
    return 0


def below(pid: int) -> list[psutil.Process]:
    """Every descendant of a process."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def _self(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.ppid() in (os.getpid(), 1):
            yield process


def _marked(process: psutil.Process, run: str) -> bool:
    try:
        return bool(process.environ().get(MARK) == run)
    except (psutil.Error, OSError):
        return False


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
