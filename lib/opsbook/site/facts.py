"""Facts about a runbook from its records: last runs, durations, rate of success, and whether a run proves the page."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from opsbook.core.model.effect import Mode
from opsbook.core.model.outcome import Outcome
from opsbook.training.qualification import moment
from opsbook.training.trained import Drilled

PROOF_LASTS = timedelta(days=90)
"""How long a run proves a page whose front matter has no `review_every`."""

_ENOUGH = 10
"""The minimum of runs for a 95th percentile."""

_LONGEST = 1e12
"""Seconds. A longer time is invalid, as are infinity and NaN."""

RUNS = 20
"""The number of newest runs that measured times and the rate of success are computed from."""

_VERDICTS = frozenset({Outcome.SUCCEEDED, Outcome.FAILED, Outcome.ROLLED_BACK, Outcome.ROLLBACK_FAILED, Outcome.LOST})
"""Outcomes that count for the page. A refused, cancelled, checked or waiting run does not."""

_NEVER_BEGAN = frozenset({Outcome.REFUSED, Outcome.CHECKED})


@dataclass(frozen=True)
class Run:
    """One run in a list. Times are UTC, `seconds` is the duration of the whole run.

    A run that is not `shown` counts for the facts of its page only. `counts`: it ran the page as it is; a notebook, in
    which somebody chose and edited cells, proves nothing about the page.
    """

    id: str
    runbook: str
    title: str
    environment: str
    operator: str
    outcome: str
    reason: str
    started: datetime
    seconds: float | None
    steps: tuple[tuple[str, str, float | None], ...] = ()
    page: bool = False
    shown: bool = True
    counts: bool = True

    @property
    def succeeded(self) -> bool:
        return self.outcome == Outcome.SUCCEEDED


def run(told: Mapping[str, Any], *, page: bool, shown: bool = True) -> Run | None:
    """A run from the summary of its record; None if that lacks the runbook or the time.

    `page`: the record's own page is published.
    """
    started = moment(told.get("started"))
    if started is None or not told.get("runbook"):
        return None
    operators = told.get("operators") or [told.get("operator") or "—"]
    return Run(
        id=str(told["run"]),
        runbook=str(told["runbook"]),
        title=str(told.get("title") or told["runbook"]),
        environment=str(told.get("environment") or "—"),
        operator=", ".join(map(str, operators)),
        outcome=str(told.get("outcome")),
        reason=str(told.get("reason") or ""),
        started=started,
        seconds=_number(told.get("seconds")),
        steps=tuple(
            (str(step["step"]), str(step["status"]), _number(step["seconds"])) for step in told.get("steps") or ()
        ),
        page=page and shown,
        shown=shown,
        counts=told.get("mode") not in (Mode.SESSION, Mode.NOTEBOOK),
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LONGEST:
        return None
    return value


@dataclass(frozen=True)
class Facts:
    """The facts about one runbook at a time. Durations are seconds.

    `last` is the last run that counts, `good` the last that succeeded; either may not be `shown`. `rate` is the share
    of the last `counted` runs that succeeded, `slow` the 95th percentile of their times, None for too few runs.
    `drill` is the last drill of this page, or that this page mends.
    """

    last: Run | None = None
    good: Run | None = None
    runs: tuple[Run, ...] = ()
    rate: float | None = None
    counted: int = 0
    median: float | None = None
    slow: float | None = None
    steps: Mapping[str, float] = field(default_factory=dict)
    fresh: bool = False
    ran: bool = False
    drill: Drilled | None = None

    @property
    def state(self) -> str:
        """fresh, stale or never: only a successful run makes a page fresh."""
        return "fresh" if self.fresh else "stale" if self.ran else "never"


def facts(runs: Iterable[Run], lasts: timedelta | None, now: datetime, drill: Drilled | None = None) -> Facts:
    """The facts from the runs of one runbook, newest first."""
    found = tuple(runs)
    real = [each for each in found if each.counts]
    verdicts = [each for each in real if each.outcome in _VERDICTS][:RUNS]
    went_well = [each for each in verdicts if each.succeeded]
    # Ignore runs in the future: their clock was wrong.
    good = next((each for each in real if each.succeeded and each.started <= now), None)
    took = sorted(each.seconds for each in went_well if each.seconds is not None)
    return Facts(
        last=verdicts[0] if verdicts else None,
        ran=any(each.outcome not in _NEVER_BEGAN for each in real),
        good=good,
        runs=tuple(each for each in found if each.shown)[:10],
        rate=len(went_well) / len(verdicts) if verdicts else None,
        counted=len(verdicts),
        median=median(took) if took else None,
        slow=took[math.ceil(0.95 * len(took)) - 1] if len(took) >= _ENOUGH else None,
        steps=_steps(went_well),
        fresh=good is not None and now - good.started <= (lasts or PROOF_LASTS),
        drill=drill,
    )


def _steps(runs: list[Run]) -> dict[str, float]:
    """The median time of each step that succeeded."""
    took: dict[str, list[float]] = {}
    for each in runs:
        for step, status, seconds in each.steps:
            if status == "succeeded" and seconds is not None:
                took.setdefault(step, []).append(seconds)
    return {step: median(times) for step, times in took.items()}
