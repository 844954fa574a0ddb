"""Whom an incident hit, as Prometheus measured it: what the environment names under `settings: impact:`, plotted."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from opsbook import files
from opsbook.core.planning import environment
from opsbook.errors import EffectFailed, OpsbookError
from opsbook.incidents import timeline
from opsbook.incidents.incident import Incident, State
from opsbook.settings import Settings

_BEFORE, _AFTER = 15 * 60, 5 * 60
"""Seconds that a plot has before the first sign and behind the end."""


_PATIENCE = 10.0
"""Seconds for each answer."""


@dataclass(frozen=True)
class Measured:
    """What was measured: before the first sign (the median) and at worst (the most) of the largest series.

    `plot` is the file beside the page; `why` says why there is nothing.
    """

    title: str
    before: str = ""
    most: str = ""
    plot: str = ""
    why: str = ""


def measured(settings: Settings, found: Incident, folder: Path) -> list[Measured]:
    """Ask for each, and keep the plots in the folder. A Prometheus that does not answer is said, never an error."""
    if not found.environment:
        return []
    try:
        told = environment.load(settings, found.environment).policy.settings
    except OpsbookError as error:
        return [Measured("impact", why=error.message)]
    wanted, address = told.get("impact"), told.get("prometheus")
    if not isinstance(wanted, dict) or not isinstance(address, str):
        return []
    return list(_each(found, {str(title): str(query) for title, query in wanted.items()}, address, folder))


def _each(found: Incident, wanted: dict[str, str], address: str, folder: Path) -> Iterator[Measured]:
    # Whoever asks nobody need not load what asks.
    from opsbook.core.effects import promql

    opened, ended = (datetime.fromisoformat(found.reached[at]) for at in (State.OPEN, State.RESOLVED))
    first = opened.timestamp() - (timeline.phases(found)["opened"] or 0)
    end = min(ended.timestamp() + _AFTER, datetime.now(UTC).timestamp())
    for number, (title, query) in enumerate(wanted.items(), 1):
        try:
            series = promql.between(address.rstrip("/"), query, first - _BEFORE, end, timeout=_PATIENCE)
        except EffectFailed as error:
            yield Measured(title, why=str(error))
            continue
        before, most = _before_and_most(series, first)
        if not most:
            yield Measured(title, why="nothing was measured")
            continue
        plot = folder / f"impact-{number}.svg"
        files.write_atomic(plot, series.svg().encode())
        yield Measured(title, before or "nothing", most, f"{folder.name}/{plot.name}")


def _before_and_most(series: Any, first: float) -> tuple[str, str]:
    """The median before the first sign, and the largest value from then on; of the series that has the largest."""
    worst, found = -math.inf, ("", "")
    for line in series:
        values = [(at, value) for at, value in line.points if math.isfinite(value)]
        most = max((value for at, value in values if at >= first), default=-math.inf)
        if most > worst:
            earlier = [value for at, value in values if at < first]
            worst, found = most, (f"{median(earlier):.4g}" if earlier else "", f"{most:.4g}")
    return found
