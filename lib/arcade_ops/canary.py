"""Watch a release: as a canary, compared with the other instances, or once everybody has it, against fixed limits."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from arcade_ops import verdict
from arcade_ops.identity import mark, owner, said_by
from arcade_ops.verdict import Reading, Side, Track, Verdict
from opsbook import EffectFailed, effect

EVERY_SECONDS = 1.0

# Frequent requests of players, without side effects.
_PROBES = (
    {"Action": "Ping", "From": "canary-watch"},
    {"Action": "Info", "From": "canary-watch"},
    {"Action": "Leaderboard", "From": "canary-watch", "Tags": {"Limit": "3"}},
)


@effect(changes=False)
def watch(url: str, balancer: str, seconds: float, limits: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the canary with the stable instances for `seconds`; prints and returns the verdict.

    `url` is the service, `balancer` the load balancer's state page, `limits` the environment's `settings: canary:`.
    Raises EffectFailed as soon as the canary fails or restarts too often, and at the end if it was too slow or had
    too little traffic to be judged.
    """
    try:
        allowed = verdict.limits(limits)
    except ValueError as error:
        raise EffectFailed(f"settings.canary of this environment: {error}", untouched=True) from error
    with httpx.Client(trust_env=False, timeout=5) as client:
        canary, stable = _sides(client, balancer)
        if not canary or not stable:
            raise EffectFailed("there is no canary to watch: nothing of the traffic goes to one", untouched=True)
        watched = _Instances(client, url, allowed.probes_per_second, canary, stable)
        found = watched.until(seconds, lambda sides, over: verdict.judge(sides[0], sides[1], allowed, over=over))
    print(found)
    if found.problems:
        raise EffectFailed(f"the canary is not good enough: {'; '.join(found.problems)}", found)
    return found.to_json()


@effect(changes=False)
def watch_release(url: str, balancer: str, seconds: float, limits: Mapping[str, Any]) -> dict[str, Any]:
    """Watch what everybody gets for `seconds`; prints and returns the verdict.

    `limits` is the environment's `settings: release:`. Raises EffectFailed as soon as more messages fail or instances
    restart than that allows, and at the end if it was too slow or had too little traffic to be judged.
    """
    try:
        allowed = verdict.release_limits(limits)
    except ValueError as error:
        raise EffectFailed(f"settings.release of this environment: {error}", untouched=True) from error
    with httpx.Client(trust_env=False, timeout=5) as client:
        _, serving = _sides(client, balancer)
        if not serving:
            raise EffectFailed("there is nothing to watch: no instance serves", untouched=True)
        watched = _Instances(client, url, allowed.probes_per_second, serving)
        found = watched.until(seconds, lambda sides, over: verdict.judge_release(sides[0], allowed, over=over))
    print(found)
    if found.problems:
        raise EffectFailed(f"the release is not good enough: {'; '.join(found.problems)}", found)
    return found.to_json()


def _sides(client: httpx.Client, balancer: str) -> tuple[list[str], list[str]]:
    """The URLs of the canary's instances, if it has a share of the traffic, and of those that serve."""
    try:
        answer = client.get(balancer).raise_for_status()
        state = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise EffectFailed(f"the load balancer does not say who serves: {error}", untouched=True) from error
    if (said := said_by(answer.headers, state)) != mark():
        raise EffectFailed(f"the load balancer at {balancer} is one of {owner(said)}", untouched=True)
    pool = [instance for instance in state["instances"] if instance["pool"]]
    serving = [each["url"] for each in pool if each["colour"] == state["serving"]]
    return [each["url"] for each in pool if each["colour"] != state["serving"] and state["share"]], serving


class _Instances:
    """The instances of each side, with what each counted so far."""

    def __init__(self, client: httpx.Client, url: str, probes_per_second: float, *sides: Sequence[str]) -> None:
        self._client = client
        self._url = url
        self._rate = probes_per_second
        self._sides = [dict.fromkeys(urls, Track()) for urls in sides]
        self._probes = itertools.cycle(_PROBES)

    def until(self, seconds: float, judge: Callable[[Sequence[Side], bool], Verdict]) -> Verdict:
        """Read the metrics every second until the time is over or the verdict is bad."""
        until = time.monotonic() + seconds
        self._read()
        while True:
            self._probe(min(time.monotonic() + EVERY_SECONDS, until))
            self._read()
            over = time.monotonic() >= until
            found = judge([verdict.together(tracks.values()) for tracks in self._sides], over)
            if over or found.problems:
                return found

    def _read(self) -> None:
        for tracks in self._sides:
            for url in tracks:
                tracks[url] = verdict.follow(tracks[url], self._reading(url))

    def _reading(self, url: str) -> Reading | None:
        try:
            return verdict.read(self._client.get(f"{url}/metrics").raise_for_status().text)
        except (httpx.HTTPError, ValueError):
            return None

    def _probe(self, until: float) -> None:
        """Send this second's probes, then wait for its end."""
        for _ in range(round(self._rate)):
            if time.monotonic() >= until:
                return
            try:
                self._client.post(f"{self._url}/messages", json=next(self._probes))
            except httpx.HTTPError:
                # An instance counts its own failures; a request that reached none counts against none.
                continue
        time.sleep(max(0.0, until - time.monotonic()))
