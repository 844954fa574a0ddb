"""The promql effect: what Prometheus answers to a query, now or over a time, with a plot."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from opsbook.core.effects.basic import here
from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import perform
from opsbook.core.effects.http import send
from opsbook.core.effects.plot import svg
from opsbook.core.effects.show import Shown
from opsbook.core.model.text import one_line, span_seconds
from opsbook.errors import EffectFailed

MOST = 100
"""Series of an answer that are kept; `more` says how many there were beside them."""

_POINTS = 240
"""Points of a plot for which a step is chosen."""

_SHOWN, _LONGEST = 20, 200
"""Rows that a table shows; characters of a query in the journal's summary."""

_GRACE = 2.0
"""Seconds beyond its limit that Prometheus is given to say that it was too slow."""

_LAST = 1e11
"""Seconds since 1970 that no answer reaches: the year 5138."""

Point = tuple[float, float]
"""Seconds since 1970, and the value."""


@dataclass(frozen=True)
class Line:
    """One series: its labels, and its points in the order of time. NaN and infinity are values, too."""

    labels: Mapping[str, str]
    points: tuple[Point, ...]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]

    @property
    def name(self) -> str:
        """The labels, as Prometheus writes them."""
        inner = ", ".join(f'{name}="{value}"' for name, value in self.labels.items() if name != "__name__")
        return f"{self.labels.get('__name__', '')}{{{inner}}}"


@dataclass(frozen=True, repr=False)
class Series(Shown):
    """The answer to a query: each series with its points, one for a moment and several for a time.

    `warnings` are what Prometheus remarked; `more` counts the series that were not kept; `seconds` is how long it took.
    """

    query: str
    lines: tuple[Line, ...]
    seconds: float
    warnings: tuple[str, ...] = ()
    more: int = 0

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def value(self) -> float:
        """The newest value of the only series. Raises EffectFailed if there is none, or if there are others."""
        if len(self.lines) != 1:
            raise EffectFailed(f"{self._short()}: one series was expected, the answer has {len(self.lines)}")
        return self.lines[0].last

    def svg(self) -> str:
        """A plot of the first series over their time, as an image for `attach()`."""
        return svg(self._short(), [(line.name, line.points) for line in self.lines])

    def headline(self) -> str:
        count = len(self.lines) + self.more
        said = [f"{self._short()}: {count} series in {self.seconds * 1000:.0f} ms", *self.warnings]
        return "; ".join(said)

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
        if not self.lines:
            return (), ()
        if all(len(line.points) == 1 for line in self.lines):
            return ("series", "value"), [(line.name, f"{line.last:g}") for line in self.lines[:_SHOWN]]
        rows = [(line.name, *(f"{each:g}" for each in _least_most_last(line))) for line in self.lines[:_SHOWN]]
        return ("series", "least", "most", "last"), rows

    def to_json(self) -> dict[str, Any]:
        """For the journal. Values are text, since JSON has no NaN."""
        lines = [{"labels": line.labels, "points": [[at, repr(value)] for at, value in line.points]} for line in self]
        return {**vars(self), "lines": lines}

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Self:
        return super().of({**recorded, "lines": [_line(each["labels"], each["points"]) for each in recorded["lines"]]})

    def _short(self) -> str:
        return one_line(self.query, _LONGEST)

    def _repr_html_(self) -> str:
        plotted = any(len(line.points) > 1 for line in self.lines)
        return f"{self.svg() if plotted else ''}{super()._repr_html_()}"


def _least_most_last(line: Line) -> tuple[float, float, float]:
    values = [value for _, value in line.points if not math.isnan(value)] or [line.last]
    return min(values), max(values), line.last


