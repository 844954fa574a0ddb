"""The verdict on a release, from the counters of its instances. Arithmetic only: no IO, no clock.

A canary is compared with the stable instances; what everybody has is compared with fixed limits.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

FAILED = frozenset({"error", "unavailable"})
"""Outcomes of a message that are the service's fault; a refused or malformed message is the player's."""

SILENT_TOO_OFTEN = 3
"""A canary that misses this many readings in a row is down. A restart misses fewer, and is counted as a restart."""


@dataclass(frozen=True)
class Watched:
    """What every watch is told: how much traffic a verdict needs, and how much of it the watch sends itself."""

    minimum_messages: int = 50
    restarts: int = 0
    probes_per_second: float = 0


@dataclass(frozen=True)
class Limits(Watched):
    """How much worse than the others a canary may be: `settings: canary:` of an environment."""

    more_errors: float = 0.02
    times_slower: float = 2.0
    slack_ms: float = 100.0


@dataclass(frozen=True)
class ReleaseLimits(Watched):
    """What a release that everybody has may do: `settings: release:` of an environment. `errors` is a share."""

    errors: float = 0.01
    p95_ms: float = 500.0


def limits(given: Mapping[str, Any]) -> Limits:
    """The limits of a canary. Raises ValueError for an unknown name, and for a value that is no number >= 0."""
    return Limits(**_checked(given, Limits))


def release_limits(given: Mapping[str, Any]) -> ReleaseLimits:
    """The limits of a release. Raises ValueError as `limits`."""
    return ReleaseLimits(**_checked(given, ReleaseLimits))


def _checked(given: Mapping[str, Any], kind: type[Watched]) -> Mapping[str, Any]:
    known = {each.name for each in fields(kind)}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{name} is no limit; there is {', '.join(sorted(known))}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ValueError(f"{name} must be a number from 0 on, not {value!r}")
    return given


@dataclass(frozen=True)
class Reading:
    """One instance's counters since it started. `buckets`: upper bound in seconds -> messages within it."""

    started: float
    messages: int = 0
    errors: int = 0
    buckets: Mapping[float, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Track:
    """What one instance counted while it was watched. `last` is None until it answers for the first time."""

    last: Reading | None = None
    messages: int = 0
    errors: int = 0
    buckets: Mapping[float, int] = field(default_factory=dict)
    restarts: int = 0
    silent: int = 0


@dataclass(frozen=True)
class Side:
    """The canary, or all the others together. `silent`: the most readings in a row that one of them missed."""

    messages: int
    errors: int
    p95_ms: float | None
    restarts: int
    silent: int

    @property
    def error_share(self) -> float:
        """From 0 to 1."""
        return self.errors / self.messages if self.messages else 0.0


@dataclass(frozen=True)
class Verdict:
    """Good if there is no problem. `sides` by name: canary and stable, or release."""

    sides: Mapping[str, Side]
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For the journal; `said` is the first side on one line."""
        sides = {name: asdict(side) for name, side in self.sides.items()}
        return {"good": not self.problems, **sides, "problems": self.problems, "said": self.said()}

    def said(self) -> str:
        """What was judged, on one line."""
        side = next(iter(self.sides.values()))
        messages, errors, p95, restarts = _row("", side)[1:]
        return f"{messages} messages, {errors} failed, p95 {p95}, {restarts} restarts"

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("", "messages", "errors", "p95", "restarts")]
        rows += [_row("others" if name == "stable" else name, side) for name, side in self.sides.items()]
        lines = ["".join(f"{cell:<10}" for cell in row).rstrip() for row in rows]
        return "\n".join([*lines, f"Verdict: {'; '.join(self.problems) or 'good'}"])


def read(text: str) -> Reading:
    """A reading from the text at /metrics. Raises ValueError for text that is not arcade's."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    started = [sample.value for sample in samples if sample.name == "process_start_time_seconds"]
    if not started:
        raise ValueError("these are not the metrics of an instance: process_start_time_seconds is missing")
    messages = [
        (sample.labels["outcome"], sample.value) for sample in samples if sample.name == "arcade_messages_total"
    ]
    buckets: Counter[float] = Counter()
    for sample in samples:
        if sample.name == "arcade_message_seconds_bucket":
            buckets[float(sample.labels["le"])] += int(sample.value)
    return Reading(
        started=started[0],
        messages=int(sum(count for _, count in messages)),
        errors=int(sum(count for outcome, count in messages if outcome in FAILED)),
        buckets=dict(buckets),
    )


def follow(track: Track, now: Reading | None) -> Track:
    """The track with one more reading; None if the instance did not answer. The first reading is the baseline."""
    if now is None:
        return replace(track, silent=track.silent + 1)
    before = track.last
    if before is None:
        return replace(track, last=now, silent=0)
    restarted = now.started != before.started
    # What an instance counted between the last reading and its restart is lost.
    base = Reading(now.started) if restarted else before
    # An instance without any answer yet has no buckets.
    more = {bound: count - base.buckets.get(bound, 0) for bound, count in now.buckets.items()}
    return Track(
        last=now,
        messages=track.messages + now.messages - base.messages,
        errors=track.errors + now.errors - base.errors,
        buckets={**track.buckets, **{bound: track.buckets.get(bound, 0) + count for bound, count in more.items()}},
        restarts=track.restarts + restarted,
        silent=0,
    )


def together(tracks: Iterable[Track]) -> Side:
    """The sum of these tracks, as one side of the comparison."""
    each = list(tracks)
    buckets: Counter[float] = Counter()
    for track in each:
        buckets.update(track.buckets)
    return Side(
        messages=sum(track.messages for track in each),
        errors=sum(track.errors for track in each),
        p95_ms=quantile_ms(buckets, 0.95),
        restarts=sum(track.restarts for track in each),
        silent=max((track.silent for track in each), default=0),
    )


def quantile_ms(buckets: Mapping[float, int], share: float) -> float | None:
    """The time that `share` of the messages did not exceed, interpolated within its bucket as Prometheus does.

    None without messages. Above the last finite bound it is that bound.
    """
    bounds = sorted(buckets)
    wanted = share * (buckets[bounds[-1]] if bounds else 0)
    low, below = 0.0, 0
    for bound in bounds:
        if buckets[bound] >= wanted > 0:
            inside = 0.0 if bound == float("inf") else (bound - low) * (wanted - below) / (buckets[bound] - below)
            return round((low + inside) * 1000, 1)
        low, below = bound, buckets[bound]
    return None


def judge(canary: Side, stable: Side, limits: Limits, *, over: bool) -> Verdict:
    """The verdict so far, or at the end. Latency is judged at the end only: an instance that just started is slow."""
    problems = _crashes(canary, limits, over=over) + _errors(canary, stable, limits)
    if over:
        problems += _latency(canary, stable, limits) + _too_little(canary, stable, limits)
    return Verdict({"canary": canary, "stable": stable}, tuple(problems))


def judge_release(release: Side, limits: ReleaseLimits, *, over: bool) -> Verdict:
    """The same of what everybody has."""
    problems = _crashes(release, limits, over=over)
    if _enough(release, limits) and release.error_share > limits.errors:
        problems.append(
            f"{_percent(release.error_share)} of its messages failed, allowed are {_percent(limits.errors)}"
        )
    if over and release.p95_ms is not None and release.p95_ms > limits.p95_ms:
        problems.append(f"its p95 is {release.p95_ms:.0f} ms, allowed are {limits.p95_ms:.0f} ms")
    if over and not _enough(release, limits):
        problems.append(_little(release.messages, limits))
    return Verdict({"release": release}, tuple(problems))


def _crashes(side: Side, limits: Watched, *, over: bool) -> list[str]:
    found = []
    if side.restarts > limits.restarts:
        found.append(f"it restarted {side.restarts} times, allowed are {limits.restarts}")
    if side.silent >= (1 if over else SILENT_TOO_OFTEN):
        found.append("it does not answer any more")
    return found


def _errors(canary: Side, stable: Side, limits: Limits) -> list[str]:
    most = stable.error_share + limits.more_errors
    if not _enough(canary, limits) or canary.error_share <= most:
        return []
    return [f"{_percent(canary.error_share)} of its messages failed, allowed are {_percent(most)}"]


def _latency(canary: Side, stable: Side, limits: Limits) -> list[str]:
    if canary.p95_ms is None or stable.p95_ms is None:
        return []
    most = max(stable.p95_ms * limits.times_slower, stable.p95_ms + limits.slack_ms)
    return [f"its p95 is {canary.p95_ms:.0f} ms, allowed are {most:.0f} ms"] if canary.p95_ms > most else []


def _too_little(canary: Side, stable: Side, limits: Limits) -> list[str]:
    if _enough(canary, limits) and _enough(stable, limits):
        return []
    return [_little(min(canary.messages, stable.messages), limits)]


def _little(messages: int, limits: Watched) -> str:
    needed = limits.minimum_messages
    return f"too little traffic for a verdict: {messages} messages of the {needed} that are needed; watch longer"


def _enough(side: Side, limits: Watched) -> bool:
    return side.messages >= max(1, limits.minimum_messages)


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _row(name: str, side: Side) -> tuple[str, ...]:
    p95 = "–" if side.p95_ms is None else f"{side.p95_ms:.0f} ms"
    return name, str(side.messages), _percent(side.error_share), p95, str(side.restarts)
