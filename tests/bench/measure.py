"""Run a command and measure it: wall time, time to its first mark, peak memory of its processes."""

import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

_EVERY = 0.05  # seconds between two looks at the memory

MARK = "mark"
"""File that a cell writes its time to."""


@dataclass(frozen=True)
class Measured:
    """Seconds of the whole command and up to its first mark, MiB at the peak of each of its processes."""

    seconds: float
    first: float | None = None
    memory: dict[str, float] = field(default_factory=dict)


def run(argv: list[str], cwd: Path) -> Measured:
    """Run a command to its end. Raises RuntimeError, with what it said, if it fails."""
    mark = cwd / MARK
    mark.unlink(missing_ok=True)
    log = cwd / "log"
    began, started = time.time(), time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        watch = _Memory(process.pid)
        watch.start()
        code = process.wait()
    seconds = time.monotonic() - started
    watch.over.set()
    watch.join()
    if code != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {code}: {log.read_text(errors='replace')[-2000:]}")
    first = float(mark.read_text(encoding="utf-8").split()[0]) - began if mark.exists() else None
    return Measured(seconds, first, watch.peaks)


class _Memory(threading.Thread):
    """Looks at the resident memory of a process and of everything below it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.peaks: dict[str, float] = {}
        self._root = psutil.Process(pid)

    def run(self) -> None:
        while not self.over.wait(_EVERY):
            total = 0.0
            for process in self._tree():
                try:
                    size, name = process.memory_info().rss / 2**20, self._label(process)
                except psutil.Error:
                    continue
                self.peaks[name] = max(self.peaks.get(name, 0.0), size)
                total += size
            self.peaks["together"] = max(self.peaks.get("together", 0.0), total)

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []

    def _label(self, process: psutil.Process) -> str:
        if process.pid == self._root.pid:
            return "runner"
        words = " ".join(process.cmdline())
        for name, sign in (("kernel", "opsbook.core.effects.boot"), ("kernel", "ipykernel"), ("keeper", "run.keeper")):
            if sign in words:
                return name
        return "others"


@dataclass(frozen=True)
class Pair:
    """What was measured of opsbook and of another tool, in turn."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratios(self) -> list[float]:
        return sorted(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def environment() -> str:
    """What this was measured on, without saying where."""
    import platform

    memory = psutil.virtual_memory().total / 2**30
    return f"{platform.system()}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"
