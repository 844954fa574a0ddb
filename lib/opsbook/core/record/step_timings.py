"""Earlier successful runs of a runbook: the one to compare with, and the usual duration of each step."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from statistics import median
from typing import Any

from opsbook import files
from opsbook.core.model.effect import Mode
from opsbook.core.model.outcome import Outcome
from opsbook.core.record import store, summary_file

RUNS = 10
"""Runs from which the usual durations are computed."""

LOOKS = 80
"""Records that are searched for them."""

_LARGEST = 1024 * 1024
"""Bytes of a record.json that is read while somebody waits for a run to start."""


def last_good(root: Path, runbook: str, environment: str, before: store.Record) -> str | None:
    """The newest successful run in the environment that started before the run `before`."""
    started, second = before.summary()["started"] or "", before.id[: store.SECOND]
    earlier = (folder for folder in store.newest(root, runbook) if folder.name[: store.SECOND] <= second)
    found = _good(earlier, environment, files.LARGEST)
    return next((run for run, told in found if run != before.id and (told["started"] or "") < started), None)


def last_values(root: Path, runbook: str, environment: str) -> dict[str, Any]:
    """The parameters of the newest run that succeeded in the environment; none if there was none lately."""
    found = _good(islice(store.newest(root, runbook), LOOKS), environment)
    return next((dict(told["parameters"] or {}) for _, told in found if told.get("mode") == "live"), {})


def seconds(root: Path, runbook: str, environment: str) -> dict[str, float]:
    """The usual seconds of each step: the median over the last successful runs. Bounded: it reads few small files."""
    took: dict[str, list[float]] = defaultdict(list)
    found = _good(islice(store.newest(root, runbook), LOOKS), environment)
    for _, told in islice(found, RUNS):
        for step in told["steps"]:
            if step["status"] == "succeeded" and step["seconds"] is not None:
                took[step["step"]].append(step["seconds"])
    return {step: median(times) for step, times in took.items()}


def _good(folders: Iterable[Path], environment: str, largest: int = _LARGEST) -> Iterator[tuple[str, dict[str, Any]]]:
    """The runs that succeeded in the environment with their summaries, newest first; `folders` are, by name.

    A run id has seconds only, and short runs may start in the same one.
    """
    for _, same in groupby(folders, key=lambda folder: folder.name[: store.SECOND]):
        found = [(folder.name, told) for folder in same if (told := _succeeded(folder, environment, largest))]
        yield from sorted(found, key=lambda each: each[1]["started"] or "", reverse=True)


def _succeeded(folder: Path, environment: str, largest: int) -> dict[str, Any] | None:
    """The summary of a successful run in the environment; None for any other, and for a damaged record."""
    try:
        told = summary_file.read(files.read(folder / store.SUMMARY, largest))
    except (OSError, ValueError, RecursionError):
        return None
    ran = (told.get("mode") or Mode.LIVE, told["outcome"], told["environment"])
    return told if ran == (Mode.LIVE, Outcome.SUCCEEDED, environment) else None