def promql(
    query: str,
    *,
    over: str | float = 0,
    step: str | float = 0,
    prometheus: str | None = None,
    timeout: float = 30.0,
    ignore: Sequence[str] = (),
    key: str | None = None,
) -> Series:
    """Ask Prometheus, which changes nothing: for a value now, or, with `over`, for the time until now.

        errors = promql("arcade:messages_errors:ratio5m", over="1h")
        attach("errors.svg", errors.svg())

    `over` and `step` are seconds, or text such as `1h`; without `step` there are about 240 points. `prometheus` is its
    address; None takes `prometheus` of the environment's `urls:`, or else of its `settings:`. `timeout` is in seconds.
    Raises EffectFailed if it does not answer, and for a query that it refuses. A check asks, too.
    """
    address = (prometheus or _address()).rstrip("/")
    span, every = _seconds(over), _seconds(step)
    request = {"query": query, "over": span, "step": every, "prometheus": address}

    def work(_: EffectCall) -> tuple[Series, Any]:
        if span:
            now = time.time()
            found = between(address, query, now - span, now, step=every, timeout=timeout)
        else:
            found = _answer(address, "query", query, {}, timeout)
        return found, {**found.to_json(), "changed": False}

    rules = {"idempotent": True, "key": key, "ignore": ignore, "decode": Series.of}
    return perform("promql", request, f"promql {one_line(query, _LONGEST)}", work, changes=False, **rules)


def _address() -> str:
    try:
        return here.url("prometheus")
    except EffectFailed:
        told = here.settings.get("prometheus")
        if isinstance(told, str):
            return told
        raise


def _seconds(given: str | float) -> float:
    return span_seconds(given) if isinstance(given, str) else float(given)


def between(address: str, query: str, begin: float, end: float, *, step: float = 0, timeout: float = 30.0) -> Series:
    """What Prometheus says for a time, in seconds since 1970; outside of a run, too. Raises EffectFailed."""
    every = step or max(1.0, (end - begin) / _POINTS)
    span = {"start": f"{begin:.3f}", "end": f"{end:.3f}", "step": f"{every:g}"}
    return _answer(address, "query_range", query, span, timeout)


def _answer(address: str, kind: str, query: str, span: Mapping[str, str], timeout: float) -> Series:
    form = {"query": query, "timeout": f"{max(1, int(timeout))}s", **span}
    login, _, host = address.rpartition("@")
    try:
        answer = send("POST", f"{address}/api/v1/{kind}", timeout, whole=timeout + _GRACE, data=form)
        told = answer.json
    except EffectFailed as error:
        if not login:
            raise
        # The reason quotes the address, or what is wrong in it: a part of the password.
        said = "no answer that can be used; why is not shown, because its address has a login"
        raise EffectFailed(f"Prometheus at {host}: {said}", untouched=error.untouched) from None
    try:
        return _series(query, told, answer.seconds)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EffectFailed(f"{host} is no Prometheus: it answered {answer.status} with something else") from error


def _series(query: str, told: Any, seconds: float) -> Series:
    if told["status"] != "success":
        raise EffectFailed(f"{one_line(query, _LONGEST)}: {one_line(str(told['error']), 500)}")
    kind, result = told["data"]["resultType"], told["data"]["result"]
    found = [{"metric": {}, "value": result}] if kind in ("scalar", "string") else result
    # Of a native histogram there is no value.
    known = [each for each in found if "value" in each or each.get("values")]
    lines = [_line(each["metric"], each.get("values") or [each["value"]]) for each in known[:MOST]]
    remarks = (*told.get("warnings", ()), *told.get("infos", ()))
    return Series(query, tuple(lines), seconds, tuple(map(str, remarks)), max(0, len(known) - MOST))


def _line(labels: Mapping[str, Any], points: Sequence[Sequence[Any]]) -> Line:
    """Raises ValueError for a time that no clock shows."""
    found = tuple((float(at), float(value)) for at, value in points)
    if not all(0 <= at < _LAST for at, _ in found):
        raise ValueError("a time is out of range")
    return Line({str(name): str(value) for name, value in labels.items()}, found)
