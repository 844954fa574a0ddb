"""Watch a canary: compare its metrics with those of the stable instances, and say whether to go on."""

import itertools
import time
from collections.abc import Mapping
from typing import Any

import httpx

from arcade_ops import verdict
from arcade_ops.identity import mark, owner, said_by
from arcade_ops.verdict import Limits, Reading, Side, Track, Verdict
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
        found = _Watch(client, url, balancer, allowed).run(seconds)
    print(found)
    if found.problems:
        raise EffectFailed(f"the canary is not good enough: {'; '.join(found.problems)}", found)
    return found.to_json()


class _Watch:
    """The instances, with what each counted so far."""

    def __init__(self, client: httpx.Client, url: str, balancer: str, limits: Limits) -> None:
        self._client = client
        self._url = url
        self._limits = limits
        self._canary, self._stable = self._sides(balancer)
        self._probes = itertools.cycle(_PROBES)

    def _sides(self, balancer: str) -> tuple[dict[str, Track], dict[str, Track]]:
        """The URLs of the canary's and of the stable instances, each with an empty track."""
        try:
            answer = self._client.get(balancer).raise_for_status()
            state = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise EffectFailed(f"the load balancer does not say who serves: {error}", untouched=True) from error
        if (said := said_by(answer.headers, state)) != mark():
            raise EffectFailed(f"the load balancer at {balancer} is one of {owner(said)}", untouched=True)
        pool = [instance for instance in state["instances"] if instance["pool"]]
        stable = {each["url"]: Track() for each in pool if each["colour"] == state["serving"]}
        canary = {each["url"]: Track() for each in pool if each["colour"] != state["serving"]}
        if not canary or not stable or not state["share"]:
            raise EffectFailed("there is no canary to watch: nothing of the traffic goes to one", untouched=True)
        return canary, stable

    def run(self, seconds: float) -> Verdict:
        """Read the metrics every second until the time is over or the canary has failed."""
        until = time.monotonic() + seconds
        self._read()
        while True:
            self._probe(min(time.monotonic() + EVERY_SECONDS, until))
            self._read()
            over = time.monotonic() >= until
            found = verdict.judge(self._side(self._canary), self._side(self._stable), self._limits, over=over)
            if over or found.problems:
                return found

    @staticmethod
    def _side(tracks: dict[str, Track]) -> Side:
        return verdict.together(tracks.values())

    def _read(self) -> None:
        for tracks in (self._canary, self._stable):
            for url in tracks:
                tracks[url] = verdict.follow(tracks[url], self._reading(url))

    def _reading(self, url: str) -> Reading | None:
        try:
            return verdict.read(self._client.get(f"{url}/metrics").raise_for_status().text)
        except (httpx.HTTPError, ValueError):
            return None

    def _probe(self, until: float) -> None:
        """Send this second's probes, then wait for its end."""
        for _ in range(round(self._limits.probes_per_second)):
            if time.monotonic() >= until:
                return
            try:
                self._client.post(f"{self._url}/messages", json=next(self._probes))
            except httpx.HTTPError:
                # An instance counts its own failures; a request that reached none counts against none.
                continue
        time.sleep(max(0.0, until - time.monotonic()))
