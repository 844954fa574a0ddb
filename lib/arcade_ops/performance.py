"""Where the time goes, from what Prometheus has measured. Arithmetic only: no IO, no clock."""

from collections.abc import Mapping
from math import isnan

BUSY = 0.8
"""Seconds of CPU a second above which an instance has no more to give: what is left goes to short peaks."""


def where(kinds: Mapping[str, float], instances: Mapping[str, float], busy: Mapping[str, float], limit: float) -> str:
    """Say in one sentence where the time goes of messages that take longer than `limit` seconds.

    `kinds` and `instances`: the 95th percentile in seconds by kind of message and by instance, NaN where nothing was
    asked. `busy`: seconds of CPU a second by instance.
    """
    at, of = _slow(instances, limit), _slow(kinds, limit)
    if at and len(at) < len(_asked(instances)):
        return f"{', '.join(at)} {'is' if len(at) == 1 else 'are'} slower than the others"
    if of and len(of) < len(_asked(kinds)):
        return f"only some kinds are slow: {', '.join(f'{name} {kinds[name] * 1000:.0f} ms' for name in of)}"
    used = {name: busy[name] for name in _asked(instances) if name in busy}
    told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in sorted(used.items()))
    if used and min(used.values()) >= BUSY:
        return f"every instance is busy, in seconds of CPU a second: {told}"
    return f"everything is slow, and the instances wait; seconds of CPU a second: {told or 'unknown'}"


def _asked(measured: Mapping[str, float]) -> list[str]:
    return sorted(name for name, seconds in measured.items() if not isnan(seconds))


def _slow(measured: Mapping[str, float], limit: float) -> list[str]:
    return [name for name in _asked(measured) if measured[name] > limit]
