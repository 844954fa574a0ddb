"""Watch a release: as a canary, compared with the other instances, or once everybody has it, against fixed limits."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from arcade_ops import verdict
from arcade_ops.identity import mark, owner, said_by
from arcade_ops.verdict import Reading, Side, Track, Verdict
from opsbook import EffectFailed, effect

EVERY_SECONDS = 1.0
CALM_SECONDS = 2.0
RECOVERY_SECONDS = 30
PROBES = 10
"""Messages a second that `recovered` sends itself, for an environment without players."""

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
    return _told("canary", found, watched)


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
    return _told("release", found, watched)


_bad: list["_Follower"] = []
"""Who follows what a watch of this run found bad."""


def _told(what: str, found: Verdict, watched: "_Instances") -> dict[str, Any]:
    print(found)
    if found.problems:
        if watched.bad_since is not None:
            _bad.append(_Follower(watched.bad_since, watched.first()))
        raise EffectFailed(f"the {what} is not good enough: {'; '.join(found.problems)}", found)
    return found.to_json()


@effect(changes=False)
def recovered(url: str, balancer: str, seconds: float = CALM_SECONDS) -> dict[str, Any]:
    """Wait until nothing that serves has failed for `seconds`; prints and returns how long players got bad answers.

    `bad_seconds` is from the first bad answer that a watch of this process saw until the last one of the same
    instances, or of those that serve now; None if none saw one. `ended`: whether it is over within 30 seconds.
    """
    until, last, ended = time.monotonic() + RECOVERY_SECONDS, 0.0, True
    with httpx.Client(trust_env=False, timeout=5) as client:
        watched = _Instances(client, url, PROBES, _sides(client, balancer)[1])
        calm = time.monotonic()
        while time.monotonic() - calm < seconds:
            if time.monotonic() > until:
                ended = False
                break
            if watched.step():
                last, calm = time.time(), time.monotonic()
    times = [each.end() for each in _bad]
    bad = round(max(last, *times) - min(each.since for each in _bad), 1) if _bad else None
    print("No watch of this process saw a bad answer." if bad is None else f"Players got bad answers for {bad} s.")
    if not ended:
        print(f"What serves now gives bad answers, too: for {RECOVERY_SECONDS} s it had no quiet moment.")
    return {"bad_seconds": bad, "ended": ended}


class _Follower(threading.Thread):
    """Reads the counters of instances that failed until they are stopped: their last bad answer is somewhere in a
    rollback, in which nobody else reads them. It sends nothing, and ends with the process.
    """

    def __init__(self, since: float, urls: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.since = since
        self._urls = urls
        self._last = time.time()
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=1) as client:
            before: dict[str, int] = {}
            while not self._over.wait(EVERY_SECONDS / 2):
                for url in self._urls:
                    found = _reading(client, url)
                    if found and found.errors > before.get(url, found.errors):
                        self._last = time.time()
                    if found:
                        before[url] = found.errors

    def end(self) -> float:
        """When it saw the last bad answer, in seconds since 1970."""
        self._over.set()
        self.join()
        return self._last


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
        self.bad_since: float | None = None
        """When the first of the sides was first seen to have failed, in seconds since 1970."""
        self._read()

    def first(self) -> list[str]:
        """The URLs of the first side."""
        return list(self._sides[0])

    def step(self) -> bool:
        """Watch for a second; whether the first side failed in it."""
        before = self._errors()
        self._probe(time.monotonic() + EVERY_SECONDS)
        self._read()
        return self._errors() > before

    def _errors(self) -> int:
        return sum(track.errors for track in self._sides[0].values())

    def until(self, seconds: float, judge: Callable[[Sequence[Side], bool], Verdict]) -> Verdict:
        """Read the metrics every second until the time is over or the verdict is bad."""
        until = time.monotonic() + seconds
        while True:
            self._probe(min(time.monotonic() + EVERY_SECONDS, until))
            self._read()
            if self.bad_since is None and self._errors():
                # It was within the second before.
                self.bad_since = time.time() - EVERY_SECONDS
            over = time.monotonic() >= until
            found = judge([verdict.together(tracks.values()) for tracks in self._sides], over)
            if over or found.problems:
                return found

    def _read(self) -> None:
        for tracks in self._sides:
            for url in tracks:
                tracks[url] = verdict.follow(tracks[url], _reading(self._client, url))

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


def _reading(client: httpx.Client, url: str) -> Reading | None:
    try:
        return verdict.read(client.get(f"{url}/metrics").raise_for_status().text)
    except (httpx.HTTPError, ValueError):
        return None
